"""The number of the worker protocol (docs/protocol.md), so that what is too old to understand it says so by name.

It goes up when objects hold something that a worker of the number before would take for damage or misread, and
not when there is only more that a worker may do.
"""

from __future__ import annotations

from typing import Final

PROTOCOL: Final = 1
