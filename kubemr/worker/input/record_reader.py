"""Read the records of a part of a file: whole lines, each in exactly one part, wherever the file was split.

A record belongs to the part in which it begins.
So a part that begins inside a record skips that record.
The last record of a part is read to its end, beyond the end of the part.
The byte before a part shows whether a record begins at its start.
A line ends with LF or CRLF; the last line of a file need not.

The parts of a file follow from its size, as it was listed or as a manifest states it.
The reader of the last part checks whether the file has that size.
Otherwise records after the last part would be in no part.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from typing import Any, BinaryIO, Final

from kubemr.coordination.splits import Part
from kubemr.storage.open import size_of

BLOCK_BYTES: Final = 256 * 1024
"""How many bytes to decompress, or to search for the end of a record, at once."""
_MODULES: Final = {"Gzip": ("gzip", "GzipFile"), "Bzip2": ("bz2", "BZ2File"), "Xz": ("lzma", "LZMAFile")}
_DAMAGED: Final = ("BadGzipFile", "EOFError", "LZMAError", "OSError", "ZstdError", "error")
"""The names of the exceptions that decompressors raise; `error` is that of zlib."""


class RecordsError(Exception):
    """A file cannot be read as records; the message has the file, the reason and the remedy."""


def records(part: Part, open_at: Callable[[str, int], BinaryIO]) -> Iterator[bytes]:
    """Yield the records of a part, without their line ends; `open_at` opens a file at an offset.

    Raise `RecordsError`, and what `open_at` and its stream raise.
    """
    if part.compression != "None":
        with closing(open_at(part.url, 0)) as stream:
            yield from _decompressed_records(part, stream)
        return
    with closing(open_at(part.url, max(part.start - 1, 0))) as stream:
        stop = None if part.length is None else part.start + part.length
        position = _find_first_record(stream, part.start, stop)
        if stop is None or position < stop:
            for line in stream:
                yield _strip_line_end(line)
                position += len(line)
                if stop is not None and position >= stop:
                    break
        if stop is not None:
            _check_end(part, stream, position, stop)


def _check_end(part: Part, stream: BinaryIO, position: int, stop: int) -> None:
    """Raise `RecordsError` unless the file, whose `stream` is at `position`, has the expected size."""
    if position < stop:
        found, expected = f"has no more than {position}", f"{stop}" if part.last else f"{stop} at least"
    elif part.last and (position > stop or stream.read(1)):
        found, expected = f"has {size_of(stream) or f'more than {stop}'}", f"{stop}"
    else:
        return
    raise RecordsError(
        f"{part.url}: {found} bytes, and {expected} by the manifest or when it was listed;"
        " correct the manifest, do not change inputs while a job runs, and create the job again"
    )


def _find_first_record(stream: BinaryIO, start: int, stop: int | None) -> int:
    """Move the stream to the first record that begins at `start` or later, or beyond `stop`; return the position."""
    position = start - 1
    while start > 0:
        block = stream.readline(BLOCK_BYTES)
        position += len(block)
        if not block or block.endswith(b"\n") or (stop is not None and position >= stop):
            return position
    return 0


def _strip_line_end(line: bytes) -> bytes:
    if line.endswith(b"\r\n"):
        return line[:-2]
    return line[:-1] if line.endswith(b"\n") else line


def _decompressed_records(part: Part, stream: BinaryIO) -> Iterator[bytes]:
    decompressed = io.BufferedReader(_open_decompressor(part, stream), BLOCK_BYTES)
    while True:
        try:
            line = decompressed.readline()
        except Exception as error:
            if type(error).__name__ not in _DAMAGED:
                raise
            raise RecordsError(
                f"{part.url}: cannot be decompressed as {part.compression}: {type(error).__name__}: {error};"
                " write the file again, or correct spec.inputFormat.compression"
            ) from error
        if not line:
            return
        yield _strip_line_end(line)


def _open_decompressor(part: Part, stream: BinaryIO) -> Any:
    """Return a raw stream of the decompressed content of `stream`, of all its members or frames."""
    if part.compression == "Zstd":
        return _zstd(part, stream)
    if part.compression not in _MODULES:
        known = ", ".join(("None", *_MODULES, "Zstd"))
        raise RecordsError(f"{part.url}: compression {part.compression!r} is unknown; known are {known}")
    module, name = _MODULES[part.compression]
    # Imported only when needed, which is rare.
    decompressor = getattr(import_module(module), name)
    return decompressor(fileobj=stream) if part.compression == "Gzip" else decompressor(stream)


def _zstd(part: Part, stream: BinaryIO) -> Any:
    try:
        return import_module("compression.zstd").ZstdFile(stream)
    except ImportError:
        pass  # Python has its own decompressor from 3.14 on.
    try:
        decompressor = import_module("zstandard").ZstdDecompressor()
    except ImportError:
        raise RecordsError(
            f"{part.url}: is compressed with Zstd, but this image has no decompressor; install zstandard in it, or"
            " use Python 3.14"
        ) from None
    return decompressor.stream_reader(stream, read_across_frames=True)
