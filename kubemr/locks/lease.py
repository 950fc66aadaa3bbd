"""Leases that say which process holds an identity, such as worker number 7, and that the process is alive.

Each identity has one `coordination.k8s.io/v1` Lease.
A process takes the Lease at its start, by a conditional patch of `spec.holderIdentity`.
From that moment every other token with that identity is dead, without a wait.
A token that *is* its Lease's holder is dead if the Lease was not renewed for its whole duration.
The observer measures that by its own clock (`kubemr.locks.liveness`).

`keep_renewed` is meant to run in a separate thread, beside the process's work.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from attr import define, evolve, field

from kubemr.locks.backoff import LONGEST, Backoff
from kubemr.locks.conditional import PatchResult, PatchStatus, RequestRefusedError, Target, apply, is_refusal, read
from kubemr.locks.deadline import with_deadline
from kubemr.locks.effects import Answer, Do, Json, Now, Op, Random, Request, Resource, Sleep
from kubemr.locks.errors import LocksError
from kubemr.locks.identity import Token
from kubemr.locks.liveness import Observation
from kubemr.locks.patch import Patch, lookup

LEASES: Final = Resource("coordination.k8s.io", "v1", "leases")

RENEWALS_PER_DURATION: Final = 4
"""The duration of a Lease is at least four renewals, so that three in a row may fail."""


class LeaseLostError(LocksError):
    """Another process took the Lease, or the Lease was deleted: this process must stop at once."""


def take(target: Target, token: Token, now_string: Callable[[], str]) -> Op[Json]:
    """Make `token` the holder, also if the Lease has another holder; return the Lease.

    `now_string` returns the wall clock's time as a Kubernetes MicroTime, which people read and no process compares.
    Raise `LeaseLostError` if the Lease does not exist.
    """
    while True:
        lease = yield from read(target)
        if lease is None:
            raise LeaseLostError(f"{target} does not exist")
        spec = lease.get("spec") or {}
        now = yield Do(now_string, "wall clock")
        patch = Patch().test("/spec/holderIdentity", spec.get("holderIdentity"))
        patch = (
            patch.add("/spec/holderIdentity", token)
            .add("/spec/acquireTime", now)
            .add("/spec/renewTime", now)
            .add("/spec/leaseTransitions", int(spec.get("leaseTransitions") or 0) + 1)
        )
        outcome = yield from apply(target, patch, _holder_is(token))
        if outcome.won:
            return outcome.object
        _raise_unless_lost(outcome, target)


def renew(target: Target, token: Token, now_string: str, *, longest: float = LONGEST) -> Op[None]:
    """Renew the Lease once.

    `now_string` must differ from the last one, because a patch that changes nothing writes nothing.
    `longest` bounds each request, and each wait between two, in seconds.
    So a connection without answers is replaced by another one.
    A busy apiserver receives the next request before the Lease expires, whatever its Retry-After says.
    Raise `LeaseLostError` if another token holds the Lease.

    The patch is sent until it is known to be carried out.
    That needs no reads, unless a test fails: to carry it out twice does no harm.
    """
    request = target.patch(Patch().test("/spec/holderIdentity", token).add("/spec/renewTime", now_string))
    backoff = Backoff(longest=longest)
    failed_while_held = False
    while True:
        answer: Answer = yield evolve(request, timeout=longest)
        if answer.ok:
            return
        if answer.status == 404:
            raise LeaseLostError(f"{target} does not exist")
        if is_refusal(answer):
            raise RequestRefusedError(f"renewing {target}", answer)
        if answer.status == 422:
            holder = lookup((yield from _read_within(target, longest)), "/spec/holderIdentity")
            if holder != token:
                raise LeaseLostError(f"{target} is held by {holder}, not by {token}")
            if failed_while_held:
                raise RequestRefusedError(f"renewing {target}", answer)
            failed_while_held = True
        yield Sleep(min(longest, backoff.next((yield Random()), answer.retry_after)))


def release(target: Target, token: Token) -> Op[None]:
    """Release the Lease: from then on `token` counts as dead, and what it holds can be reclaimed at once.

    Do nothing if `token` does not hold the Lease.
    """
    patch = Patch().test("/spec/holderIdentity", token).remove("/spec/holderIdentity")

    def is_released(lease: Json) -> bool:
        return not _holder_is(token)(lease)

    outcome = yield from apply(target, patch, is_released)
    if outcome.status is PatchStatus.REFUSED:
        raise RequestRefusedError(f"releasing {target}", outcome.answer)


def keep_renewed(
    target: Target, token: Token, duration: float, *, alive: Callable[[], bool], now_string: Callable[[], str]
) -> Op[None]:
    """Renew the Lease four times per `duration` seconds (a little more often, never less) while `alive()`.

    No request and no wait lasts longer than one such interval, so three renewals in a row may fail.
    After an outage of the apiserver, the first renewal is carried out within an interval.
    With longer waits, an observer that reaches the apiserver earlier might declare this process dead.

    Return when `alive()` is False: a worker whose loop is stuck must not look healthy.
    Raise `LeaseLostError`.
    """
    interval = duration / RENEWALS_PER_DURATION
    while True:
        yield Sleep(interval * (0.8 + 0.2 * (yield Random())))
        if not alive():
            return
        yield from renew(target, token, (yield Do(now_string, "wall clock")), longest=interval)


def duration_of(lease: Json, default: float) -> float:
    """Return the duration of this Lease, in seconds.

    It is what the Lease says, or `default` if that rounds to it.
    """
    stated = lookup(lease, "/spec/leaseDurationSeconds")
    if not isinstance(stated, int) or stated == whole_seconds(default):
        return default
    return float(stated)


def whole_seconds(duration: float) -> int:
    """Return a duration in whole seconds, as a Lease requires."""
    return max(1, round(duration))


@define
class LeaseFailureDetector:
    """Finds the dead tokens among those of one observer; `lease_of` returns the Lease of a token.

    Each Lease has its own duration; `duration`, in seconds, applies to a Lease without one.
    Call `find_dead` about `RENEWALS_PER_DURATION` times per duration while a token is suspected.
    A gap of more than half of the duration starts the observation window again.
    """

    lease_of: Callable[[Token], Target]
    duration: float
    _seen: dict[Token, Observation] = field(factory=dict, init=False)

    def find_dead(self, tokens: Iterable[Token]) -> Op[set[Token]]:
        """Read the Leases of `tokens`, once each, and return the dead tokens."""
        dead: set[Token] = set()
        for token in sorted(set(tokens)):
            sent_at: float = yield Now()
            target = self.lease_of(token)
            answer: Answer = yield Request("get", target.resource, target.namespace, target.name)
            received_at: float = yield Now()
            self.forget(sent_at)
            if answer.ok or answer.status == 404:
                if self.is_dead(token, answer.body if answer.ok else None, sent_at, received_at):
                    dead.add(token)
            else:
                self.missed([token])
        return dead

    def is_dead(self, token: Token, lease: Json, sent_at: float, received_at: float) -> bool:
        """Decide whether `token` is dead.

        A consistent read, sent at `sent_at` and answered at `received_at`, returned its `lease`, or None.
        """
        if lease is None or not _holder_is(token)(lease):
            self._seen.pop(token, None)
            return True
        observation = self._seen.get(token)
        if observation is None:
            observation = self._seen[token] = Observation(duration_of(lease, self.duration))
        observation.record(lookup(lease, "/spec/renewTime"), sent_at, received_at)
        return observation.expired

    def missed(self, tokens: Iterable[Token]) -> None:
        """Record that a read of the Leases of `tokens` failed: their windows start again."""
        for token in tokens:
            self._seen.pop(token, None)

    def forget(self, now: float) -> None:
        """Drop the observations that have a gap: they start again with the next read anyway."""
        for token in [token for token, observation in self._seen.items() if observation.has_gap(now)]:
            del self._seen[token]


def _read_within(target: Target, longest: float) -> Op[Json]:
    lease = yield from with_deadline(read(target), None, None, each=longest)
    if lease is None:
        raise LeaseLostError(f"{target} does not exist")
    return lease


def _holder_is(token: Token) -> Callable[[Json], bool]:
    def check(lease: Json) -> bool:
        return bool(lookup(lease, "/spec/holderIdentity") == token)

    return check


def _raise_unless_lost(outcome: PatchResult, target: Target) -> None:
    if outcome.status is PatchStatus.GONE:
        raise LeaseLostError(f"{target} does not exist")
    if outcome.status is PatchStatus.REFUSED:
        raise RequestRefusedError(f"patching {target}", outcome.answer)
