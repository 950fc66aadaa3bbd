"""Claim tasks, commit them, give them back: one conditional patch for a whole batch.

`settle` is the only way a worker changes tasks.  It takes the changes of tasks the worker holds
(commit, fail, release) and, in the same patch, claims the next ones of the same shard.  When a test
fails, somebody else has changed one of the tasks: then it reads again, drops what is no longer its own, and
sends the rest with another claim, of what there is to be had now; if that fails too, without any.  So a commit does not
wait for claims that cannot be had, and no finished work is thrown away because of a neighbour.

What the worker holds afterwards is always taken from the shard as the server showed it, never from what
was asked for.  So a claim whose answer was lost, and which landed all the same, is found and adopted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from attr import frozen

from kubemr.locks.conditional import PatchResult, PatchStatus, RequestRefusedError, apply
from kubemr.locks.effects import Answer, Json, Op
from kubemr.locks.patch import Patch
from kubemr.tasks import encoding
from kubemr.tasks.shard import Shard
from kubemr.tasks.state import TaskState, Token

Change = Callable[[TaskState], TaskState]
"""What became of one task, e.g. `lambda state: state.commit(token, empty=False)`."""


class ShardNotFoundError(Exception):
    """The shard does not exist any more: the job was deleted, or its run is over."""


@frozen
class ClaimResult:
    """The shard as it is now; what the worker holds in it; which of its changes came too late."""

    shard: Shard
    held: Mapping[int, TaskState]
    superseded: Sequence[int]


def choose(shard: Shard, count: int, rotation: int = 0) -> list[int]:
    """Up to `count` tasks to claim: those nobody died on, or else a single suspect.

    `rotation` sets where in the shard to begin, so that contenders do not all want the same tasks.
    """
    pending = shard.pending
    clean = [number for number in pending if not shard.tasks[number].suspect]
    if not clean:
        return pending[:1]
    start = rotation % len(clean)
    return (clean[start:] + clean[:start])[:count]


def commit_and_claim(
    shard: Shard,
    token: Token,
    changes: Mapping[int, Change],
    claim: Sequence[int] = (),
    fallback_claim: Callable[[Shard], Sequence[int]] | None = None,
) -> Op[ClaimResult]:
    """Apply `changes` to tasks that `token` holds, and claim `claim`, all in `shard`.

    `shard` is what the worker knows; `changes` speak of the attempts it shows.  `instead` chooses what to claim along
    with the changes when somebody else was quicker the first time; without it, or the second time, nothing is.
    Raises `ShardNotFoundError`, or `RequestRefusedError` when the server will not take the patch at all.
    """
    epochs = {number: shard.tasks[number].epoch for number in changes}
    open_changes = dict(changes)
    late: list[int] = []
    claiming = list(claim)
    while True:
        states = _after(shard, {**open_changes, **dict.fromkeys(claiming, partial(TaskState.claim, token=token))})
        if not states:
            return ClaimResult(shard, shard.held_by(token), late)
        outcome = yield from _send(shard, shard.change(states), states)
        shard = Shard.parse(outcome.object)
        if outcome.won:
            yield from repair_hint(shard)
            return ClaimResult(shard, shard.held_by(token), late)
        for number in list(open_changes):
            state = shard.tasks[number]
            if not state.held_by(token) or state.epoch != epochs[number]:
                del open_changes[number]
                late.append(number)
        claiming = list(fallback_claim(shard)) if fallback_claim is not None and open_changes else []
        fallback_claim = None


def back_up(shard: Shard, number: int, token: Token) -> Op[ClaimResult]:
    """Join the one holder of a task that lasts; whoever commits first has won.

    Losing the race for it is no harm: what `token` holds is what the shard shows.
    """
    states = {number: shard.tasks[number].back_up(token)}
    outcome = yield from _send(shard, shard.change(states), states)
    shard = Shard.parse(outcome.object)
    return ClaimResult(shard, shard.held_by(token), [])


def mark_lost(shard: Shard, dead: set[Token], max_losses: int) -> Op[Shard]:
    """Take the tasks of dead holders away from them; gives the shard as it is then.

    Losing the race for it is as good as winning: somebody else did the same, or the holder was quicker.
    """
    states = {
        number: state.mark_lost(dead, max_losses)
        for number, state in shard.tasks.items()
        if state.name == "running" and dead & set(state.holders)
    }
    if not states:
        return shard
    outcome = yield from _send(shard, shard.change(states), states)
    shard = Shard.parse(outcome.object)
    if outcome.won:
        yield from repair_hint(shard)
    return shard


def repair_hint(shard: Shard) -> Op[None]:
    """Make the label fit the tasks, if it does not.  One try: it is only a hint."""
    patch = shard.repair()
    if patch is not None:
        answer: Answer = yield shard.target.patch(patch)
        del answer  # Whatever it says: a changed shard is repaired by who changed it, a lost answer by who comes next.


def _after(shard: Shard, changes: Mapping[int, Change]) -> dict[int, TaskState]:
    """What the tasks are after their changes; worked out once for all that are alike, as most in a shard are."""
    known: dict[tuple[Change, int], TaskState] = {}
    states: dict[int, TaskState] = {}
    for number, change in changes.items():
        before = shard.tasks[number]
        kind = change, id(before)
        if kind not in known:
            known[kind] = change(before)
        states[number] = known[kind]
    return states


def _send(shard: Shard, patch: Patch, states: Mapping[int, TaskState]) -> Op[PatchResult]:
    def mine(document: Json) -> bool:
        shown = encoding.texts(document["tasks"])
        return any(shown.get(number) == str(state) for number, state in states.items())

    outcome = yield from apply(shard.target, patch, mine)
    if outcome.status is PatchStatus.GONE:
        raise ShardNotFoundError(f"{shard.target} is gone")
    if outcome.status is PatchStatus.REFUSED:
        raise RequestRefusedError(f"patching {shard.target}", outcome.answer)
    return outcome
