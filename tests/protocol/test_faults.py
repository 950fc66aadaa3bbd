"""Workers that die, are fenced off, are told to go, fail, or find things as they should not be."""

from __future__ import annotations

import itertools
import json
import signal

import pytest

from kubemr.locks.effects import Request
from kubemr.locks.lease import LEASES
from kubemr.tasks.shard import SHARDS
from support.protocolproxy import Fate, Recorded, holding
from support.protocolstage import LEASE_SECONDS, Stage, word_counts
from support.taskforms import by_task

pytestmark = pytest.mark.long

TEXTS = {name: f"{name} and {name}".encode() for name in "abcdefgh"}


def swap(number: int, old: str, new: str) -> list[dict[str, str]]:
    """A change of one task."""
    path = f"/tasks/{number}"
    return [{"op": "test", "path": path, "value": old}, {"op": "replace", "path": path, "value": new}]


def test_renewals(stage: Stage, command: list[str]) -> None:
    """The Lease is taken before anything is claimed, and renewed four times per duration while user code is busy."""
    stage.deploy({"a": b"x"})
    stage.inputs.hold("a")
    worker = stage.start(command)

    def renewals() -> list[Recorded]:
        return [each for each in stage.requests(worker, "leases") if each.landed]

    stage.until(lambda: len(renewals()) >= 8, "the Lease was renewed seven times")
    times = [each.at for each in renewals()]
    gaps = sorted(later - earlier for earlier, later in itertools.pairwise(times))
    assert gaps[len(gaps) // 2] <= LEASE_SECONDS / 4 * 1.1, gaps
    assert times[0] < min(each.at for each in stage.requests(worker, "mapreducetaskshards"))
    stamps = [each.sets["/spec/renewTime"] for each in renewals()]
    assert len(set(stamps)) == len(stamps)
    stage.inputs.let_go()
    stage.finish()


def test_a_lease_taken_by_another(stage: Stage, command: list[str]) -> None:
    """Who finds another token in its Lease writes nothing any more, and ends with exit code 1."""
    stage.deploy({"a": b"x", "b": b"y"})
    stage.inputs.hold("a", "b")
    worker = stage.start(command)
    stage.until(lambda: stage.inputs.asked["a"] or stage.inputs.asked["b"], "a task runs")
    lease = f"{stage.job.base}-w-0"
    operation = {"op": "replace", "path": "/spec/holderIdentity", "value": "w0-zzzzzz"}
    taken = stage.write(LEASES, lease, operation)
    assert worker.wait() == 1, worker.log
    lost = next(each for each in stage.requests(worker, "leases") if each.status == 422)
    later = [each for each in stage.requests(worker) if each.at > (lost.ended or 0.0)]
    assert not later, f"wrote after it had lost its Lease: {later[0]}"
    there = stage.ask(Request("get", LEASES, "default", lease))
    assert there["spec"]["holderIdentity"] == taken["spec"]["holderIdentity"]
    stage.finish(code=None)


def test_a_killed_worker(stage: Stage, command: list[str]) -> None:
    """What a dead worker held is lost once its Lease was not renewed for its duration; another does it alone."""
    stage.deploy(TEXTS, partitions=2)
    stage.inputs.hold("a")
    first = stage.start(command, 0)
    stage.until(lambda: stage.inputs.asked["a"], "the task runs")
    token = stage.token(first)
    first.kill()
    stage.inputs.let_go()
    second = stage.start(command, 1)
    assert second.wait() == 0, stage.account()
    stage.finish(code=None)
    assert stage.tasks()[0] == f"done/2/0/1/{stage.token(second)}"
    assert token not in "".join(stage.tasks().values())
    assert stage.results() == word_counts(TEXTS, 2)


def test_one_entry_of_a_dead_worker(stage: Stage, command: list[str]) -> None:
    """All tasks of a shard, told of by one entry, are taken away from whoever held them, and each is done alone."""
    stage.deploy(TEXTS, partitions=2, states=dict.fromkeys(range(8), "running/1/0/0/w1-gonene"), hints={0: "drained"})
    assert list(next(tasks for tasks in stage.judge.shards.values() if len(by_task(tasks)) == 8)) == ["0-7"]
    worker = stage.start(command)
    stage.finish()
    assert set(stage.tasks().values()) == {f"done/2/0/1/{stage.token(worker)}"}
    assert stage.results() == word_counts(TEXTS, 2)


def test_a_restarted_worker(stage: Stage, command: list[str]) -> None:
    """A process with the index of a dead one takes its Lease, does not go on under its token, and recovers at once."""
    stage.deploy(TEXTS, partitions=2)
    stage.inputs.hold("a")
    first = stage.start(command, 0)
    stage.until(lambda: stage.inputs.asked["a"], "the task runs")
    first.kill()
    stage.inputs.let_go()
    second = stage.start(command, 0)
    assert second.wait() == 0, stage.account()
    stage.finish(code=None)
    assert stage.token(second) != stage.token(first)
    assert stage.tasks()[0] == f"done/2/0/1/{stage.token(second)}"
    assert stage.results() == word_counts(TEXTS, 2)


def test_a_late_commit(stage: Stage, command: list[str]) -> None:
    """Of a batch of which one task was taken away meanwhile, the others are committed and the one is done again."""
    stage.deploy(TEXTS, partitions=2, replicas=1)

    def commits(record: Recorded) -> bool:
        return record.kind == "mapreducetaskshards" and sum(map(is_done, record.tasks.values())) >= 2

    def is_done(state: str) -> bool:
        return state.startswith("done")

    held = holding(stage.proxy, commits)
    worker = stage.start(command)
    record: Recorded = stage.until(lambda: held.record, "a batch is committed")
    number, *others = sorted(int(each) for each, state in record.tasks.items() if is_done(state))
    old = record.values("test")[f"/tasks/{number}"]
    stage.write(SHARDS, record.name, *swap(number, old, "pending/2/0/1/"))
    held.let_go()
    stage.finish()
    assert record.status == 422
    token = stage.token(worker)
    states = stage.tasks()
    assert states[number] == f"done/2/0/1/{token}"
    assert {states[each] for each in others} == {f"done/1/0/0/{token}"}
    names = list(TEXTS)
    assert stage.inputs.asked[names[number]] == 2
    assert {stage.inputs.asked[names[each]] for each in others} == {1}, "finished work was thrown away"
    assert stage.results() == word_counts(TEXTS, 2)


def test_a_stopped_worker_that_wakes_up(stage: Stage, command: list[str]) -> None:
    """A process that slept longer than its Lease lasts finds its task taken over, and its own attempt never counts."""
    stage.deploy({"a": b"x", "b": b"y"}, partitions=2)
    stage.inputs.hold("a")
    first = stage.start(command, 0)
    stage.until(lambda: stage.inputs.asked["a"], "the task runs")
    first.signal(signal.SIGSTOP)
    second = stage.start(command, 1)
    stage.until(lambda: stage.inputs.asked["a"] == 2, "the other has taken it over")
    stage.inputs.let_go()
    first.signal(signal.SIGCONT)
    stage.finish()
    assert stage.tasks()[0] == f"done/2/0/1/{stage.token(second)}"
    assert stage.results() == word_counts({"a": b"x", "b": b"y"}, 2)


def test_told_to_end(stage: Stage, command: list[str]) -> None:
    """At SIGTERM a worker gives back what it holds, which is no loss, and its Lease; exit code 143."""
    stage.deploy({"a": b"x", "b": b"y"})
    stage.inputs.hold("a", "b")
    worker = stage.start(command)
    stage.until(lambda: stage.inputs.asked["a"] or stage.inputs.asked["b"], "a task runs")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 143, worker.log
    stage.finish(code=None)
    assert sorted(stage.tasks().values()) == ["pending/1/0/0/", "pending/2/0/0/"]
    assert stage.judge.leases[f"{stage.job.base}-w-0"] is None


def test_a_task_that_fails(stage: Stage, command: list[str]) -> None:
    """A failed attempt leaves its error in the store and is repeated up to the bound; then the job fails with it."""
    stage.deploy({"a": b"x", "b": b"y"}, maxAttempts=2)
    del stage.inputs.contents["b"]
    stage.start(command)
    stage.finish()
    status = stage.document()["status"]
    assert status["phase"] == "FAIL"
    assert stage.tasks()[1] == "failed/2/2/0/"
    keys = [item.key for item in stage.store.list(f"{stage.job.storage_prefix}0/map/1/")]
    assert len(keys) == 2
    first = json.loads(stage.store.get(keys[0]))
    assert keys[0].endswith(f"/1-{first['worker']}/error.json")
    assert status["error"].startswith("map/1 failed 2 times: ")
    assert first["message"][:40] in status["error"]
    assert [each["status"] for each in status["conditions"] if each["type"] == "Failed"] == ["True"]


def test_a_task_that_fails_in_a_later_run(stage: Stage, command: list[str]) -> None:
    """The cause is this run's own: what attempts of the run before left is passed over."""
    job = stage.deploy({"a": b"x", "b": b"y"}, maxAttempts=2, job_run=2, states={1: "pending/3/0/0/"})
    del stage.inputs.contents["b"]
    prefix = f"{job.storage_prefix}0/map/1/"
    for attempt, more in (("1-w0-before", {}), ("2-w1-before", {"run": 1})):
        error = {"message": "of the run before", "worker": attempt[2:], **more}
        stage.store.put(f"{prefix}{attempt}/error.json", json.dumps(error).encode())
    worker = stage.start(command)
    stage.finish()
    assert stage.tasks()[1] == "failed/4/2/0/"
    first = json.loads(stage.store.get(f"{prefix}3-{stage.token(worker)}/error.json"))
    assert first["run"] == 2
    error = stage.document()["status"]["error"]
    assert error.startswith(f"map/1 failed 2 times: {first['message'][:40]}"), error


def test_losses_beyond_the_bound(stage: Stage, command: list[str]) -> None:
    """A task whose holder died once more than maxAttempts fails for good, and with it the job."""
    job = stage.deploy({"a": b"x", "b": b"y"}, maxAttempts=2, states={0: "running/7/0/2/w1-gonene"})
    stage.start(command)
    stage.finish()
    assert stage.tasks()[0] == "failed/7/0/3/"
    status = stage.document()["status"]
    assert status["phase"] == "FAIL"
    assert status["error"].startswith("map/0: 3 workers died"), status["error"]
    assert job.max_attempts == 2


@pytest.mark.parametrize(("epoch", "shown"), [(6, True), (5, False)])
def test_the_log_of_one_that_died(stage: Stage, command: list[str], epoch: int, shown: bool) -> None:
    """The last one, if its epoch is certainly of this run."""
    states = {0: "running/7/0/2/w1-gonene"}
    job = stage.deploy({"a": b"x", "b": b"y"}, maxAttempts=2, job_run=2, states=states)
    key = f"{job.storage_prefix}0/map/0/{epoch}-w1-gonene/log.txt"
    began = {"timestamp": "2026-01-31T12:00:00Z", "event": "attempt_began", "task": f"map/0/{epoch}-w1-gonene"}
    stage.store.put(key, json.dumps(began).encode() + b"\nprinted\n")
    stage.start(command)
    stage.finish()
    assert ("\nlog: " + stage.store.url(key) in stage.document()["status"]["error"]) == shown


def test_backups(stage: Stage, command: list[str]) -> None:
    """A task with a backup comes back when both of its holders are dead, which is one loss."""
    states = {0: "running/1/0/0/w1-gonene+w1-gonetw", 1: "running/3/1/1/w1-gonetw+w1-gonene"}
    stage.deploy({"a": b"x", "b": b"y"}, partitions=2, states=states)
    worker = stage.start(command)
    stage.finish()
    token = stage.token(worker)
    assert stage.tasks() == {0: f"done/2/0/1/{token}", 1: f"done/4/1/2/{token}"}
    assert stage.results() == word_counts({"a": b"x", "b": b"y"}, 2)


def test_a_task_without_progress(stage: Stage, command: list[str]) -> None:
    """After taskTimeoutSeconds without progress the attempt has failed; a worker that cannot end it ends itself."""
    stage.deploy({"a": b"x"}, partitions=2, taskTimeoutSeconds=1)
    stage.inputs.hold("a")
    worker = stage.start(command)
    stage.until(lambda: any(tasks == {"0": "pending/2/1/0/"} for tasks in written(stage)), "the attempt has failed")
    keys = [item.key for item in stage.store.list(f"{stage.job.storage_prefix}0/map/0/1-{stage.token(worker)}/")]
    assert [key.rpartition("/")[2] for key in keys] == ["error.json"]
    stage.inputs.let_go()
    while worker.wait() != 0:
        assert worker.wait() == 1, worker.log
        worker = stage.start(command)
    stage.finish(code=None)
    assert stage.results() == word_counts({"a": b"x"}, 2)


def written(stage: Stage) -> list[dict[str, str]]:
    """What was written to tasks so far, patch by patch."""
    return [record.tasks for record in stage.requests(kind="mapreducetaskshards") if record.landed]


def test_no_hoarding(stage: Stage, command: list[str]) -> None:
    """When a task of a batch lasts, what is finished is committed and what has not begun is given back."""
    texts = {f"t{number:02d}": b"x" for number in range(32)}
    stage.deploy(texts, partitions=1, replicas=1)
    stage.inputs.hold("t07")
    stage.start(command)
    patch = stage.until(
        lambda: next(
            (tasks for tasks in written(stage) if any("pending/2/0/0/" in new for new in tasks.values())), None
        ),
        "tasks were given back",
    )
    assert "7" not in patch
    for number, state in patch.items():
        assert state.startswith("pending/2/0/0/" if int(number) > 7 else "done/1/0/0/")
    stage.inputs.let_go()
    stage.finish()
    assert stage.inputs.asked == {name: 1 for name in texts}
    assert stage.results() == word_counts(texts, 1)


def test_suspects_are_claimed_alone(stage: Stage, command: list[str]) -> None:
    """Tasks whose holder died before are claimed one at a time, last of all (the judge looks at every claim)."""
    states = {number: "pending/4/1/1/" for number in (0, 3, 4)}
    stage.deploy(TEXTS, partitions=2, states=states, replicas=1)
    worker = stage.start(command)
    stage.finish()
    token = stage.token(worker)
    assert {stage.tasks()[number] for number in states} == {f"done/4/1/1/{token}"}
    assert stage.results() == word_counts(TEXTS, 2)


def test_wrong_hints(stage: Stage, command: list[str]) -> None:
    """Labels that say done of open tasks, and open of done ones, hold nobody up and are repaired."""
    texts = {f"t{number:02d}": b"x y" for number in range(70)}
    stage.deploy(texts, partitions=2, replicas=3, hints={0: "done", 1: "drained", 2: "done"})
    stage.start(command, 2)
    stage.finish()
    assert stage.results() == word_counts(texts, 2)
    assert stage.hints() == {"done"}


def test_a_stage_with_a_shard_missing(stage: Stage, command: list[str]) -> None:
    """A stage is sealed only when the list holds as many shards and tasks as were recorded."""
    texts = {f"t{number:02d}": b"x y" for number in range(34)}
    stage.deploy(texts, partitions=2, without=[1])
    worker = stage.start(command)
    stage.until(
        lambda: len([t for t in written(stage) for s in t.values() if s.startswith("done")]) == 32, "all are done"
    )
    before = len(stage.requests(worker, "mapreducejobs", "GET"))
    stage.until(lambda: len(stage.requests(worker, "mapreducejobs", "GET")) >= before + 4, "it looked again and again")
    assert stage.document()["status"]["stage"] == "map"
    stage.create_shard(1)
    stage.finish()
    assert stage.results() == word_counts(texts, 2)


def test_many_results(stage: Stage, command: list[str]) -> None:
    """More results than fit on the object are all in results.json, and the object holds the first ones."""
    text = b" ".join(b"word%d" % number for number in range(6000))
    stage.deploy({"a": text}, partitions=300)
    stage.start(command)
    stage.finish()
    status = stage.document()["status"]
    assert status["resultCount"] == 300
    assert len(status["results"]) == 256
    key = f"{stage.job.storage_prefix}run-1/results.json"
    assert status["resultsManifest"] == stage.store.url(key)
    listed = json.loads(stage.store.get(key))
    assert listed[:256] == status["results"]
    found = [stage.store.get(url[url.index(stage.job.storage_prefix) :]) for url in listed]
    assert found == word_counts({"a": text}, 300)


def test_rights_that_come_late(stage: Stage, command: list[str]) -> None:
    """A 403 of the first read is sat out: rights may be granted a moment after the pod has started."""
    stage.deploy({"a": b"x"}, partitions=1)
    refused: list[Recorded] = []

    def rule(record: Recorded) -> Fate:
        if len(refused) == 2:
            return Fate.PASS
        refused.append(record)
        return Fate.FORBIDDEN

    stage.proxy.rule = rule
    stage.start(command)
    stage.finish()
    assert [each.method for each in refused] == ["GET", "GET"]
    assert stage.results() == word_counts({"a": b"x"}, 1)


def test_denials_in_the_middle(stage: Stage, command: list[str]) -> None:
    """An apiserver that was just started denies for a moment what it will allow: every third request, here."""
    texts = {name: name.encode() for name in "abcdef"}
    stage.deploy(texts, partitions=2)
    denied: list[Recorded] = []
    count = [0]

    def rule(record: Recorded) -> Fate:
        count[0] += 1
        if count[0] % 3:
            return Fate.PASS
        denied.append(record)
        return Fate.FORBIDDEN

    stage.proxy.rule = rule
    stage.start(command)
    stage.finish()
    assert {each.method for each in denied} == {"GET", "PATCH"}
    assert stage.results() == word_counts(texts, 2)
