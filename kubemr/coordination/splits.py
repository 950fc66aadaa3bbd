"""The input of a map task in a job with `spec.split`: parts of files (docs/protocol.md, "Splits").

A part without `start` and `length` is a whole file of any size.
Any other part is a range of bytes, and stands for the records that *begin* in it.
So every record belongs to exactly one part, wherever the file is cut.
The range of the `last` part of a file must end with the file, or records after it would never be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from attr import frozen

COMPRESSIONS: Final[Mapping[str, str]] = {
    ".gz": "Gzip",
    ".bz2": "Bzip2",
    ".xz": "Xz",
    ".zst": "Zstd",
}
"""The compression of a file, by the ending of its name."""


def compression_of(url: str) -> str:
    """Return the compression of a file, by its name; `"None"` if it is not compressed."""
    return next((kind for ending, kind in COMPRESSIONS.items() if url.lower().endswith(ending)), "None")


@frozen
class Part:
    """A file, or `length` bytes of it from `start` on; `last` is True if the file ends there."""

    url: str
    start: int = 0
    length: int | None = None
    compression: str = "None"
    last: bool = False

    def encode(self) -> dict[str, Any]:
        """Return the part as the task's input contains it."""
        found: dict[str, Any] = {"url": self.url}
        if self.length is not None:
            found |= {"start": self.start, "length": self.length}
        if self.last:
            found["last"] = True
        if self.compression != "None":
            found["compression"] = self.compression
        return found


@frozen
class Split:
    """The parts that one map task reads, in order."""

    parts: tuple[Part, ...]

    def encode(self) -> str:
        """Return the task's input."""
        document = {"files": [part.encode() for part in self.parts]}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> Split:
        """Parse a task's input.

        Raise ValueError if `text` is not one.
        """
        try:
            document = json.loads(text)
            return cls(tuple(_part(each) for each in document["files"]))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{text[:80]!r} is not a split: {type(error).__name__}: {error}; give the input of a map task of a job"
                ' with spec.split, {"files": [{"url": …}, …]}'
            ) from error


def _part(document: Any) -> Part:
    length = document.get("length")
    return Part(
        str(document["url"]),
        int(document.get("start", 0)),
        None if length is None else int(length),
        str(document.get("compression", "None")),
        bool(document.get("last", False)),
    )
