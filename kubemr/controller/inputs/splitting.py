"""Turn files into the inputs of map tasks.  Without `spec.split` each file is one task, whose input is its address.

With it, a file that is larger than `size` and can be cut becomes several tasks.
Small files are packed into one task until they reach that size together, or `maxFiles`.
A last piece of up to a tenth of the size stays with the piece before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from kubemr.controller.inputs.sources import InputFile
from kubemr.coordination.splits import Part, Split, compression_of
from kubemr.locks.effects import Json
from kubemr.resources.quantity import parse_quantity

LONGEST_INPUT: Final = 256 * 1024
"""Characters of one task's input, approximately: no more files are packed into a task beyond that."""
SLACK: Final = 0.1
PROGRESS_EVERY_FILES: Final = 1000
DEFAULT_SIZE: Final = "64Mi"
DEFAULT_FILES: Final = 1000


@frozen
class SplitSettings:
    """`spec.split`, and the compression of `spec.inputFormat`."""

    size: int
    max_files: int
    compression: str = "Auto"

    @classmethod
    def of(cls, spec: Json) -> SplitSettings | None:
        """Return the settings, or None if the job's files are not split."""
        split = spec.get("split")
        if split is None:
            return None
        return cls(
            int(parse_quantity(split.get("size", DEFAULT_SIZE))),
            int(split.get("maxFiles", DEFAULT_FILES)),
            (spec.get("inputFormat") or {}).get("compression", "Auto"),
        )


def task_inputs(files: Iterable[InputFile | None], cuts: SplitSettings | None) -> Iterator[str | None]:
    """Yield the inputs of the map tasks.  A None among them means only that the listing makes progress."""
    if cuts is None:
        for found in files:
            yield None if found is None else found.url
    else:
        yield from _split(files, cuts)


def _split(files: Iterable[InputFile | None], cuts: SplitSettings) -> Iterator[str | None]:
    bag: list[Part] = []
    size = length = 0
    for count, found in enumerate(files):
        if count % PROGRESS_EVERY_FILES == 0 or found is None:
            yield None
        if found is None:
            continue
        bytes_there = found.size or 0
        compression = compression_of(found.url) if cuts.compression == "Auto" else cuts.compression
        if compression == "None" and bytes_there > cuts.size * (1 + SLACK):
            for part in _cut(found.url, bytes_there, cuts.size):
                yield Split((part,)).encode()
            continue
        full = size + bytes_there > cuts.size or len(bag) >= cuts.max_files or length > LONGEST_INPUT
        if bag and full:
            yield Split(tuple(bag)).encode()
            bag, size, length = [], 0, 0
        bag.append(Part(found.url, compression=compression))
        size += bytes_there
        length += len(found.url) + 40
    if bag:
        yield Split(tuple(bag)).encode()


def _cut(url: str, size: int, piece: int) -> Iterator[Part]:
    start = 0
    while size - start > piece * (1 + SLACK):
        yield Part(url, start, piece)
        start += piece
    yield Part(url, start, size - start, last=True)
