"""The version number of the worker protocol (docs/protocol.md).

A worker that is too old for a job compares the numbers, and names both in its error.
The number rises when objects contain something that a worker of the version before would reject or misread.
It does not rise when workers only may do more than before.
"""

from __future__ import annotations

from typing import Final

PROTOCOL: Final = 1
