"""Since when an observer has seen the attempts that run: by then they had begun, which nobody else may be left to say.

It costs no request: what is looked at anyway is remembered.
"""

from __future__ import annotations

from typing import Final

from attr import define, field

from kubemr.tasks.shard import Shard
from kubemr.tasks.state import Token

REMEMBERED: Final = 4096
"""Attempts that are kept: those that were first seen latest.  One that is forgotten and seen again had begun, too."""


@define
class FirstSeen:
    """Of one observer.  Times are of its monotonic clock."""

    _first: dict[tuple[str, int, int, Token], float] = field(factory=dict, init=False)

    def record(self, shard: Shard, now: float, own: Token) -> None:
        """The shard, as it was a moment ago; of `own` attempts nothing needs to be remembered."""
        for number, state in shard.tasks.items():
            if state.name == "running":
                for token in state.holders:
                    if token != own:
                        self._first.setdefault((shard.name, number, state.epoch, token), now)
        while len(self._first) > REMEMBERED:
            del self._first[next(iter(self._first))]

    def since(self, shard: Shard, number: int, epoch: int, token: Token) -> float | None:
        """When this attempt was first seen; None when it was not."""
        return self._first.get((shard.name, number, epoch, token))
