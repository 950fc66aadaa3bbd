"""JSON as the apiserver itself writes it.

Its JSON Patch compares the *text* of two strings, not what they mean: a `test` for "é" sent as ``"\\u00e9"``
fails on an object that holds it, and so does one for "<" that is not sent as ``"\\u003c"``.  (Go's
`encoding/json` escapes ``< > &`` and the two Unicode line separators, and nothing else that need not be.)
A condition on a value that was read has to be sent in the same words.
"""

from __future__ import annotations

import json
from typing import Final

from kubemr.locks.effects import Json

ESCAPED: Final = "<>&\u2028\u2029"
"""What Go's `encoding/json` escapes in a string and Python's `json` does not."""
_ESCAPES: Final = {ord(char): f"\\u{ord(char):04x}" for char in ESCAPED}


def encode(document: Json) -> bytes:
    """`document` as the body of a request.  A lone surrogate, which JSON cannot carry, becomes "?"."""
    return escape(json.dumps(document, ensure_ascii=False, separators=(",", ":"))).encode("utf-8", "replace")


def escape(text: str) -> str:
    """Return the JSON `text` with the characters in `ESCAPED` written as Go writes them."""
    if any(char in text for char in ESCAPED):  # rarely: looking for five letters is much quicker than replacing them
        return text.translate(_ESCAPES)
    return text
