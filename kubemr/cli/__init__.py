"""The command line: `kubemr run`, `kubemr validate`."""

from kubemr.cli.commands import main

__all__ = ["main"]
