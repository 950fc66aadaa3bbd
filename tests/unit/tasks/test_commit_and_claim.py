"""Commit and claim in one patch, and the remaining changes if another process was faster."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from kubemr.locks import Answer, Request, RequestRefusedError
from kubemr.tasks.claims import ShardNotFoundError, commit_and_claim
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import TaskState, Token
from support.bench import DENIED, INVALID, LOST_ANSWER, UNAVAILABLE, Bench, patches

A, B = Token("w0-aaaaaa"), Token("w1-bbbbbb")
HELD = {0: f"running/1/0/0/{A}", 1: f"running/1/0/0/{A}", 2: "pending/1/0/0/", 3: "pending/1/0/0/"}
Make = Callable[..., Shard]
shards = patches("mapreducetaskshards")


def commit(state: TaskState) -> TaskState:
    """What a finished task becomes."""
    return state.commit(A, empty=False)


def release(state: TaskState) -> TaskState:
    """What a task becomes that is given back."""
    return state.release(A)


def fail(state: TaskState) -> TaskState:
    """What a task becomes whose code failed."""
    return state.fail(A, 4)


def of_claim(number: int) -> Callable[[Request], bool]:
    """Tells the patches that want this task."""
    return lambda request: shards(request) and any(each["path"] == f"/tasks/{number}" for each in request.body)


def texts(shard: Shard) -> dict[int, str]:
    """The tasks as strings."""
    return {number: str(state) for number, state in shard.tasks.items()}


def test_finishing_and_claiming_go_in_one_patch(bench: Bench, make_shard: Make) -> None:
    """One request for all of it."""
    shard = make_shard(HELD)
    result = bench.run(commit_and_claim(shard, A, {0: commit, 1: release}, [2, 3]))
    assert len(bench.requests) == 1
    assert texts(result.shard) == {
        0: f"done/1/0/0/{A}",
        1: "pending/2/0/0/",
        2: f"running/1/0/0/{A}",
        3: f"running/1/0/0/{A}",
    }
    assert list(result.held) == [2, 3]
    assert result.superseded == []


ALIKE = dict.fromkeys(range(4), "pending/1/0/0/")


def test_a_whole_shard_is_claimed_and_committed_by_one_entry(bench: Bench, make_shard: Make) -> None:
    """However many tasks it has, a patch is as small as that of one."""
    shard = make_shard(ALIKE, collapsed=True)
    result = bench.run(commit_and_claim(shard, A, {}, list(ALIKE)))
    assert bench.get(shard.target)["tasks"] == {"0-3": f"running/1/0/0/{A}"}
    assert list(result.held) == [0, 1, 2, 3]
    result = bench.run(commit_and_claim(result.shard, A, dict.fromkeys(ALIKE, commit)))
    assert bench.get(shard.target)["tasks"] == {"0-3": f"done/1/0/0/{A}"}
    assert (result.held, result.superseded) == ({}, [])


def test_a_part_of_what_was_claimed_by_one_entry_is_committed(bench: Bench, make_shard: Make) -> None:
    """And the rest given back: from then on each task has its own entry."""
    shard = make_shard(dict.fromkeys(ALIKE, f"running/1/0/0/{A}"), collapsed=True)
    result = bench.run(commit_and_claim(shard, A, {0: commit, 1: commit, 2: release}))
    assert texts(result.shard) == {
        0: f"done/1/0/0/{A}",
        1: f"done/1/0/0/{A}",
        2: "pending/2/0/0/",
        3: f"running/1/0/0/{A}",
    }
    assert list(result.held) == [3]


@pytest.mark.parametrize("mine", [[0], list(ALIKE)], ids=["a part", "all"])
@pytest.mark.parametrize("others", [[3], list(ALIKE)], ids=["a part", "all"])
def test_of_two_who_claim_from_one_entry_the_second_takes_what_is_left(
    bench: Bench, make_shard: Make, mine: list[int], others: list[int]
) -> None:
    """The result says that it holds nothing, and the worker may choose again from the shard."""
    shard = make_shard(ALIKE, collapsed=True)
    bench.run(commit_and_claim(shard, B, {}, others))
    result = bench.run(commit_and_claim(shard, A, {}, mine))
    assert result.held == {}
    assert list(result.shard.held_by(B)) == others
    result = bench.run(commit_and_claim(result.shard, A, {}, result.shard.pending))
    assert list(result.held) == [number for number in ALIKE if number not in others]


@pytest.mark.parametrize("claim", [[2], list(ALIKE)], ids=["a part", "all"])
@pytest.mark.parametrize("landed", [True, False])
def test_a_claim_from_one_entry_whose_answer_was_lost(
    bench: Bench, make_shard: Make, claim: list[int], landed: bool
) -> None:
    """It is found by the worker's token, in either form of the shard, or sent again."""
    shard = make_shard(ALIKE, collapsed=True)
    if landed:
        bench.lose(shards)
    else:
        bench.answer(shards, LOST_ANSWER)
    result = bench.run(commit_and_claim(shard, A, {}, claim))
    assert [request.verb for request in bench.requests] == ["patch", "get", *([] if landed else ["patch"])]
    assert list(result.held) == claim


def test_a_commit_of_one_entry_whose_answer_was_lost_is_not_late(bench: Bench, make_shard: Make) -> None:
    """The entry shows it."""
    shard = make_shard(dict.fromkeys(ALIKE, f"running/1/0/0/{A}"), collapsed=True)
    bench.lose(shards)
    result = bench.run(commit_and_claim(shard, A, dict.fromkeys(ALIKE, commit)))
    assert (result.held, result.superseded) == ({}, [])
    assert [request.verb for request in bench.requests][:2] == ["patch", "get"]


def test_a_claim_whose_answer_was_lost_is_found_after_others_have_changed_the_form(
    bench: Bench, make_shard: Make
) -> None:
    """One task was reclaimed in between, so each task has its own entry: the other three are held."""
    shard = make_shard(ALIKE, collapsed=True)
    bench.lose(shards)

    def take_away() -> None:
        seen = Shard.parse(bench.get(shard.target))
        bench.patch(shard.target, *seen.change({1: seen.tasks[1].mark_lost({A}, 4)}).body)

    bench.meanwhile(lambda request: request.verb == "get", take_away)
    result = bench.run(commit_and_claim(shard, A, {}, list(ALIKE)))
    assert list(result.held) == [0, 2, 3]
    assert [request.verb for request in bench.requests] == ["patch", "get"]


def test_nothing_to_change_asks_nothing(bench: Bench, make_shard: Make) -> None:
    """What is held is known already."""
    result = bench.run(commit_and_claim(make_shard(HELD), A, {}))
    assert bench.requests == []
    assert list(result.held) == [0, 1]


def test_a_claim_that_cannot_be_had_does_not_hold_up_a_commit(bench: Bench, make_shard: Make) -> None:
    """Partly lost: the rest goes again without the claim, and claiming is left to the next call."""
    shard = make_shard(HELD)
    bench.set(shard.target, "/tasks/2", f"running/1/0/0/{B}")
    result = bench.run(commit_and_claim(shard, A, {0: commit, 1: commit}, [2, 3]))
    assert texts(result.shard)[0] == texts(result.shard)[1] == f"done/1/0/0/{A}"
    assert texts(result.shard)[3] == "pending/1/0/0/"
    assert result.held == {}
    assert result.superseded == []


@pytest.mark.parametrize("times", [1, 2])
def test_another_claim_goes_with_the_commit_once(bench: Bench, make_shard: Make, times: int) -> None:
    """Of what the shard shows after the first loss; after the second the commit goes alone."""
    shard = make_shard({**HELD, 4: "pending/1/0/0/"})
    for number in range(2, 2 + times):
        taken = f"running/1/0/0/{B}"
        bench.meanwhile(of_claim(number), partial(bench.set, shard.target, f"/tasks/{number}", taken))
    result = bench.run(commit_and_claim(shard, A, {0: commit, 1: commit}, [2], lambda seen: seen.pending[:1]))
    assert [request.verb for request in bench.requests] == ["patch", "get"] * times + ["patch"]
    assert texts(result.shard)[0] == texts(result.shard)[1] == f"done/1/0/0/{A}"
    assert list(result.held) == ([3] if times == 1 else [])
    assert result.superseded == []


def test_nothing_is_claimed_instead_where_nothing_is_left_to_commit(bench: Bench, make_shard: Make) -> None:
    """The caller chooses again."""
    shard = make_shard(HELD)
    bench.set(shard.target, "/tasks/0", "pending/2/0/1/")
    result = bench.run(commit_and_claim(shard, A, {0: commit}, [2], lambda seen: seen.pending))
    assert result.superseded == [0]
    assert list(result.held) == [1]


def test_a_task_that_was_taken_away_does_not_take_its_neighbour_along(bench: Bench, make_shard: Make) -> None:
    """It comes too late for one, and is committed for the other."""
    shard = make_shard(HELD)
    bench.set(shard.target, "/tasks/0", "pending/2/0/1/")
    result = bench.run(commit_and_claim(shard, A, {0: commit, 1: commit}, [2]))
    assert result.superseded == [0]
    assert texts(result.shard)[0] == "pending/2/0/1/"
    assert texts(result.shard)[1] == f"done/1/0/0/{A}"


def test_the_same_task_held_again_is_another_attempt(bench: Bench, make_shard: Make) -> None:
    """A commit speaks of the epoch it was made in: the outputs of that attempt lie under its name."""
    shard = make_shard(HELD)
    bench.set(shard.target, "/tasks/0", f"running/2/0/1/{A}")
    result = bench.run(commit_and_claim(shard, A, {0: commit}))
    assert result.superseded == [0]
    assert list(result.held) == [0, 1]
    assert texts(result.shard)[0] == f"running/2/0/1/{A}"


def test_a_backup_that_joined_is_no_loss(bench: Bench, make_shard: Make) -> None:
    """After a 422, a change is sent again if the worker's token is still there."""
    shard = make_shard(HELD)
    bench.set(shard.target, "/tasks/0", f"running/1/0/0/{A}+{B}")
    result = bench.run(commit_and_claim(shard, A, {0: commit}))
    assert result.superseded == []
    assert texts(result.shard)[0] == f"done/1/0/0/{A}"


def test_a_claim_whose_answer_was_lost_is_adopted(bench: Bench, make_shard: Make) -> None:
    """It landed: the tasks are held, and nothing is claimed twice."""
    shard = make_shard(HELD)
    bench.lose(shards)
    result = bench.run(commit_and_claim(shard, A, {0: commit}, [2]))
    assert [request.verb for request in bench.requests] == ["patch", "get"]
    assert list(result.held) == [1, 2]
    assert texts(result.shard)[0] == f"done/1/0/0/{A}"


def test_a_claim_that_was_reclaimed_before_the_read_is_not_held(bench: Bench, make_shard: Make) -> None:
    """Another process reclaimed the task between the lost answer and the read."""
    shard = make_shard(HELD)
    bench.lose(shards)
    bench.meanwhile(
        lambda request: request.verb == "get", lambda: bench.set(shard.target, "/tasks/2", "pending/2/0/1/")
    )
    result = bench.run(commit_and_claim(shard, A, {}, [2]))
    assert list(result.held) == [0, 1]


def test_a_failure_is_counted_once_though_its_answer_was_lost(bench: Bench, make_shard: Make) -> None:
    """Also when the task has been claimed by another before anyone looked."""
    shard = make_shard(HELD)
    bench.lose(shards)
    bench.meanwhile(
        lambda request: request.verb == "get", lambda: bench.set(shard.target, "/tasks/0", f"running/2/1/0/{B}")
    )
    result = bench.run(commit_and_claim(shard, A, {0: fail}))
    assert texts(result.shard)[0] == f"running/2/1/0/{B}"
    assert result.superseded == [0]


def test_a_patch_that_did_not_land_is_sent_again_identically(bench: Bench, make_shard: Make) -> None:
    """503 and silence say nothing; the repetition cannot do harm, as it tests what the first tested."""
    shard = make_shard(HELD)
    bench.answer(shards, UNAVAILABLE, LOST_ANSWER)
    result = bench.run(commit_and_claim(shard, A, {0: commit}, [2]))
    sent = [request for request in bench.requests if request.verb == "patch"]
    assert len(sent) == 3
    assert sent[0] == sent[1] == sent[2]
    assert list(result.held) == [1, 2]


def test_a_patch_that_lands_late_changes_nothing_more(bench: Bench, make_shard: Make) -> None:
    """The sender gave up on it, sent it again, and went on; when the first arrives its tests fail."""
    shard = make_shard(HELD)
    bench.answer(shards, LOST_ANSWER)
    first = bench.run(commit_and_claim(shard, A, {}, [2]))
    late = next(request for request in bench.requests if request.verb == "patch")
    bench.run(commit_and_claim(first.shard, A, {2: release}))
    assert bench.server.handle(late).status == 422
    assert texts(Shard.parse(bench.get(shard.target)))[2] == "pending/2/0/0/"


def test_what_the_schema_refuses_is_an_error_and_not_a_race(bench: Bench, make_shard: Make) -> None:
    """With a cause in the answer: at once."""
    shard = make_shard(HELD)
    bench.answer(shards, INVALID)
    with pytest.raises(RequestRefusedError, match=r"patching mapreducetaskshards default/s: .* 422 Invalid"):
        bench.run(commit_and_claim(shard, A, {0: commit}))
    assert len(bench.requests) == 1


def test_a_422_without_a_cause_is_a_refusal_when_every_test_holds(bench: Bench, make_shard: Make) -> None:
    """Twice, as one look might have been too late."""
    plain = Answer(422, {"kind": "Status", "reason": "Invalid", "message": "the server rejected our request"})
    shard = make_shard(HELD)
    bench.answer(shards, plain, plain)
    with pytest.raises(RequestRefusedError):
        bench.run(commit_and_claim(shard, A, {0: commit}))


def test_a_denied_patch_is_an_error(bench: Bench, make_shard: Make) -> None:
    """403 in the middle of a run."""
    shard = make_shard(HELD)
    bench.answer(shards, DENIED)
    with pytest.raises(RequestRefusedError, match="403 Forbidden"):
        bench.run(commit_and_claim(shard, A, {0: commit}))


def test_a_shard_that_is_gone(bench: Bench, make_shard: Make) -> None:
    """The job was deleted."""
    shard = make_shard(HELD)
    bench.delete(shard.target)
    with pytest.raises(ShardNotFoundError, match="mapreducetaskshards default/s does not exist"):
        bench.run(commit_and_claim(shard, A, {0: commit}))


def test_a_shard_that_goes_between_the_patch_and_the_look(bench: Bench, make_shard: Make) -> None:
    """The same."""
    shard = make_shard(HELD)
    bench.lose(shards)
    bench.meanwhile(lambda request: request.verb == "get", lambda: bench.delete(shard.target))
    with pytest.raises(ShardNotFoundError):
        bench.run(commit_and_claim(shard, A, {0: commit}))


def test_a_hint_that_others_made_wrong_is_repaired(bench: Bench, make_shard: Make) -> None:
    """The label was computed from what this worker knew; the answer shows that the last open task is gone."""
    shard = make_shard({0: f"running/1/0/0/{A}", 1: "pending/1/0/0/"})
    bench.set(shard.target, "/tasks/1", f"done/1/0/0/{B}")
    bench.run(commit_and_claim(shard, A, {0: commit}))
    assert Shard.parse(bench.get(shard.target)).hint == "done"


def test_a_repair_is_tried_once(bench: Bench, make_shard: Make) -> None:
    """It is only a hint: the next process that reads the shard repairs it."""
    shard = make_shard({0: f"running/1/0/0/{A}", 1: "pending/1/0/0/"})
    bench.set(shard.target, "/tasks/1", f"done/1/0/0/{B}")
    bench.answer(lambda request: shards(request) and request.body[0]["path"] == "/tasks", UNAVAILABLE)
    bench.run(commit_and_claim(shard, A, {0: commit}))
    assert Shard.parse(bench.get(shard.target)).hint == "open"
