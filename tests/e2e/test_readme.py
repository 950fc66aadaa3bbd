"""The first job in the README is one that a reader can run as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

README = Path(__file__).parents[2] / "README.md"
TEXT = "the quick brown fox jumps over the lazy dog pack my box with five dozen liquor jugs"


def test_the_first_job(tmp_path: Path) -> None:
    """Its worker and its manifest, word for word, give the counts that they promise."""
    for block in re.findall(r"```\w+\n(.*?)```", README.read_text(), re.DOTALL):
        for name in ("worker.py", "job.yaml"):
            if block.startswith(f"# {name}"):
                (tmp_path / name).write_text(block)
    command = [sys.executable, "-m", "kubemr", "run", "job.yaml", "--", sys.executable, "worker.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    counts: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        counts.update(json.loads(line))
    assert counts == Counter(word[0] for word in TEXT.split())
