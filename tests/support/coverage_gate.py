"""The gate on coverage: lines and branches of each named folder, each by itself.

`coverage report --fail-under` judges one figure that mixes lines and branches, so that many covered lines hide
uncovered branches.  This reads the same data file and compares the two apart.

    python tests/support/coverage_gate.py --fail-under 95 kubemr/locks kubemr/controller
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def measure(folder: str) -> dict[str, tuple[int, int]]:
    """(covered, all) of the lines and of the branches of the code below `folder`."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "coverage.json")
        command = [sys.executable, "-m", "coverage", "json", "-q", f"--include={folder}/*", "-o", str(target)]
        subprocess.run(command, check=True)
        totals = json.loads(target.read_text())["totals"]
    return {
        "lines": (totals["covered_lines"], totals["num_statements"]),
        "branches": (totals["covered_branches"], totals["num_branches"]),
    }


def main() -> int:
    """Print a line per folder; 1 when a figure is below the bound."""
    parser = argparse.ArgumentParser(description="fail when line or branch coverage of a folder is too low")
    parser.add_argument("folders", nargs="+", metavar="folder")
    parser.add_argument("--fail-under", type=float, required=True, metavar="PERCENT")
    arguments = parser.parse_args()
    failed = False
    for folder in arguments.folders:
        figures = []
        for kind, (covered, total) in measure(folder).items():
            percent = 100.0 * covered / total if total else 100.0
            failed |= percent < arguments.fail_under
            figures.append(f"{kind} {percent:.1f} % ({total - covered} of {total} not covered)")
        print(f"coverage of {folder}: {', '.join(figures)}; at least {arguments.fail_under:g} % each")
    if failed:
        print("see them with: .venv/bin/python -m coverage report -m --include='<folder>/*'", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
