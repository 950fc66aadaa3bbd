"""A mistake to be planted in the real code, which the simulation must find."""

from __future__ import annotations

from attr import evolve

from kubemr.tasks.state import TaskState, Token


def without_new_epoch(state: TaskState, gone: set[Token]) -> TaskState:
    """For `TaskState._without`: a task that comes back has the epoch that it had."""
    left = tuple(token for token in state.holders if token not in gone)
    return evolve(state, holders=left) if left else evolve(state, name="pending", holders=())
