"""The small JSON documents in storage through which stages hand on their outputs (docs/protocol.md, "Storage")."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from attr import frozen

OUTPUTS = "outputs.json"


@frozen
class Index:
    """The attempts that count, by task number; `""` where a task has no output."""

    attempts: Sequence[str]

    def encode(self) -> bytes:
        """The same index always gives the same bytes, so that two sealers do each other no harm."""
        document = {"total": len(self.attempts), "attempts": list(self.attempts)}
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> Index:
        """Raises ValueError when `data` is no index."""
        document = json.loads(data)
        attempts = document.get("attempts") if isinstance(document, dict) else None
        if not isinstance(attempts, list) or document.get("total") != len(attempts):
            raise ValueError("not an index of attempts: expected {total, attempts} of that many")
        return cls(attempts)


def encode_outputs(outputs: Mapping[int, str]) -> bytes:
    """Outputs by partition (map) or task number (reduce)."""
    return json.dumps({str(number): text for number, text in sorted(outputs.items())}, ensure_ascii=False).encode()


def decode_outputs(data: bytes) -> dict[int, str]:
    """Raises ValueError when `data` is no document of outputs."""
    document = json.loads(data)
    if not isinstance(document, dict) or not all(isinstance(text, str) for text in document.values()):
        raise ValueError("not a document of outputs: expected an object of strings")
    return {int(number): text for number, text in sorted(document.items(), key=lambda item: int(item[0]))}
