"""Processes whose parent has died end with the run."""

from __future__ import annotations

import subprocess
import sys

from support.workerharness import ROOT

PROGRAM = """
import subprocess, sys
from kubemr.local import subreaper
subreaper.become_subreaper()
# The middle process starts another one in a new session, and dies.
middle = subprocess.run(
    ["sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!"], stdout=subprocess.PIPE, text=True, check=True
)
subreaper.end_all()
subreaper.end_all()
print(middle.stdout.strip())
"""


def test_an_orphan_in_a_session_of_its_own_is_found_and_ended() -> None:
    """It belongs to no process group of the run."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    pid = int(done.stdout)
    assert subprocess.run(["kill", "-0", str(pid)], stderr=subprocess.DEVNULL, check=False).returncode != 0
