"""What importing `kubemr.locks` costs beyond Python's own start.

Starts new interpreters in turn, with and without the import, and takes the fastest of each: what is left out is the
machine's noise.  The peer is the official client, which brings locks of its own (leader election).  Prints a table and
writes `build/bench/imports.json`; exit code 1 when the promise of docs/locks.md is not kept::

    make bench-imports ROUNDS=15
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from figures import OUT, ROOT, verdict, write

LIMIT = 60.0
"""Milliseconds that `import kubemr.locks` may take."""

LOCKS, PEER = "import kubemr.locks", "import kubernetes.leaderelection.leaderelection"
CASES = ["pass", "import attr", LOCKS, "import kubemr.locks.http", "import kubemr.locks.aio", PEER]


def start(code: str, cache: Path) -> float:
    """Milliseconds from the start of an interpreter to its end; bytecode is kept in `cache`."""
    command = [sys.executable, "-X", f"pycache_prefix={cache}", "-c", code]
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env={"PATH": "/usr/bin:/bin"}, check=True)
    return (time.perf_counter() - began) * 1000


def main() -> int:
    """Measure, print, write."""
    rounds = int(os.environ.get("ROUNDS") or 15)
    cache = OUT / "pycache"
    fastest = dict.fromkeys(CASES, float("inf"))
    for turn in range(rounds + 1):
        for code in CASES:
            took = start(code, cache)
            if turn > 0:  # the first round fills the cache
                fastest[code] = min(fastest[code], took)
    own = fastest.pop("pass")
    beyond = {code: took - own for code, took in fastest.items()}
    results: list[dict[str, object]] = [{"name": "python", "value": round(own, 1), "unit": "ms"}]
    results += [{"name": code, "value": round(took, 1), "unit": "ms"} for code, took in beyond.items() if code != LOCKS]
    peer = {"peer": PEER, "peer_value": round(beyond[PEER], 1), "ratio": round(beyond[LOCKS] / beyond[PEER], 2)}
    results.append({"name": LOCKS, "value": round(beyond[LOCKS], 1), "unit": "ms", **peer})
    write("imports", results)
    for result in results:
        print(f"{result['name']:50} {result['value']:6} ms")
    print(f"{beyond[LOCKS] / beyond[PEER]:.2f} times what {PEER} takes")
    return verdict([(f"{LOCKS} takes at most {LIMIT:g} ms", beyond[LOCKS] <= LIMIT)], "docs/locks.md")


if __name__ == "__main__":
    sys.exit(main())
