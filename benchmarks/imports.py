"""What importing `kubemr.locks` costs beyond Python's own start.

Starts new interpreters in turn, with and without the import, and takes the fastest of each: what is left out is the
machine's noise.  Prints a table and writes `build/bench/imports.json`, a list of `{name, value, unit}`::

    python benchmarks/imports.py [rounds]
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from figures import OUT, ROOT, write

LIMIT = 60.0
"""Milliseconds that `import kubemr.locks` may take."""

CASES = {
    "python": "pass",
    "import attr": "import attr",
    "import kubemr.locks": "import kubemr.locks",
    "import kubemr.locks.http": "import kubemr.locks.http",
    "import kubemr.locks.aio": "import kubemr.locks.aio",
}


def start(code: str, cache: Path) -> float:
    """Milliseconds from the start of an interpreter to its end; bytecode is kept in `cache`."""
    command = [sys.executable, "-X", f"pycache_prefix={cache}", "-c", code]
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, check=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure, print, write."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    cache = OUT / "pycache"
    fastest = dict.fromkeys(CASES, float("inf"))
    for turn in range(rounds + 1):
        for name, code in CASES.items():
            took = start(code, cache)
            if turn > 0:  # the first round fills the cache
                fastest[name] = min(fastest[name], took)
    own = fastest.pop("python")
    results = [{"name": "python", "value": round(own, 1), "unit": "ms"}]
    results += [{"name": name, "value": round(took - own, 1), "unit": "ms"} for name, took in fastest.items()]
    write("imports", results)
    for result in results:
        print(f"{result['name']:28} {result['value']:6} ms")
    locks = next(result for result in results if result["name"] == "import kubemr.locks")
    print(f"limit for import kubemr.locks: {LIMIT:g} ms; it takes {locks['value']} ms beyond Python's own start")


if __name__ == "__main__":
    main()
