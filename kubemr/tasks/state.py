"""The whole state of a task is one short string, so that one `test` compares all of it.

``state/epoch/failures/losses/holders``, e.g. ``pending/1/0/0/``, ``running/2/0/1/w7-k2p4x9``,
``running/2/0/1/w7-k2p4x9+w9-m4c0aa`` (with a backup), ``done/2/0/1/w7-k2p4x9``, ``failed/5/4/0/``.

The grammar and the legal changes are those of docs/protocol.md.
Each change is a method here.
It returns the next state, and raises `IllegalChangeError` if the table of changes has no such row.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal, NewType, cast

from attr import evolve, frozen

from kubemr.locks.identity import Token as Token

Name = Literal["pending", "running", "done", "empty", "failed"]


Attempt = NewType("Attempt", str)
"""The name of an execution of a task by one worker: `<epoch>-<token>`.

It is unique over all runs of a job, because epochs never fall."""

TOKEN: Final = r"w[0-9]{1,6}-[a-z0-9]{6}"
_COUNT: Final = r"(0|[1-9][0-9]{0,3})"
_NUMBERS: Final = rf"[1-9][0-9]{{0,6}}/{_COUNT}/{_COUNT}"
PATTERN: Final = (
    rf"^(pending|failed)/{_NUMBERS}/$|^running/{_NUMBERS}/{TOKEN}(\+{TOKEN})?$|^(done|empty)/{_NUMBERS}/{TOKEN}$"
)
"""The grammar as one regular expression, which the CRD's schema has too.

A state has one spelling (no leading zeros), because it is compared as a string."""
MAX_LENGTH: Final = 64
"""No state is longer than this many characters."""

_PATTERN = re.compile(PATTERN)
_TOKEN = re.compile(rf"^{TOKEN}$")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"


class InvalidStateError(ValueError):
    """A string is not a task state, a token or the key of a task entry."""


class IllegalChangeError(ValueError):
    """The protocol does not allow this change of a task."""


def make_token(index: int, entropy: int) -> Token:
    """Return the token of worker `index` for one start of its process; `entropy` is a new random integer."""
    if not 0 <= index <= 999_999:
        raise ValueError(f"worker index {index}: must be between 0 and 999999")
    letters = []
    for _ in range(6):
        entropy, digit = divmod(entropy, len(_ALPHABET))
        letters.append(_ALPHABET[digit])
    return Token(f"w{index}-{''.join(letters)}")


def parse_token(text: str) -> tuple[int, str]:
    """Return the worker index and the incarnation of a token.

    Raise `InvalidStateError` if `text` is not a token.
    """
    if not _TOKEN.fullmatch(text):
        raise InvalidStateError(f"{text!r} is not a holder token: expected w<index>-<six of a-z0-9>")
    index, _, incarnation = text[1:].partition("-")
    return int(index), incarnation


@frozen
class TaskState:
    """A parsed state string; `str()` returns the string."""

    name: Name
    epoch: int
    failures: int = 0
    losses: int = 0
    holders: tuple[Token, ...] = ()

    @classmethod
    def parse(cls, text: object) -> TaskState:
        """Parse a state string.

        Raise `InvalidStateError` if `text` does not follow the grammar.
        """
        if not isinstance(text, str):
            raise InvalidStateError(f"{text!r} is not a task state: expected state/epoch/failures/losses/holders")
        return _parsed(text)

    def __str__(self) -> str:
        return f"{self.name}/{self.epoch}/{self.failures}/{self.losses}/{'+'.join(self.holders)}"

    @property
    def final(self) -> bool:
        """True if no change is possible any more, in this run."""
        return self.name in ("done", "empty", "failed")

    @property
    def committed(self) -> bool:
        """True if one of the task's attempts counts."""
        return self.name in ("done", "empty")

    @property
    def lost_before(self) -> bool:
        """True if a holder of the task died before.

        Such a task is claimed alone: its input may kill workers, and other tasks of the same batch would be lost too.
        """
        return self.losses > 0

    @property
    def attempt(self) -> Attempt:
        """The attempt that counts.

        Raises `IllegalChangeError` if the task is not committed.
        """
        if not self.committed:
            raise IllegalChangeError(f"task state {self}: only a committed task has an attempt that counts")
        return attempt_of(self.epoch, self.holders[0])

    def held_by(self, token: Token) -> bool:
        """Return True if `token` is a holder of the running task."""
        return self.name == "running" and token in self.holders

    def claim(self, token: Token) -> TaskState:
        """Make `token` the holder of a pending task."""
        self._require(self.name == "pending", "claimed")
        return evolve(self, name="running", holders=(token,))

    def back_up(self, token: Token) -> TaskState:
        """Add `token` as a second holder, which runs a backup of a slow task."""
        self._require(self.name == "running" and len(self.holders) == 1 and token not in self.holders, "backed up")
        return evolve(self, holders=(*self.holders, token))

    def commit(self, token: Token, *, empty: bool) -> TaskState:
        """Commit the task: from now on the attempt of `token` counts."""
        self._require(self.held_by(token), "committed")
        return evolve(self, name="empty" if empty else "done", holders=(token,))

    def release(self, token: Token) -> TaskState:
        """Remove the holder `token`, whose attempt is unfinished, without counting a failure.

        A task with two holders keeps the other one.
        """
        self._require(self.held_by(token), "released")
        return self._without({token}) if len(self.holders) == 1 else self._without_one_holder({token})

    def fail(self, token: Token, max_attempts: int) -> TaskState:
        """Count a failure of the user's code in the attempt of `token`; the task fails after `max_attempts` of them."""
        self._require(self.held_by(token), "failed")
        counted = evolve(self, failures=self.failures + 1)
        if counted.failures >= max_attempts:
            return evolve(counted, name="failed", holders=())
        return counted._without({token})

    def mark_lost(self, dead: set[Token], max_losses: int) -> TaskState:
        """Remove the dead holders.

        The task returns to `pending`, or fails beyond `max_losses`, only if all holders are dead.
        """
        self._require(self.name == "running" and any(token in dead for token in self.holders), "marked as lost")
        if not all(token in dead for token in self.holders):
            return self._without_one_holder(dead)
        counted = evolve(self, losses=self.losses + 1)
        if counted.losses > max_losses:
            return evolve(counted, name="failed", holders=())
        return counted._without(dead)

    def _without_one_holder(self, gone: set[Token]) -> TaskState:
        """Remove one of two holders.

        It counts as a loss, so that the state string from before the backup never recurs (ABA).
        """
        return evolve(self, losses=self.losses + 1)._without(gone)

    def _without(self, gone: set[Token]) -> TaskState:
        left = tuple(token for token in self.holders if token not in gone)
        if left:
            return evolve(self, holders=left)
        return evolve(self, name="pending", epoch=self.epoch + 1, holders=())

    def _require(self, condition: bool, change: str) -> None:
        if not condition:
            raise IllegalChangeError(f"task state {self}: the task cannot be {change} in this state")


@lru_cache(maxsize=1024)
def _parsed(text: str) -> TaskState:
    """Parse a state string, with a cache: most tasks of a shard are in the same state."""
    if not _PATTERN.fullmatch(text):
        raise InvalidStateError(f"{text!r} is not a task state: expected state/epoch/failures/losses/holders")
    name, epoch, failures, losses, holders = text.split("/")
    tokens = tuple(Token(token) for token in holders.split("+")) if holders else ()
    return TaskState(cast(Name, name), int(epoch), int(failures), int(losses), tokens)


def attempt_of(epoch: int, token: Token) -> Attempt:
    """Return the name of an attempt, as storage keys contain it."""
    return Attempt(f"{epoch}-{token}")
