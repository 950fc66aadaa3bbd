"""Print values as Go does: `%q`, `%v` and `json.Marshal`.

The apiserver's messages quote values in Go's notation.  The embedded apiserver and the validation use these three
functions to answer with the same text.
"""

from __future__ import annotations

import json
import math

from kubemr.locks.encoding import escape
from kubemr.resources.json_types import Json

_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
    '"': '\\"',
}


def quote(text: str) -> str:
    """Return `strconv.Quote(text)`: printable characters as they are, the others escaped."""
    out = ['"']
    for char in text:
        code = ord(char)
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif char == " " or char.isprintable():
            out.append(char)
        elif code < 0x80:
            out.append(f"\\x{code:02x}")
        elif code < 0x10000:
            out.append(f"\\u{code:04x}")
        else:
            out.append(f"\\U{code:08x}")
    out.append('"')
    return "".join(out)


def number(value: float) -> str:
    """Return `%v` of an int64 or a float64: the shortest digits, an exponent from 1e21 on and below 1e-4."""
    if isinstance(value, int):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    size = abs(value)
    if value == int(value) and size < 1e21:
        return str(int(value))
    text = repr(value)
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa.removesuffix('.0')}e{exponent[0]}{exponent[1:].zfill(2)}"


def marshal(value: Json) -> str:
    """`json.Marshal`: no spaces, keys sorted, `<`, `>` and `&` escaped."""
    return escape(json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False))


def bad_value(value: Json) -> str:
    """Return a rejected value as the apiserver shows it after `Invalid value: `."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, str):
        return quote(value)
    return marshal(value)
