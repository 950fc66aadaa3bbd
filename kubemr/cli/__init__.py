"""The command line: `kubemr run`, `validate`, `attempts`, `logs`."""

import sys

try:
    from kubemr.cli.commands import main
except KeyboardInterrupt:  # Ctrl-C during the first import
    sys.exit(130)

__all__ = ["main"]
