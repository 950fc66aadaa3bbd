"""What strikes one worker: the others do its tasks, and what it says afterwards counts for nothing."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from kubemr.tasks.state import TaskState, attempt_of
from support.faults.processes import cut_off
from support.faults.scene import Scene, Task, Victim, server_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

Stage = Callable[..., AbstractContextManager[Scene]]
GATED: frozenset[Task] = frozenset({("0-map", 0)})
"""The task that waits for the gate: whoever has it holds the job open."""

LATEST = 20
"""So many tasks done, and each worker has others before it."""


def test_the_runtime_is_killed(stage: Stage) -> None:
    """kill -9 of the process that holds the Lease: its tasks are lost, once, and done by others."""
    with stage("a worker's runtime: kill -9", lasting=True) as job:
        job.moment()
        victim = job.victim()
        (runtime,), (child,) = victim.processes(child=False), victim.processes(child=True)
        job.struck()
        runtime.signal(signal.SIGKILL)
        for process in (runtime, child):
            process.until_ended()
        attempts = job.taken_over(victim)
        job.let_go()
        job.until_committed(list(attempts))
        job.complete()
        none_counts(job, victim, attempts)
        losses = {task: state.losses for task, state in job.history.latest().items() if state.losses}
        assert losses == dict.fromkeys(job.history.lost_by(victim.token), 1)
        assert job.counted("failures") == 0


def test_the_user_code_is_killed(stage: Stage) -> None:
    """kill -9 of the process that runs user code: a failed attempt, and the same worker goes on."""
    with stage("a worker's user code: kill -9", gated=True, lasting=True) as job:
        job.moment(last=LATEST)
        victim = job.victim(spare=GATED)
        (runtime,), (child,) = victim.processes(child=False), victim.processes(child=True)
        tasks = victim.tasks
        job.struck()
        child.signal(signal.SIGKILL)
        child.until_ended()
        job.wait(lambda: job.fate.failures > 0, "a failed attempt")
        job.let_go()
        job.until_committed(tasks)
        assert victim.processes(child=False) == [runtime]
        assert victim.holds_lease()
        job.open_gate()
        job.complete()
        assert (job.counted("losses"), job.counted("failures"), job.fate.failures) == (0, 1, 1)


def test_user_code_that_asks_for_too_much_memory(stage: Stage) -> None:
    """The kernel kills it, or all of its container: an attempt failed or was lost, and the next one does the task."""
    with stage("a worker: out of memory", memory="160Mi") as job:
        job.until_done(1)
        job.struck()
        job.until_committed([("0-map", 1)])
        job.complete()
        assert job.counted("losses") + job.counted("failures") >= 1


def test_the_pod_is_deleted(stage: Stage) -> None:
    """The worker is told to end, hands its tasks back, and loses none."""
    with stage("a worker's pod: kubectl delete", lasting=True) as job:
        job.moment()
        victim = job.victim()
        tasks, attempt = victim.tasks, {job.lasting: job.fate}
        job.struck()
        job.job.kubectl("delete", "pod", victim.pod["metadata"]["name"], "--wait=false")
        job.wait(lambda: not job.fate.held_by(victim.token), "the task handed back")
        job.let_go()
        job.until_committed(tasks)
        job.complete()
        none_counts(job, victim, attempt)
        assert (job.counted("losses"), job.counted("failures")) == (0, 0)


def none_counts(job: Scene, victim: Victim, attempts: dict[Task, TaskState]) -> None:
    """None of the victim's `attempts` is the one that counts, now that the job has ended."""
    for task, state in attempts.items():
        attempt = attempt_of(state.epoch, victim.token)
        counts = [seen for seen in job.history.states[task] if seen.committed]
        assert [seen.attempt == attempt for seen in counts] == [False], f"{task}: {state} became {counts}"


@pytest.mark.parametrize("which", ["runtime", "pod"])
def test_a_worker_is_frozen_and_comes_back(stage: Stage, which: str) -> None:
    """SIGSTOP for longer than its Lease: its tasks are done by others, and its late commit loses."""
    with stage(f"a worker's {which}: SIGSTOP beyond its Lease", gated=True, lasting=True) as job:
        job.moment(last=LATEST)
        victim = job.victim(spare=GATED)
        frozen = victim.processes(child=False)
        if which == "pod":
            frozen += victim.processes(child=True)
        job.struck()
        for process in frozen:
            process.signal(signal.SIGSTOP)
        try:
            attempts = job.taken_over(victim)
            job.let_go()
            job.until_committed(list(attempts))
            if which == "runtime":  # its user code has gone on
                wants_to_commit(job, victim, attempts)
            last = victim.renewed()
        finally:
            # The user code first: the runtime ends it when it finds the task taken away.
            for process in reversed(frozen):
                process.signal(signal.SIGCONT)
        job.wait(lambda: victim.renewed() != last, "the worker is back")
        job.open_gate()
        job.complete()
        none_counts(job, victim, attempts)


def wants_to_commit(job: Scene, victim: Victim, attempts: dict[Task, TaskState]) -> None:
    """Wait until the attempt that was taken from the victim has stored its outputs."""
    job.wait(lambda: job.stored(attempts[job.lasting], victim.token), "an attempt that wants to be committed")


def test_a_worker_is_cut_off_from_the_apiserver(stage: Stage) -> None:
    """Longer than its Lease, and back: its tasks are done by others, and its late commit loses."""
    with stage("a worker: no apiserver beyond its Lease", gated=True, lasting=True) as job:
        job.moment(last=LATEST)
        victim = job.victim(spare=GATED)
        with cut_off(victim.node, victim.address, server_of(job.cluster.plane.apiserver.url)):
            job.struck()
            attempts = job.taken_over(victim)
            job.let_go()
            job.until_committed(list(attempts))
            wants_to_commit(job, victim, attempts)
            last = victim.renewed()
        job.wait(lambda: victim.renewed() != last, "the worker is back")
        job.open_gate()
        job.complete()
        none_counts(job, victim, attempts)


def waiting_for(job: Scene, victim: Victim) -> bool:
    """Whether the map stage has nothing left but what the victim holds, perhaps with a backup."""
    mapped = [state for (stage, _), state in job.history.latest().items() if stage == "0-map"]
    return all(state.committed or state.held_by(victim.token) for state in mapped)


def test_a_worker_is_cut_off_from_storage(stage: Stage) -> None:
    """Until nothing else is left to do, and back: its tasks wait, or a backup does them; nothing is lost."""
    with stage("a worker: no S3 until all others wait", lasting=True) as job:
        job.moment()
        victim, state = job.victim(), job.fate
        with cut_off(victim.node, victim.address, server_of(job.kubemr.s3.endpoint)) as vanished:
            job.struck()
            job.let_go()  # which it would see in a moment, by S3
            tasks = {job.lasting, *victim.tasks}
            job.wait(lambda: vanished() > 0, "it has asked S3 for something")
            job.wait(lambda: waiting_for(job, victim), "all other tasks of the stage are done")
            tasks.update(victim.tasks)
            assert not job.stored(state, victim.token), "what is cut off from S3 has stored something there"
        job.until_committed(sorted(tasks))
        job.nothing_lost()
