"""When this process first saw each running attempt.

If the worker of an attempt dies, this is the only upper bound of the attempt's start time.
It costs no requests: the process records the shards that it reads anyway.
"""

from __future__ import annotations

from typing import Final

from attr import define, field

from kubemr.tasks.shard import Shard
from kubemr.tasks.state import Token

REMEMBERED: Final = 4096
"""The number of attempts that are remembered: those that were first seen latest.

An attempt that is forgotten and seen again gets a later bound, which is still correct."""


@define
class FirstSeen:
    """The first sighting of each running attempt, by the monotonic clock of the observer."""

    _first: dict[tuple[str, int, int, Token], float] = field(factory=dict, init=False)

    def record(self, shard: Shard, now: float, own: Token) -> None:
        """Record the attempts in a shard that was just read, except those of the token `own`."""
        for number, state in shard.tasks.items():
            if state.name == "running":
                for token in state.holders:
                    if token != own:
                        self._first.setdefault((shard.name, number, state.epoch, token), now)
        while len(self._first) > REMEMBERED:
            del self._first[next(iter(self._first))]

    def since(self, shard: Shard, number: int, epoch: int, token: Token) -> float | None:
        """Return when this attempt was first seen, or None."""
        return self._first.get((shard.name, number, epoch, token))
