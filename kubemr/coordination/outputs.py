"""The small JSON documents in storage by which a stage reads the outputs of another (docs/protocol.md, "Storage")."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attr import frozen

OUTPUTS = "outputs.json"
READERS: Final = 8
"""The number of objects that are read at the same time: a read from a store waits for milliseconds."""
_PIECE = 4096
"""The number of attempts of an index that are encoded at once."""


@frozen
class Index:
    """The attempts that count, by task number; `""` for a task without output."""

    attempts: Sequence[str]

    def pieces(self) -> Iterator[bytes]:
        """Yield the content of the index in chunks: for a million tasks it has 17 MB.

        The same index always has the same bytes, so two processes that seal a stage do each other no harm.
        """
        yield b'{"total":%d,"attempts":[' % len(self.attempts)
        for start in range(0, len(self.attempts), _PIECE):
            some = json.dumps(list(self.attempts[start : start + _PIECE]), separators=(",", ":"))
            yield (("," if start else "") + some[1:-1]).encode()
        yield b"]}"

    def encode(self) -> bytes:
        """Return the whole content of the index."""
        return b"".join(self.pieces())

    @classmethod
    def decode(cls, data: bytes) -> Index:
        """Parse the content of an index.

        Raise ValueError if `data` is not an index.
        """
        document = json.loads(data)
        attempts = document.get("attempts") if isinstance(document, dict) else None
        if not isinstance(attempts, list) or document.get("total") != len(attempts):
            raise ValueError("not an index of attempts: expected {total, attempts} of that many")
        return cls(attempts)


def encode_outputs(outputs: Mapping[int, str]) -> bytes:
    """Encode outputs by partition (map) or task number (reduce)."""
    return json.dumps({str(number): text for number, text in sorted(outputs.items())}, ensure_ascii=False).encode()


def decode_outputs(data: bytes) -> dict[int, str]:
    """Parse a document of outputs.

    Raise ValueError if `data` is not one.
    """
    document = json.loads(data)
    if not isinstance(document, dict) or not all(isinstance(text, str) for text in document.values()):
        raise ValueError("not a document of outputs: expected an object of strings")
    return {int(number): text for number, text in sorted(document.items(), key=lambda item: int(item[0]))}
