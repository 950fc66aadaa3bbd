"""The small JSON documents in storage through which stages hand on their outputs (docs/protocol.md, "Storage")."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attr import frozen

OUTPUTS = "outputs.json"
READERS: Final = 8
"""Objects that are read at the same time: a store's answer takes milliseconds, most of them waiting."""
_PIECE = 4096
"""Attempts of an index that are encoded at once."""


@frozen
class Index:
    """The attempts that count, by task number; `""` where a task has no output."""

    attempts: Sequence[str]

    def pieces(self) -> Iterator[bytes]:
        """The index as it is written, some of it at a time: of a million tasks it has 17 MB.

        The same index always gives the same bytes, so that two sealers do each other no harm.
        """
        yield b'{"total":%d,"attempts":[' % len(self.attempts)
        for start in range(0, len(self.attempts), _PIECE):
            some = json.dumps(list(self.attempts[start : start + _PIECE]), separators=(",", ":"))
            yield (("," if start else "") + some[1:-1]).encode()
        yield b"]}"

    def encode(self) -> bytes:
        """All of it."""
        return b"".join(self.pieces())

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
