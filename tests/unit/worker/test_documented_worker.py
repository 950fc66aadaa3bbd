"""The example in docs/workers.md."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter

from kubemr.coordination.outputs import Index, decode_outputs
from kubemr.storage.directory import DirectoryStore
from support.workerharness import ROOT, Harness, map_task, outcomes, reduce_task

TEXTS = ["the cat and the dog", "the end of the cat"]


def test_the_documented_worker_counts_words(harness: Harness) -> None:
    """Its map tasks, then its reduce tasks over what they wrote, result in the count of every word."""
    page = (ROOT / "docs" / "workers.md").read_text()
    example = re.search(r"```python\n(.*?)```", page, re.DOTALL)
    assert example is not None
    program = harness.directory / "wordcount.py"
    program.write_text(example[1])
    executor = harness.executor(command=[sys.executable, str(program)])
    for number, text in enumerate(TEXTS):
        (harness.directory / f"{number}.txt").write_text(text)
    executor.submit([map_task(n, (harness.directory / f"{n}.txt").as_uri()) for n in range(len(TEXTS))])
    assert [outcome.kind for outcome in outcomes(executor, 2)] == ["done", "done"]

    store = DirectoryStore(harness.store)
    store.put("job/run-1/0-map.index.json", Index(["1-w0-abc123"] * 2).encode())
    executor.submit([reduce_task(partition) for partition in range(4)])
    counts: Counter[str] = Counter()
    for outcome in outcomes(executor, 4):
        assert outcome.kind in ("done", "empty"), outcome.message
        if outcome.kind == "done":
            ((_, url),) = decode_outputs(store.get(f"{outcome.assignment.prefix}outputs.json")).items()
            counts.update(json.loads(store.get(url.removeprefix(f"{harness.store.as_uri()}/"))))
    assert counts == Counter(" ".join(TEXTS).split())
