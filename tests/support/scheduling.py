"""Which tests one process of pytest-xdist runs, one after another: those of a file, but for what is named here."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

ONE_SERVER = "tests/differential/"
"""A folder whose tests share an apiserver: one process runs all of them, so that one such server is started."""
APART = "tests/simulation/test_planted_bugs.py"
"""A file whose tests last long and share nothing: any process may run any of them."""


def unit_of(nodeid: str) -> str:
    """Return the name of what one process runs as a whole, and the test `nodeid` with it."""
    if nodeid.startswith(ONE_SERVER):
        return ONE_SERVER
    if nodeid.startswith(APART):
        return nodeid
    return nodeid.partition("::")[0]


class Scheduling(LoadFileScheduling):  # type: ignore[misc]  # untyped
    """Hand such units to processes that have nothing left to do."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
