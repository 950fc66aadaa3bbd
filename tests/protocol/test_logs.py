"""What user code prints is kept, where the worker can tell what that is; its form is judged in every test."""

from __future__ import annotations

import json

import pytest

from support.protocolrecords import fouls, printed
from support.protocolstage import Stage

pytestmark = pytest.mark.long


def logs(stage: Stage) -> dict[str, list[bytes]]:
    """The lines of the attempts' logs; a worker that keeps none is let off."""
    found = printed(stage.store, stage.job.storage_prefix)
    if not found:
        pytest.skip("this worker keeps no logs, as docs/protocol.md allows")
    return found


def test_what_an_attempt_prints_is_kept(stage: Stage, command: list[str]) -> None:
    """Of each attempt that prints, beside its outputs or its error; reduce tasks print nothing here."""
    stage.deploy({"a": b"x", "b": b"y"}, maxAttempts=2, jobargs={"say": "counting words: \u00fc"})
    del stage.inputs.contents["b"]
    worker = stage.start(command)
    stage.finish()
    token = stage.token(worker)
    said = ["counting words: \u00fc".encode()]
    failed = {f"map/1/{epoch}-{token}": said for epoch in (1, 2)}
    assert logs(stage) == {f"map/0/1-{token}": said, **failed}
    where = stage.store.url(f"{stage.job.storage_prefix}0/map/1/1-{token}/log.txt")
    assert stage.document()["status"]["error"].endswith(f"\nlog: {where}")


def test_who_prints_nothing_has_no_log(stage: Stage, command: list[str]) -> None:
    """An object for each of many tasks would cost more than the tasks."""
    stage.deploy({"a": b"x", "b": b"y"})
    stage.start(command)
    stage.finish()
    assert printed(stage.store, stage.job.storage_prefix) == {}


def test_logs_are_bounded(stage: Stage, command: list[str]) -> None:
    """By `KUBEMR_LOG_BYTES`: beginning and end, and how much is left out."""
    said = "\n".join(f"line {number:03}" for number in range(200))
    stage.deploy({"a": b"x"}, jobargs={"say": said})
    worker = stage.start(command, environ={"KUBEMR_LOG_BYTES": "180"})
    stage.finish()
    lines = logs(stage)[f"map/0/1-{stage.token(worker)}"]
    assert not list(fouls(stage.store, stage.job.storage_prefix, 180))
    (gap,) = (position for position, line in enumerate(lines) if b"log_shortened" in line)
    assert lines[:gap] == [b"line %03d" % number for number in range(gap)]
    after = len(lines) - gap - 1
    assert lines[gap + 1 :] == [b"line %03d" % number for number in range(200 - after, 200)]
    assert json.loads(lines[gap])["left_out_bytes"] == 9 * (200 - gap - after)
    assert min(gap, after) > 5


def test_none_are_kept_where_none_are_wanted(stage: Stage, command: list[str]) -> None:
    """A bound of 0."""
    stage.deploy({"a": b"x"}, jobargs={"say": "something"})
    stage.start(command, environ={"KUBEMR_LOG_BYTES": "0"})
    stage.finish()
    assert printed(stage.store, stage.job.storage_prefix) == {}
