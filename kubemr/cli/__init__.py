"""The command line: `kubemr run`, `validate`, `attempts`, `logs`."""

import sys

try:
    from kubemr.cli.commands import main
except KeyboardInterrupt:  # this is the first thing that a command line does: somebody changed their mind at once
    sys.exit(130)

__all__ = ["main"]
