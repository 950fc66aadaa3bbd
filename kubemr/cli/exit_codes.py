"""The exit codes of all commands, as docs/cli.md lists them."""

from __future__ import annotations

from typing import Final

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
EXIT_TIMEOUT: Final = 124
EXIT_SIGNAL: Final = 128
"""The base of a signal's exit code: 130 is 128 and SIGINT's number 2."""
EXIT_INTERRUPTED: Final = 130
