"""A plain directory as an object store, for local runs, tests and network file systems.

A key is the path of a file.  An object is written under another name in the same folder, and renamed when it is
complete, so it appears whole or not at all.  The names of unfinished files begin with `.kubemr-part-`.  Listings leave
them out, and `delete_prefix` removes those that a killed process left.

*Durability*: written objects survive the death of the process that wrote them.  By default no file is fsynced, so a
power failure may lose the latest objects or leave them empty.  `durable=True` fsyncs each object before it appears, and
its folder afterwards.

*Folders* are created when an object is written, and removed when their last object is deleted.  To remove an empty
folder is atomic (rmdir).  If a writer's folder vanishes before its file is in it, the writer creates the folder again.

Unlike in S3, an object and a folder cannot have the same name (`InvalidKeyError`).  Symbolic links to files are read;
links to directories are neither listed nor followed by a deletion.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote

from kubemr.storage import transfer
from kubemr.storage.base import ObjectInfo, Path
from kubemr.storage.errors import (
    AccessDeniedError,
    InvalidKeyError,
    NoSuchKeyError,
    ReadOnlyError,
    StorageError,
    StorageFullError,
)
from kubemr.storage.keys import PART_MARK, check_folder, check_key, check_prefix, check_start
from kubemr.storage.transfer import part_path, remove_if_there

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_BUFFER = 256 * 1024

_MAKE_FOLDER_ATTEMPTS = 100
"""How often a folder may vanish between its creation and that of a file in it, before that is an error."""


_BY_ERRNO: dict[int, type[StorageError]] = {
    errno.EACCES: AccessDeniedError,
    errno.EPERM: AccessDeniedError,
    errno.EROFS: ReadOnlyError,
    errno.ENOSPC: StorageFullError,
    errno.EDQUOT: StorageFullError,
    errno.EFBIG: StorageFullError,
    errno.ENAMETOOLONG: InvalidKeyError,
    errno.EILSEQ: InvalidKeyError,
}

_REMEDIES: dict[type[StorageError], str] = {
    AccessDeniedError: "check the owner and the mode of the directory and of what is in it",
    ReadOnlyError: "the file system is mounted read-only: mount it writable, or use another directory",
}


class DirectoryStore:
    """The directory `root` as an object store.  The first write or `check` creates the directory."""

    def __init__(self, root: Path, *, durable: bool = False) -> None:
        self.root = os.path.abspath(os.fspath(root))
        self.durable = durable
        self._name = "file://" + quote(self.root)

    def __repr__(self) -> str:
        return f"DirectoryStore({self.root!r})"

    def _path(self, operation: str, key: str) -> str:
        check_key(operation, self._name, key)
        return os.path.join(self.root, key)

    def put(self, key: str, data: bytes) -> None:
        """Write an object."""
        with self._written("put", key) as stream:
            stream.write(data)

    def get(self, key: str) -> bytes:
        """Read an object."""
        with self._opened("get", key) as stream, self._translate_errors("get", key):
            return stream.read()

    def reader(self, key: str, start: int = 0) -> BinaryIO:
        """Open an object for reading."""
        check_start(start)
        stream = self._opened("reader", key)
        stream.seek(start)
        return stream

    def _opened(self, operation: str, key: str) -> BinaryIO:
        path = self._path(operation, key)
        with self._translate_errors(operation, key):
            try:
                return open(path, "rb")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise NoSuchKeyError(operation, self._name, key, "there is no such file") from None

    def writer(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Write an object in chunks."""
        return self._written("writer", key)

    @contextmanager
    def _written(self, operation: str, key: str) -> Iterator[BinaryIO]:
        path = self._path(operation, key)
        with self._translate_errors(operation, key):
            raw = self._create_part(operation, key, os.path.dirname(path))
        try:
            with io.BufferedWriter(raw, _BUFFER) as stream:
                yield stream
            with self._translate_errors(operation, key):
                self._publish(operation, key, raw.part, path)
        except BaseException:
            raw.discard()
            remove_if_there(raw.part)
            self._prune(os.path.dirname(path))
            raise

    def _create_part(self, operation: str, key: str, folder: str) -> _PartFile:
        for _ in range(_MAKE_FOLDER_ATTEMPTS):
            try:
                os.makedirs(folder, exist_ok=True)
                return _PartFile(part_path(folder), lambda error: error_for_os_error(error, operation, self._name, key))
            except (FileNotFoundError, FileExistsError, NotADirectoryError):
                # Another process may have pruned the folder between the steps.  If a folder vanishes after makedirs has
                # found it, makedirs takes it for a file.
                if not _has_file_in(folder):
                    continue
                problem = "part of its path is an object, so it cannot be a folder as well"
                raise InvalidKeyError(operation, self._name, key, problem) from None
        problem = f"its folder was removed {_MAKE_FOLDER_ATTEMPTS} times in a row while a file was being created in it"
        raise StorageError(operation, self._name, key, problem, "stop the process that keeps deleting it")

    def _publish(self, operation: str, key: str, part: str, path: str) -> None:
        try:
            if self.durable:
                _fsync(part)
            os.replace(part, path)
        except IsADirectoryError:
            raise InvalidKeyError(
                operation, self._name, key, "it is a folder, so it cannot be an object as well"
            ) from None
        except FileNotFoundError:
            problem = "the unfinished object was removed while it was being written"
            raise StorageError(
                operation, self._name, key, problem, "do not delete a prefix while it is in use"
            ) from None
        if self.durable:
            _fsync(os.path.dirname(path))

    def put_file(self, key: str, path: Path) -> None:
        """Store a local file as an object."""
        with open(path, "rb") as source, self._written("put_file", key) as target:
            transfer.copy(source, target)

    def get_file(self, key: str, path: Path) -> None:
        """Store an object as a local file."""
        transfer.get_file(self, key, path)

    def stat(self, key: str) -> ObjectInfo | None:
        """Return an object's key and size, or None if it does not exist."""
        path = self._path("stat", key)
        with self._translate_errors("stat", key):
            try:
                status = os.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return ObjectInfo(key, status.st_size) if S_ISREG(status.st_mode) else None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Yield the objects whose keys begin with `prefix`, one folder at a time."""
        check_prefix("list", self._name, prefix)
        folder, _, begin = prefix.rpartition("/")
        return self._list(folder + "/" if folder else "", begin)

    def _list(self, folder: str, begin: str) -> Iterator[ObjectInfo]:
        with self._translate_errors("list", folder):
            try:
                with os.scandir(os.path.join(self.root, folder)) as entries:
                    found = [entry for entry in entries if entry.name.startswith(begin)]
            except (FileNotFoundError, NotADirectoryError):
                return
        # A folder sorts as its keys do: by its name and a slash.
        named = [(e.name + "/" if e.is_dir(follow_symlinks=False) else e.name, e) for e in found]
        for name, entry in sorted(named, key=lambda pair: os.fsencode(pair[0])):
            if name.endswith("/"):
                yield from self._list(folder + name, "")
            elif not name.startswith(PART_MARK) and entry.is_file():
                with self._translate_errors("list", folder + name):
                    try:
                        size = entry.stat().st_size
                    except FileNotFoundError:
                        continue  # deleted since the folder was read
                yield ObjectInfo(folder + name, size)

    def delete(self, key: str) -> None:
        """Remove an object."""
        path = self._path("delete", key)
        with self._translate_errors("delete", key):
            try:
                remove_if_there(path)
            except (NotADirectoryError, IsADirectoryError):
                return
            self._prune(os.path.dirname(path))

    def delete_prefix(self, prefix: str, keep: Callable[[str], bool] | None = None) -> int:
        """Remove a folder with all finished and unfinished files in it, except the objects to `keep`."""
        folder = check_folder("delete_prefix", self._name, prefix)
        with self._translate_errors("delete_prefix", folder):
            path = os.path.join(self.root, folder.rstrip("/"))
            if os.path.islink(path) or not os.path.isdir(path):
                return 0
            removed = self._remove_tree(path, keep)
            self._prune(os.path.dirname(path))
        return removed

    def _remove_tree(self, folder: str, keep: Callable[[str], bool] | None) -> int:
        removed = 0
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except FileNotFoundError:
            return 0  # another process is deleting it too
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                removed += self._remove_tree(entry.path, keep)
            elif keep is not None and keep(os.path.relpath(entry.path, self.root)):
                continue
            elif remove_if_there(entry.path) and not entry.name.startswith(PART_MARK):
                removed += 1
        _remove_if_empty(folder)
        return removed

    def _prune(self, folder: str) -> None:
        """Remove `folder` and its parents, below the root, as long as they are empty."""
        while folder.startswith(self.root + os.sep) and _remove_if_empty(folder):
            folder = os.path.dirname(folder)

    def url(self, key: str) -> str:
        """Return the address of an object."""
        return "file://" + quote(self._path("url", key))

    def check(self) -> None:
        """Create the directory if it is missing, and a file in it."""
        with self._translate_errors("check", ""):
            try:
                raw = self._create_part("check", "", self.root)
            except InvalidKeyError:
                raise StorageError("check", self._name, "", "it is not a directory", "name a directory") from None
            with raw:
                remove_if_there(raw.part)
                raw.write(b"kubemr")

    def _translate_errors(self, operation: str, key: str) -> AbstractContextManager[None]:
        return translate_os_errors(operation, self._name, key)


class _PartFile(io.FileIO):
    """An unfinished file.  If the file system rejects a write, the write raises an error of the store."""

    def __init__(self, part: str, error_of: Callable[[OSError], StorageError]) -> None:
        super().__init__(part, "x")
        self.part = part
        self._error_of = error_of
        self._discarded = False

    def write(self, data: Buffer, /) -> int:
        if self._discarded:
            return len(memoryview(data))
        try:
            return super().write(data) or 0
        except OSError as error:
            raise self._error_of(error) from error

    def discard(self) -> None:
        """Ignore what is still buffered, because the file is abandoned."""
        self._discarded = True


@contextmanager
def translate_os_errors(operation: str, store: str, key: str) -> Iterator[None]:
    """Raise an OSError of the block as the `StorageError` that explains it."""
    try:
        yield
    except OSError as error:
        raise error_for_os_error(error, operation, store, key) from error


def error_for_os_error(error: OSError, operation: str, store: str, key: str) -> StorageError:
    """Return the `StorageError` for an OSError."""
    kind = _BY_ERRNO.get(error.errno or 0, StorageError)
    code = errno.errorcode.get(error.errno or 0, type(error).__name__)
    return kind(operation, store, key, f"{error.strerror or error} ({code})", _REMEDIES.get(kind, ""))


def _has_file_in(folder: str) -> bool:
    """Find out whether some part of the path exists and is not a folder."""
    while True:
        try:
            return not S_ISDIR(os.stat(folder).st_mode)
        except (FileNotFoundError, NotADirectoryError):
            folder = os.path.dirname(folder)


def _fsync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_if_empty(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except OSError:
        return False  # it holds an object, or another process removed it
    return True
