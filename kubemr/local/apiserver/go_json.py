r"""Write JSON as Go does, and remember which decoded values were spelled differently.

The apiserver compares the operands of a JSON Patch `test` as *text*: the stored document as Go's `encoding/json` spells
it, and the bytes of the patch.  So `1.0` is not `1`, and `"\u00e9"` or `"<"` are not the stored `"é"` or `"<"` (which
Go spells `"é"` and `"\u003c"`).  A client whose strings may hold `<`, `>`, `&`, U+2028, U+2029 or non-ASCII must spell
them in Go's way.

`decode_json_exact` keeps the spelling of scalars that Go would spell differently: they are `SpelledStr`, `SpelledInt`
or `SpelledFloat`, which remember their text.  All other values are plain.
"""

from __future__ import annotations

import json
import re
from typing import Final

from kubemr.locks.effects import Json
from kubemr.locks.encoding import ESCAPED, escape


class SpelledStr(str):
    """A string whose text in the patch differs from Go's spelling."""

    text: str


class SpelledInt(int):
    """An integer whose text differs from Go's spelling, e.g. `-0`."""

    text: str


class SpelledFloat(float):
    """A number whose text differs from Go's spelling, e.g. `1.0` or `1e3`."""

    text: str


_SPECIAL = re.compile(rf"[{ESCAPED}\\]")


def spell_str(value: str) -> str:
    """Return a string with its quotes as Go's `encoding/json` writes it."""
    return escape(json.dumps(value, ensure_ascii=False))


def integral(value: float) -> int:
    """Return an integral float as the integer that its shortest digits spell: 1.2345678901234567e19 ends in 000."""
    mantissa, _, exponent = repr(value).partition("e")
    if not exponent:
        return int(value)
    digits, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    return int(digits + fraction.ljust(int(exponent), "0"))


def spell_number(value: float) -> str:
    """Return an int64 or float64 as Go's `encoding/json` writes it: exponents below 1e-6 and from 1e21 on."""
    if isinstance(value, int):
        return str(int(value))
    size = abs(value)
    if size != 0 and (size < 1e-6 or size >= 1e21):
        mantissa, _, exponent = f"{value!r}".partition("e")
        if not exponent:  # repr uses the exponent only below 1e-4 and from 1e16 on, so there is always one here
            raise ValueError(f"{value!r}: no exponent in a number of this size")
        return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].lstrip('0')}"
    if value == int(value):
        return "-0" if value == 0 and str(value)[0] == "-" else str(integral(value))
    text = repr(value)
    if "e" in text:
        text = f"{value:.20f}".rstrip("0")
    return text


def spell(value: Json) -> str:
    """Return the text of a scalar: as remembered, else as Go writes it."""
    if isinstance(value, SpelledStr | SpelledInt | SpelledFloat):
        return value.text
    if isinstance(value, str):
        return spell_str(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return spell_number(value)


_INT64 = (-(2**63), 2**63 - 1)


def plain(value: Json) -> Json:
    """Return a copy of a decoded document as Go stores it: no remembered spellings, integral floats as integers."""
    if isinstance(value, dict):
        return {str(key): plain(member) for key, member in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return value if type(value) is str else str.__str__(value)
    if isinstance(value, float):
        return integral(float(value)) if value.is_integer() and abs(value) < 1e21 else float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value) if _INT64[0] <= value <= _INT64[1] else plain(float(value))
    return value


def canonical(value: Json) -> bool:
    """Decide whether `plain` would return an equal document of the same types, so that no copy is needed."""
    if isinstance(value, dict):
        return all(map(canonical, value.values()))
    if isinstance(value, list):
        return all(map(canonical, value))
    if type(value) is int:
        return bool(_INT64[0] <= value <= _INT64[1])
    return value is None or type(value) in (str, bool) or (type(value) is float and not value.is_integer())


_decode = json.JSONDecoder().decode


def decode_json(text: str) -> Json:
    """Decode a JSON document as the server decodes it for storage.  Raises `json.JSONDecodeError`."""
    value = _decode(text)
    return value if "." not in text and "e" not in text and "E" not in text else plain(value)


def decode_json_exact(text: str) -> Json:
    """Decode a JSON document, and keep the spelling of scalars that Go would spell differently."""
    if not _SPECIAL.search(text):
        return json.loads(text, parse_float=_number, parse_int=_integer)
    value, end = _scan(text, _space(text, 0))
    if _space(text, end) != len(text):
        raise json.JSONDecodeError("Extra data", text, end)
    return value


def _integer(text: str) -> int:
    if text != "-0":
        return int(text)
    value = SpelledInt(text)
    value.text = text
    return value


def _number(text: str) -> float:
    value = float(text)
    if spell_number(value) == text:
        return value
    spelled = SpelledFloat(value)
    spelled.text = text
    return spelled


_BLANK = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"', re.DOTALL)
_ATOM = re.compile(r"-?(?:0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?|true|false|null", re.ASCII)
_ATOMS: Final = {"true": True, "false": False, "null": None}


def _space(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at


def _scan(text: str, at: int) -> tuple[Json, int]:
    """Decode a value.  This slow decoder is used only if a spelling may matter."""
    opening = text[at : at + 1]
    if opening == "{":
        return _scan_object(text, at)
    if opening == "[":
        return _scan_list(text, at)
    if opening == '"':
        return _scan_string(text, at)
    found = _ATOM.match(text, at)
    if not found:
        raise json.JSONDecodeError("Expecting value", text, at)
    atom = found.group()
    if atom in _ATOMS:
        return _ATOMS[atom], found.end()
    return (_number(atom) if found.group(1) or found.group(2) else _integer(atom)), found.end()


def _scan_string(text: str, at: int) -> tuple[str, int]:
    found = _STRING.match(text, at)
    if not found:
        raise json.JSONDecodeError("Unterminated string", text, at)
    raw = found.group()
    value = json.loads(raw)
    if spell_str(value) == raw:
        return value, found.end()
    spelled = SpelledStr(value)
    spelled.text = raw
    return spelled, found.end()


def _scan_list(text: str, at: int) -> tuple[list[Json], int]:
    items: list[Json] = []
    at = _space(text, at + 1)
    if text[at : at + 1] == "]":
        return items, at + 1
    while True:
        item, at = _scan(text, _space(text, at))
        items.append(item)
        at = _space(text, at)
        mark = text[at : at + 1]
        at += 1
        if mark == "]":
            return items, at
        if mark != ",":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at - 1)


def _scan_object(text: str, at: int) -> tuple[dict[str, Json], int]:
    members: dict[str, Json] = {}
    at = _space(text, at + 1)
    if text[at : at + 1] == "}":
        return members, at + 1
    while True:
        at = _space(text, at)
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("Expecting property name enclosed in double quotes", text, at)
        key, at = _scan_string(text, at)
        at = _space(text, at)
        if text[at : at + 1] != ":":
            raise json.JSONDecodeError("Expecting ':' delimiter", text, at)
        members[str.__str__(key)], at = _scan(text, _space(text, at + 1))
        at = _space(text, at)
        mark = text[at : at + 1]
        at += 1
        if mark == "}":
            return members, at
        if mark != ",":
            raise json.JSONDecodeError("Expecting ',' delimiter", text, at - 1)
