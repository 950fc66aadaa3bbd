"""What workers may make of tasks, by their real accounts on a real apiserver: each change, in each form of a shard."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubemr.tasks import encoding
from kubemr.tasks.shard import LARGEST_SHARD, TASKS_PATH
from support.accounts import Account, DeployedJob, enforce, refused
from support.controlplane import ApiServer
from support.taskchanges import (
    AMID_A_SPREAD,
    ILLEGAL,
    LEGAL,
    ME,
    NO_SPREAD,
    SPREAD,
    WHOLE,
    amid,
    exchange,
    spread,
    swap,
    together,
)

EACH_LEGAL = pytest.mark.parametrize(("change", "old", "new"), LEGAL, ids=[f"{each[1]} {each[0]}" for each in LEGAL])
EACH_ILLEGAL = pytest.mark.parametrize(
    ("rule", "old", "new"), ILLEGAL, ids=[f"{each[1]} to {each[2]}" for each in ILLEGAL]
)


@pytest.fixture(scope="module")
def installed(apiserver: ApiServer, kubectl: Path) -> ApiServer:
    """With the CRDs, the rights and the policies of `manifests/base`."""
    enforce(apiserver, kubectl)
    return apiserver


@pytest.fixture(scope="module")
def job(installed: ApiServer) -> DeployedJob:
    """A deployed job, whose first shard has 32 tasks."""
    return DeployedJob(installed, installed.create_namespace(), "words")


@pytest.fixture(scope="module")
def worker(job: DeployedJob) -> Account:
    """Its worker 0, whose token is its pod's."""
    return job.worker(0)


@pytest.fixture(scope="module")
def colleague(job: DeployedJob) -> Account:
    """Its worker 1."""
    return job.worker(1)


@EACH_LEGAL
def test_legal_changes_pass(job: DeployedJob, worker: Account, change: str, old: str, new: str) -> None:
    """Every row of the table in docs/protocol.md."""
    job.set_task(3, old)
    reply = worker.patch(job.shard(), *swap(3, old, new))
    assert reply.status == 200, (change, reply.body)


@EACH_ILLEGAL
def test_illegal_changes_are_refused(job: DeployedJob, worker: Account, rule: str, old: str, new: str) -> None:
    """Whatever was tested; the message names the rule."""
    job.set_task(3, old)
    refused(worker.patch(job.shard(), *swap(3, old, new)), rule)


@pytest.mark.parametrize("whole", WHOLE)
@EACH_LEGAL
def test_legal_changes_pass_amid_a_whole_shard(
    job: DeployedJob, worker: Account, whole: str, change: str, old: str, new: str
) -> None:
    """Whatever the other tasks of the patch do."""
    reply = worker.patch(job.shard(), *amid(job, whole, old, new))
    assert reply.status == 200, (change, reply.body)


@pytest.mark.parametrize("whole", WHOLE)
@EACH_ILLEGAL
def test_illegal_changes_are_refused_amid_a_whole_shard(
    job: DeployedJob, worker: Account, whole: str, rule: str, old: str, new: str
) -> None:
    """One of them among legal ones is found."""
    refused(worker.patch(job.shard(), *amid(job, whole, old, new)), rule)


@pytest.mark.parametrize("whole", WHOLE)
def test_a_whole_shard_is_claimed_and_committed_by_its_own_worker(
    job: DeployedJob, worker: Account, colleague: Account, whole: str
) -> None:
    """And by no other."""
    others, becoming = WHOLE[whole]
    patch = amid(job, whole, others, becoming[0])
    refused(colleague.patch(job.shard(), *patch), "own token")
    assert worker.patch(job.shard(), *patch).status == 200


@EACH_LEGAL
def test_legal_changes_pass_of_all_tasks_by_one_entry(
    job: DeployedJob, worker: Account, change: str, old: str, new: str
) -> None:
    """One entry tells of them before and after, whether the map is exchanged or the entry."""
    reply = worker.patch(job.shard(), *together(job, old, new))
    assert reply.status == 200, (change, reply.body)
    (key,) = job.set_together(old)
    assert worker.patch(job.shard(), *swap(key, old, new)).status == 200


@EACH_ILLEGAL
def test_illegal_changes_are_refused_of_all_tasks_by_one_entry(
    job: DeployedJob, worker: Account, rule: str, old: str, new: str
) -> None:
    """And the message names the entry."""
    message = refused(worker.patch(job.shard(), *together(job, old, new)), rule)
    assert "task 0-31 " in message, message


@pytest.mark.parametrize("others", AMID_A_SPREAD)
@EACH_LEGAL
def test_legal_changes_pass_amid_a_spread(
    job: DeployedJob, worker: Account, others: str, change: str, old: str, new: str
) -> None:
    """One entry told of all tasks, and each has an entry of its own from now on."""
    reply = worker.patch(job.shard(), *spread(job, others, old, new))
    assert reply.status == 200, (change, reply.body)


@pytest.mark.parametrize("others", AMID_A_SPREAD)
@EACH_ILLEGAL
def test_illegal_changes_are_refused_amid_a_spread(
    job: DeployedJob, worker: Account, others: str, rule: str, old: str, new: str
) -> None:
    """The one task is found, and named."""
    message = refused(worker.patch(job.shard(), *spread(job, others, old, new)), rule)
    assert "task 3 " in message, message


@pytest.mark.parametrize("form", NO_SPREAD)
@pytest.mark.parametrize("whole", WHOLE)
def test_one_entry_becomes_all_its_tasks_and_nothing_else(
    job: DeployedJob, worker: Account, whole: str, form: str
) -> None:
    """No task is skipped, added, or told of twice: neither among legal changes nor where no state changes."""
    old, (new, *_) = WHOLE[whole]
    for state in (old, new):
        after = dict.fromkeys(NO_SPREAD[form], state)
        refused(worker.patch(job.shard(), *exchange(job.set_together(old), after)), "task numbers")


@pytest.mark.parametrize("form", NO_SPREAD)
@pytest.mark.parametrize("whole", WHOLE)
def test_an_entry_for_each_task_stays(job: DeployedJob, worker: Account, whole: str, form: str) -> None:
    """Neither is there one entry again, nor any other key."""
    old, (new, *_) = WHOLE[whole]
    before = encoding.expand(dict.fromkeys(SPREAD, old))
    job.set_tasks(dict.fromkeys(SPREAD, old))
    for state in (old, new):
        after = dict.fromkeys(NO_SPREAD[form], state)
        refused(worker.patch(job.shard(), *exchange(before, after)), "task numbers")
        refused(worker.patch(job.shard(), *exchange(before, {f"0-{SPREAD[-1]}": state})), "task numbers")


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize("key", ['0":"{0}", "{1}', '0": "{0}", "{1}', "0: {0}, {1}", "0:{0}, {1}"])
def test_no_key_passes_for_the_entries_of_others(job: DeployedJob, worker: Account, whole: str, key: str) -> None:
    """Changes of a whole shard are told by one text, and a key might say in it what others say."""
    old, (new, *_) = WHOLE[whole]
    job.set_tasks(dict.fromkeys(SPREAD, old))
    after = encoding.expand(dict.fromkeys(SPREAD, new))
    after[key.format(after.pop("0"), 1)] = after.pop("1")
    before = encoding.expand(dict.fromkeys(SPREAD, old))
    refused(worker.patch(job.shard(), *exchange(before, after)), "task numbers")


def test_the_entry_of_a_later_shard_becomes_its_own_tasks(job: DeployedJob, worker: Account) -> None:
    """Neither those of the shard before, nor what the shard would have from its front."""
    shard, (old, (new,)) = job.shard(1), WHOLE["claims"]
    before = job.set_together(old, 1)
    for tasks in (range(31, 39), range(33, 41), range(8)):
        refused(worker.patch(shard, *exchange(before, encoding.expand(dict.fromkeys(tasks, new)))), "task numbers")
    after = encoding.expand({**dict.fromkeys(range(32, 40), old), 39: new})
    assert worker.patch(shard, *exchange(before, after)).status == 200


def test_a_shard_of_one_task_has_its_number(installed: ApiServer, job: DeployedJob) -> None:
    """And no entry for more."""
    single = DeployedJob(installed, job.job.namespace, "single", tasks=1)
    worker = single.worker(0)
    old, new = {"0": "pending/1/0/0/"}, f"running/1/0/0/{ME}"
    for key in ("0-0", "0-1", "1", "00", ""):
        refused(worker.patch(single.shard(), *exchange(old, {key: new})), "task numbers")
    assert worker.patch(single.shard(), *exchange(old, {"0": new})).status == 200


@pytest.mark.parametrize("whole", WHOLE)
def test_one_entry_is_claimed_committed_and_spread_by_its_own_worker(
    job: DeployedJob, worker: Account, colleague: Account, whole: str
) -> None:
    """And by no other, unless the pod that asks is not known."""
    old, (new, *_) = WHOLE[whole]
    unknown = job.worker()
    for patch in (together(job, old, new), spread(job, "go on", old, new), spread(job, "stay", old, new)):
        job.set_together(old)
        refused(colleague.patch(job.shard(), *patch), "own token")
        for account in (unknown, worker):
            job.set_together(old)
            assert account.patch(job.shard(), *patch).status == 200


def test_a_whole_shard_in_one_patch_is_within_the_cost_limits(installed: ApiServer, job: DeployedJob) -> None:
    """Each of 512 tasks loses one of two holders, at the greatest length of a state; the last one illegally."""
    large = DeployedJob(installed, job.job.namespace, "large", replicas=1, tasks=4 * LARGEST_SHARD)
    worker = large.worker()
    token, other = "w999999-aaaaaa", "w999999-bbbbbb"
    old = f"running/9999998/9998/9998/{token}+{other}"
    tasks = range(LARGEST_SHARD)
    large.set_tasks(dict.fromkeys(tasks, old))
    good = [each for task in tasks for each in swap(task, old, f"running/9999998/9998/9999/{other}")]
    bad = [*good[:-2], *swap(tasks[-1], old, f"done/9999998/9998/9999/{other}")]
    refused(worker.patch(large.shard(), *bad), "commit")
    assert worker.patch(large.shard(), *good).status == 200


def test_a_spread_is_within_the_cost_limits(installed: ApiServer, job: DeployedJob) -> None:
    """The same of one entry, and with the largest numbers."""
    large = DeployedJob(installed, job.job.namespace, "spread", replicas=1, tasks=4 * LARGEST_SHARD)
    worker = large.worker()
    token, other = "w999999-aaaaaa", "w999999-bbbbbb"
    tasks = range(2**31 - LARGEST_SHARD, 2**31)
    before = {encoding.key(tasks): f"running/9999998/9998/9998/{token}+{other}"}
    reply = large.admin.patch(large.shard(), {"op": "replace", "path": TASKS_PATH, "value": before})
    assert reply.status == 200, reply.body
    good = encoding.expand(dict.fromkeys(tasks, f"running/9999998/9998/9999/{other}"))
    bad = {**good, str(tasks[-1]): f"done/9999998/9998/9999/{other}"}
    refused(worker.patch(large.shard(), *exchange(before, bad)), "commit")
    assert worker.patch(large.shard(), *exchange(before, good)).status == 200
