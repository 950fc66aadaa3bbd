"""The simulation is only worth something if what it promises to break does break."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from attr import asdict

from support.simulation.scenario import kind_of, play, shard_of, spec_of

pytestmark = pytest.mark.long


def test_the_seeds_cover_every_kind_of_fault() -> None:
    """Over the first seeds every fault is drawn, calm and wild, and processes really die and come back."""
    stories = [play(seed) for seed in range(40)]
    for name in asdict(stories[0].faults):
        drawn = {asdict(story.faults)[name] for story in stories}
        assert len(drawn) > 2, f"{name} was only ever {drawn}"
    restarted = [story for story in stories if story.processes > spec_of(story.seed)["replicas"]]
    assert len(restarted) > 5, "hardly any worker ever died"
    history = "\n".join(line for story in stories for line in story.history)
    for sign in ("late: patch", "frozen until", "told to end", "connection reset", "connection refused", "503"):
        assert sign in history, f"no {sign!r} in any history"
    assert sum(story.backups for story in stories) > 2, "hardly any task was ever backed up"
    assert sum(story.left for story in stories) > 5, "hardly any worker ever left"


def test_the_seeds_cover_every_kind_of_story() -> None:
    """Jobs end in FAIL for each reason that they may, and are retried with much done; of a crowd most do nothing."""
    stories = [play(seed) for seed in range(240) if kind_of(seed) != "plain"]
    assert [story.problem for story in stories if story.problem] == []
    causes = [line for story in stories for line in story.history if "/status/phase=FAIL" in line]
    for words in (r"map/\d+ failed once: ValueError", r"reduce/\d+ failed 3 times", r"\d workers died", r"was deleted"):
        assert any(re.search(words, cause) for cause in causes), f"no job failed with {words!r}"
    retried = [story for story in stories if story.kept]
    assert len(retried) > 3, "hardly any job was retried after it had failed by itself"
    assert {story.phase for story in retried} == {"COMPLETE"}
    crowds = [spec_of(story.seed) for story in stories if kind_of(story.seed) == "crowd"]
    assert any(spec["replicas"] > len(spec["inputs"]) > 0 for spec in crowds)


def test_the_seeds_cover_all_that_becomes_of_one_entry() -> None:
    """Of shards whose tasks have one entry: taken whole and in part, lost, contended for, carried into other runs."""
    stories = [play(seed) for seed in range(300) if shard_of(seed)]
    assert [story.problem for story in stories if story.problem] == []
    met: Counter[str] = Counter()
    for story in stories:
        met.update(story.met)
    for words, least in {
        "whole: pending to running": 100,
        "whole: running to (done|empty)": 50,
        "whole: running to pending$": 3,  # given back
        "whole: running to pending, a loss": 5,  # its holder died, or was taken for dead
        "spread: a part claimed": 100,
        "spread: a suspect claimed": 5,
        "spread: a part committed, a part given back": 5,
        "spread: other changes of running ones": 20,
        "spread from pending, lost to a spread": 10,
        "whole from pending, lost to a whole change": 5,
        "whole from pending, lost to a spread|spread from pending, lost to a whole change": 3,
        "whole from running, lost": 3,  # the holder was taken for dead meanwhile
        "whole from .*, (late|landed unheard)": 10,
        "spread from .*, (late|landed unheard)": 10,
        "retried: one entry, pending": 10,
        "retried: one entry, done": 3,
        "retried: an entry each": 10,
    }.items():
        times = sum(number for name, number in met.items() if re.match(words, name))
        assert times >= least, f"{words!r} happened {times} times: {dict(met)}"
