"""Match addresses with globs.

`*` and `?` match within one folder, `**` across folders, `[a-z]` one of these characters, `[!a]` any other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import Pattern

_TOKEN = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\[\]/]+\]|[^*?\[]+")
_WILD = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}


def compile_glob(glob: str, literal: Callable[[str], str] = str) -> tuple[str, Pattern[str]]:
    """Return the prefix of all matches, and a regular expression for them.

    `literal` decodes the parts that are no wildcards.  Raises ValueError for brackets that no character can match, such
    as `[z-a]`.
    """
    begin, expression, plain = "", "", True
    for token in _TOKEN.findall(glob):
        wild = token in _WILD or token.startswith("[")
        plain = plain and not wild
        if not wild:
            text = literal(token)
            begin += text if plain else ""
            expression += re.escape(text)
        else:
            expression += _WILD.get(token) or _bracket(token)
    try:
        return begin, re.compile(expression, re.DOTALL)
    except re.error as error:
        raise ValueError(f"{error.msg} in {glob!r}") from None


def _bracket(token: str) -> str:
    negated = token.startswith("[!")
    inside = token[2 if negated else 1 : -1]
    escaped = "".join(letter if letter == "-" else re.escape(letter) for letter in inside)
    return f"(?!/)[{'^' if negated else ''}{escaped}]"
