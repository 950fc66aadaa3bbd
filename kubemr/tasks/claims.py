"""Claim, commit and release tasks: one conditional patch for a whole batch.

A worker changes the tasks that it holds only by `commit_and_claim`.
It commits, fails or releases them and, in the same patch, claims the next tasks of the same shard.

A failed `test` means that another process has changed one of the tasks.
The operation then reads the shard again and drops the changes of tasks that the worker no longer holds.
It sends the other changes with another claim, of tasks that are pending now; if that fails too, without a claim.
So a commit is not delayed by claims that lose every race, and no finished work is lost because of another task.

What the worker holds afterwards is always read from the shard that the apiserver returned, not from what was sent.
So a claim that was carried out although its answer was lost is found, and the worker runs its tasks.
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
"""A change of one task, e.g. `lambda state: state.commit(token, empty=False)`."""


class ShardNotFoundError(Exception):
    """The shard does not exist any more: the job was deleted, or its run has ended."""


@frozen
class ClaimResult:
    """The shard after the patch, the tasks that the worker holds in it, and the changes that came too late."""

    shard: Shard
    held: Mapping[int, TaskState]
    superseded: Sequence[int]


def choose(shard: Shard, count: int, rotation: int = 0) -> list[int]:
    """Return up to `count` tasks to claim: those without losses, or else a single one with losses.

    `rotation` is the offset at which to begin, so that competing workers choose different tasks.
    """
    pending = shard.pending
    clean = [number for number in pending if not shard.tasks[number].lost_before]
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

    `shard` is the shard as the worker read it, and `changes` concern the attempts in it.
    If another process was faster, `fallback_claim` chooses the tasks to claim with the second patch.
    Without it, and from the third patch on, the operation claims no tasks.
    Raise `ShardNotFoundError`, or `RequestRefusedError` if the apiserver refuses the patch.
    """
    epochs = {number: shard.tasks[number].epoch for number in changes}
    open_changes = dict(changes)
    superseded: list[int] = []
    claiming = list(claim)
    while True:
        claims = dict.fromkeys(claiming, partial(TaskState.claim, token=token))
        states = _states_after(shard, {**open_changes, **claims})
        if not states:
            return ClaimResult(shard, shard.held_by(token), superseded)
        outcome = yield from _send(shard, shard.change(states), states)
        shard = Shard.parse(outcome.object)
        if outcome.won:
            yield from repair_hint(shard)
            return ClaimResult(shard, shard.held_by(token), superseded)
        for number in list(open_changes):
            state = shard.tasks[number]
            if not state.held_by(token) or state.epoch != epochs[number]:
                del open_changes[number]
                superseded.append(number)
        claiming = list(fallback_claim(shard)) if fallback_claim is not None and open_changes else []
        fallback_claim = None


def back_up(shard: Shard, number: int, token: Token) -> Op[ClaimResult]:
    """Become the second holder of a slow task; of both attempts the first to commit counts.

    A lost race does no harm: the result shows which tasks `token` holds.
    """
    states = {number: shard.tasks[number].back_up(token)}
    outcome = yield from _send(shard, shard.change(states), states)
    shard = Shard.parse(outcome.object)
    return ClaimResult(shard, shard.held_by(token), [])


def mark_lost(shard: Shard, dead: set[Token], max_losses: int) -> Op[Shard]:
    """Reclaim the tasks of dead holders, and return the shard after it.

    A lost race needs no second patch: another process has reclaimed the tasks, or their holder was faster.
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
    """Make the label match the tasks, if it does not.

    It is only a hint, so the patch is sent once.
    """
    patch = shard.repair()
    if patch is not None:
        answer: Answer = yield shard.target.patch(patch)
        del answer  # Another process that changes the shard, or the next one to read it, writes the hint again.


def _states_after(shard: Shard, changes: Mapping[int, Change]) -> dict[int, TaskState]:
    """Return the tasks' states after their changes.

    Equal changes of equal states are computed once.
    """
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
    def is_ours(document: Json) -> bool:
        shown = encoding.texts(document["tasks"])
        return any(shown.get(number) == str(state) for number, state in states.items())

    outcome = yield from apply(shard.target, patch, is_ours)
    if outcome.status is PatchStatus.GONE:
        raise ShardNotFoundError(f"{shard.target} does not exist")
    if outcome.status is PatchStatus.REFUSED:
        raise RequestRefusedError(f"patching {shard.target}", outcome.answer)
    return outcome
