"""The legal changes of a task, held against the table that the simulation's referee keeps on its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubemr.tasks.state import IllegalChangeError, TaskState, Token, attempt_of
from support.simulation.referee import legal

TOKENS = [Token(text) for text in ("w0-aaaaaa", "w1-bbbbbb", "w2-cccccc")]
BOUND = 3

tokens = st.sampled_from(TOKENS)
Change = Callable[[TaskState], TaskState]
changes: st.SearchStrategy[tuple[str, Change]] = st.one_of(
    tokens.map(lambda token: ("claim", lambda state: state.claim(token))),
    tokens.map(lambda token: ("backup", lambda state: state.back_up(token))),
    tokens.map(lambda token: ("done", lambda state: state.commit(token, empty=False))),
    tokens.map(lambda token: ("empty", lambda state: state.commit(token, empty=True))),
    tokens.map(lambda token: ("release", lambda state: state.release(token))),
    tokens.map(lambda token: ("fail", lambda state: state.fail(token, BOUND))),
    st.sets(tokens, min_size=1).map(lambda dead: ("lose", lambda state: state.mark_lost(dead, BOUND))),
)


@given(st.lists(changes, max_size=60))
def test_no_history_breaks_the_table(history: list[tuple[str, Change]]) -> None:
    """Whatever is done in whatever order: each step is a row of the table, or is refused and changes nothing."""
    state = TaskState("pending", 1)
    for name, change in history:
        try:
            after = change(state)
        except IllegalChangeError:
            continue
        assert legal(str(state), str(after)), f"{name}: {state} -> {after}"
        assert str(after) != str(state)
        assert after.epoch >= state.epoch
        assert (after.epoch == state.epoch + 1) is (after.name == "pending")
        assert TaskState.parse(str(after)) == after
        state = after


@given(st.lists(changes, max_size=60))
def test_no_string_ever_comes_back(history: list[tuple[str, Change]]) -> None:
    """No ABA, backups that join and leave included: a `test` that failed once fails for ever."""
    state = TaskState("pending", 1)
    seen = {str(state)}
    for _, change in history:
        try:
            state = change(state)
        except IllegalChangeError:
            continue
        assert str(state) not in seen
        seen.add(str(state))


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ("pending/3/1/2/", lambda s: s.claim(TOKENS[0]), "running/3/1/2/w0-aaaaaa"),
        ("running/3/1/2/w0-aaaaaa", lambda s: s.back_up(TOKENS[1]), "running/3/1/2/w0-aaaaaa+w1-bbbbbb"),
        ("running/3/1/2/w0-aaaaaa", lambda s: s.commit(TOKENS[0], empty=False), "done/3/1/2/w0-aaaaaa"),
        ("running/3/1/2/w0-aaaaaa+w1-bbbbbb", lambda s: s.commit(TOKENS[1], empty=True), "empty/3/1/2/w1-bbbbbb"),
        ("running/3/1/2/w0-aaaaaa", lambda s: s.release(TOKENS[0]), "pending/4/1/2/"),
        ("running/3/1/2/w0-aaaaaa", lambda s: s.fail(TOKENS[0], BOUND), "pending/4/2/2/"),
        ("running/3/2/2/w0-aaaaaa", lambda s: s.fail(TOKENS[0], BOUND), "failed/3/3/2/"),
        ("running/3/1/2/w0-aaaaaa", lambda s: s.mark_lost({TOKENS[0]}, BOUND), "pending/4/1/3/"),
        ("running/3/1/3/w0-aaaaaa", lambda s: s.mark_lost({TOKENS[0]}, BOUND), "failed/3/1/4/"),
        ("running/3/1/3/w0-aaaaaa+w1-bbbbbb", lambda s: s.mark_lost(set(TOKENS), BOUND), "failed/3/1/4/"),
        ("running/3/1/2/w0-aaaaaa+w1-bbbbbb", lambda s: s.mark_lost({TOKENS[0]}, BOUND), "running/3/1/3/w1-bbbbbb"),
        ("running/3/1/2/w0-aaaaaa+w1-bbbbbb", lambda s: s.release(TOKENS[1]), "running/3/1/3/w0-aaaaaa"),
        ("running/3/1/2/w0-aaaaaa+w1-bbbbbb", lambda s: s.fail(TOKENS[0], BOUND), "running/3/2/2/w1-bbbbbb"),
    ],
)
def test_each_row_of_the_table(before: str, change: Change, after: str) -> None:
    """docs/protocol.md, "Legal changes of one task", row by row."""
    assert str(change(TaskState.parse(before))) == after


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("running/1/0/0/w0-aaaaaa", lambda s: s.claim(TOKENS[1])),
        ("done/1/0/0/w0-aaaaaa", lambda s: s.claim(TOKENS[1])),
        ("failed/1/3/0/", lambda s: s.claim(TOKENS[1])),
        ("pending/1/0/0/", lambda s: s.back_up(TOKENS[1])),
        ("running/1/0/0/w0-aaaaaa", lambda s: s.back_up(TOKENS[0])),
        ("running/1/0/0/w0-aaaaaa+w1-bbbbbb", lambda s: s.back_up(TOKENS[2])),
        ("running/1/0/0/w0-aaaaaa", lambda s: s.commit(TOKENS[1], empty=False)),
        ("done/1/0/0/w0-aaaaaa", lambda s: s.commit(TOKENS[0], empty=False)),
        ("pending/1/0/0/", lambda s: s.release(TOKENS[0])),
        ("running/1/0/0/w0-aaaaaa", lambda s: s.release(TOKENS[1])),
        ("running/1/0/0/w0-aaaaaa", lambda s: s.fail(TOKENS[1], BOUND)),
        ("running/1/0/0/w0-aaaaaa", lambda s: s.mark_lost({TOKENS[1]}, BOUND)),
        ("done/1/0/0/w0-aaaaaa", lambda s: s.mark_lost({TOKENS[0]}, BOUND)),
        ("pending/1/0/0/", lambda s: s.attempt),
    ],
)
def test_what_is_not_in_the_table_is_refused(text: str, change: Callable[[TaskState], object]) -> None:
    """And the error shows the state."""
    with pytest.raises(IllegalChangeError, match=text.replace("+", r"\+")):
        change(TaskState.parse(text))


def test_what_a_state_says() -> None:
    """Final, committed, lost before, and the attempt that counts."""
    states = {
        text: TaskState.parse(text)
        for text in (
            "pending/1/0/0/",
            "running/2/0/1/w0-aaaaaa",
            "done/2/0/0/w0-aaaaaa",
            "empty/2/0/0/w0-aaaaaa",
            "failed/2/3/0/",
        )
    }
    assert [state.final for state in states.values()] == [False, False, True, True, True]
    assert [state.committed for state in states.values()] == [False, False, True, True, False]
    assert [state.lost_before for state in states.values()] == [False, True, False, False, False]
    assert states["done/2/0/0/w0-aaaaaa"].attempt == attempt_of(2, TOKENS[0]) == "2-w0-aaaaaa"
