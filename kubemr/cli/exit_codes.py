"""The exit codes of all commands, as docs/cli.md lists them."""

from __future__ import annotations

from typing import Final

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
EXIT_TIMEOUT: Final = 124
EXIT_SIGNAL: Final = 128
"""To which the number of the signal is added: 130 after SIGINT."""
EXIT_INTERRUPTED: Final = 130
