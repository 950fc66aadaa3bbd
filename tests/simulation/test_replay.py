"""A seed tells the whole story again, word for word: that is what makes a failing one worth having."""

from __future__ import annotations

from support.simulation.scenario import play


def test_the_same_seed_gives_the_same_history() -> None:
    """Nothing in a run depends on anything but the seed."""
    first, second = play(17), play(17)
    assert first.steps == second.steps
    assert first.history == second.history
