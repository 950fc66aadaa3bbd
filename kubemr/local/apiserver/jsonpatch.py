"""Apply a JSON Patch (RFC 6902) exactly as the apiserver does.

The apiserver uses `gopkg.in/evanphx/json-patch.v4`, which departs from the RFC.  The `jsonpatch` package follows the
RFC, so this module applies patches itself.  The departures:

=====================================  ======================================================
`test` of an absent member             passes when the value is null or missing
`replace` of an absent member          acts as `add`
`copy` from an absent member           adds null
a path without a leading `/`           what stands before the first `/` is ignored; no `/` at all fails
array indexes                          `-1` is the last item (`add`: behind the last); `01`, `+1` are 1
`add`/`replace` without `value`        null
scalars in `test`                      compared as text: `1.0` is not `1` (see `go_json`)
`test` of an array that holds null     the real server panics (500); here the test fails
=====================================  ======================================================

The answer to a failed operation is always the same 422: it says neither which operation failed nor why.
Documents are shared: `apply` copies the containers on the path of a change and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from kubemr.local.apiserver.errors import ApiError, bad_request, patch_failed, too_large
from kubemr.local.apiserver.go_json import SpelledInt, SpelledStr, spell
from kubemr.locks.effects import Json

MAX_OPERATIONS: Final = 10_000

_GO_TYPES: Final = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


class _OperationFailedError(Exception):
    """An operation does not apply."""


def go_type(value: Json) -> str:
    """Return what Go's JSON decoder calls a value in `cannot unmarshal <this> into …`."""
    for kind, name in ((bool, "bool"), *_GO_TYPES.items()):
        if isinstance(value, kind):
            return name
    return "null"


def check_patch(patch: Json) -> list[dict[str, Json]]:
    """Return the operations of a decoded patch document.  Raises a 400 or 413 `ApiError` if its shape is wrong."""
    if patch is None:
        return []
    if not isinstance(patch, list):
        raise _shape(patch, "value of type []handlers.jsonPatchOp")
    for operation in patch:
        if operation is None:
            continue
        if not isinstance(operation, dict):
            raise _shape(operation, "value of type handlers.jsonPatchOp")
        for key in ("op", "path", "from"):
            if not isinstance(operation.get(key, ""), str | None):
                raise _shape(operation[key], f"struct field jsonPatchOp.{key} of type string")
    if len(patch) > MAX_OPERATIONS:
        raise too_large(f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(patch)}")
    return patch


def _shape(value: Json, what: str) -> ApiError:
    return bad_request(f"error decoding patch: json: cannot unmarshal {go_type(value)} into Go {what}")


class _Document:
    """A document under change.  Each container is copied once, before the first write to it."""

    def __init__(self, root: Json) -> None:
        self.root = root
        self._own: dict[int, Json] = {}  # id -> a container made here; keeping it alive keeps its id unique

    def _owned(self, container: Json) -> Json:
        if id(container) in self._own:
            return container
        copied = container.copy()
        self._own[id(copied)] = copied
        return copied

    def find(self, path: str) -> tuple[Json, str]:
        """Return the container that holds the last part of `path`, for reading."""
        parts = path.split("/")
        if len(parts) < 2:
            raise _OperationFailedError
        at = self.root
        for part in parts[1:-1]:
            at = member(at, _unescape(part))
            if not isinstance(at, dict | list):
                raise _OperationFailedError
        return at, _unescape(parts[-1])

    def own(self, path: str) -> tuple[Json, str]:
        """Return the same container for writing: every container on the path is this document's own copy."""
        self.find(path)
        self.root = at = self._owned(self.root)
        parts = path.split("/")
        for part in parts[1:-1]:
            key: str | int = _unescape(part)
            if isinstance(at, list):
                key = _index(str(key), len(at))
            at[key] = child = self._owned(at[key])
            at = child
        return at, _unescape(parts[-1])


def _unescape(part: str) -> str:
    if "~" not in part:
        return part
    # One pass from the left, as Go's strings.Replacer: "~01" is "~1", not "/".
    pieces = part.split("~")
    out = [pieces[0]]
    for piece in pieces[1:]:
        out.append({"0": "~", "1": "/"}[piece[0]] + piece[1:] if piece[:1] in ("0", "1") else "~" + piece)
    return "".join(out)


def _atoi(key: str) -> int:
    """Parse an integer as Go's `strconv.Atoi` does."""
    digits = key[1:] if key[:1] in ("+", "-") else key
    if not (digits.isascii() and digits.isdigit()):
        raise _OperationFailedError
    number = int(key)
    if not -(2**63) <= number < 2**63:
        raise _OperationFailedError
    return number


def _index(key: str, size: int) -> int:
    index = _atoi(key)
    if not -size <= index < size:
        raise _OperationFailedError
    return index % size


def member(container: Json, key: str) -> Json:
    """Return the member `key`; None if an object lacks it.  A list without that index fails the patch."""
    if isinstance(container, dict):
        return container.get(key)
    return container[_index(key, len(container))]


def _text(operation: Mapping[str, Json], key: str) -> str:
    value = operation.get(key)
    if value is None:
        raise _OperationFailedError
    return str(value)


def _insert(document: _Document, path: str, value: Json) -> None:
    container, key = document.own(path)
    if isinstance(container, dict):
        container[key] = value
    elif key == "-":
        container.append(value)
    else:
        size, index = len(container) + 1, _atoi(key)
        if not -size <= index < size:
            raise _OperationFailedError
        container.insert(index % size, value)


def _delete(document: _Document, path: str) -> None:
    container, key = document.own(path)
    if isinstance(container, dict):
        if key not in container:
            raise _OperationFailedError
        del container[key]
    else:
        del container[_index(key, len(container))]


def _add(document: _Document, operation: Mapping[str, Json]) -> None:
    _insert(document, _text(operation, "path"), operation.get("value"))


def _remove(document: _Document, operation: Mapping[str, Json]) -> None:
    _delete(document, _text(operation, "path"))


def _replace(document: _Document, operation: Mapping[str, Json]) -> None:
    path, value = _text(operation, "path"), operation.get("value")
    if path == "":
        if not isinstance(value, dict | list):
            raise _OperationFailedError
        document.root = value
        return
    container, key = document.own(path)
    if isinstance(container, dict):
        container[key] = value
    else:
        container[_index(key, len(container))] = value


def _move(document: _Document, operation: Mapping[str, Json]) -> None:
    source = _text(operation, "from")
    value = member(*document.find(source))
    _delete(document, source)
    _insert(document, _text(operation, "path"), value)


def _copy(document: _Document, operation: Mapping[str, Json]) -> None:
    # The copy may share containers with its origin: both are copied again before a write …
    value = _detached(member(*document.find(_text(operation, "from"))))
    _insert(document, _text(operation, "path"), value)


def _detached(value: Json) -> Json:
    # … except those that this document owns, which it would write to in place; so they are copied now.
    if isinstance(value, dict):
        return {key: _detached(item) for key, item in value.items()}
    return [_detached(item) for item in value] if isinstance(value, list) else value


def _test(document: _Document, operation: Mapping[str, Json]) -> None:
    path = _text(operation, "path")
    have = document.root if path == "" else member(*document.find(path))
    want = operation.get("value")
    if not (have is want is None or same(have, want)):
        raise _OperationFailedError


_SCALARS: Final = (str, int, bool, float)


def same(have: Json, want: Json) -> bool:
    """Decide whether `test` passes: containers are compared by their members, scalars by their text."""
    kind = type(have)
    if kind in _SCALARS and kind is type(want):
        return bool(have == want)
    if kind is dict:
        return (
            isinstance(want, dict)
            and len(have) == len(want)
            and all(key in want and _same_member(value, want[key]) for key, value in have.items())
        )
    if kind is list:
        return isinstance(want, list) and len(have) == len(want) and all(map(same, have, want))
    if have is None or want is None or isinstance(want, dict | list):
        return False
    return _spelled(have, want) and spell(have) == spell(want)


def _same_member(have: Json, want: Json) -> bool:
    return have is want is None or same(have, want)


def _spelled(have: Json, want: Json) -> bool:
    by_text = SpelledStr | SpelledInt | float
    return isinstance(have, by_text) or isinstance(want, by_text)


_OPERATIONS: Final[dict[Json, Callable[[_Document, Mapping[str, Json]], None]]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def apply(document: Json, patch: Json) -> Json:
    """Return the document after `patch` (decoded); the same object if nothing was written.

    Raises `ApiError`: 400 for a malformed patch, 413 for more than 10,000 operations, 422 if an operation does not
    apply.
    """
    under_change = _Document(document)
    for operation in check_patch(patch):
        run = _OPERATIONS.get((operation or {}).get("op"))
        if run is None:
            raise patch_failed()
        try:
            run(under_change, operation)
        except _OperationFailedError:
            raise patch_failed() from None
    return under_change.root


def merge(document: Json, patch: Json) -> Json:
    """Return the document after a JSON Merge Patch (RFC 7386); it shares what does not change."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            merged[key] = merge(merged.get(key), value)
        else:
            merged[key] = value
    return merged


def check_merge_patch(patch: Json) -> Json:
    """Return a decoded merge patch.  Raises a 400 `ApiError` if it is not an object."""
    if patch is None:
        raise bad_request("Invalid JSON Patch")
    if not isinstance(patch, dict):
        raise _shape(patch, "value of type map[string]interface {}")
    return patch
