"""JSON as the apiserver itself writes it.

The apiserver's JSON Patch compares the JSON *text* of two strings, not their characters.
A `test` for "é" that is sent as ``"\\u00e9"`` fails on an object that contains "é".
So does a `test` for "<" that is not sent as ``"\\u003c"``.
Go's `encoding/json` escapes ``< > &`` and the two Unicode line separators, and no other character without need.
A condition on a value that was read must therefore be sent in the same spelling.
"""

from __future__ import annotations

import json
from typing import Final

from kubemr.locks.effects import Json

ESCAPED: Final = "<>&\u2028\u2029"
"""The characters of a string that Go's `encoding/json` escapes and Python's `json` does not."""
_ESCAPES: Final = {ord(char): f"\\u{ord(char):04x}" for char in ESCAPED}


def encode(document: Json) -> bytes:
    """Return `document` as the body of a request.

    A lone surrogate, which UTF-8 cannot encode, becomes "?".
    """
    return escape(json.dumps(document, ensure_ascii=False, separators=(",", ":"))).encode("utf-8", "replace")


def escape(text: str) -> str:
    """Return the JSON `text` with the characters in `ESCAPED` written as Go writes them."""
    if any(char in text for char in ESCAPED):  # Rare; to search for five characters is fast.
        return text.translate(_ESCAPES)
    return text
