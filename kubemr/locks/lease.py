"""Worker Leases: which process is worker number N, and that it lives.

The operator makes one `coordination.k8s.io/v1` Lease per worker.  A worker takes it before its first
claim, by a conditional patch of `spec.holderIdentity`; from that moment every other token with the same
index is dead, at once, without waiting.  A token that *is* its Lease's holder is dead when the Lease was
not renewed for its whole duration as the observer saw it (`kubemr.locks.liveness`).

`keep` is meant to run beside the user's code, in a thread of its own.
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
"""A Lease's duration is at least four renewals, so that three in a row may go wrong."""


class LeaseLostError(LocksError):
    """Another process took this worker's Lease, or it was deleted: stop at once."""


def take(target: Target, token: Token, now_string: Callable[[], str]) -> Op[Json]:
    """Become the holder, whoever was it before; gives the Lease.

    `stamp` gives the wall clock's time as a Kubernetes MicroTime; it is written for people to read and is
    never compared.  Raises `LeaseLostError` when there is no such Lease.
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
    """Show that `token` lives.  `stamp` must differ from the last one: a patch that changes nothing writes nothing.

    `longest` bounds each request, and each wait between two, in seconds: a connection that has gone silent is given up
    for another, and an apiserver that asks for more time is asked again before the Lease is over.
    Raises `LeaseLostError` when another token holds the Lease.

    The patch is sent until it is known to have landed.  That needs no reads, unless a test fails: it may land twice.
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
    """Give the Lease up, so that what `token` still holds is free at once.  Not holding it is fine."""
    patch = Patch().test("/spec/holderIdentity", token).remove("/spec/holderIdentity")

    def mine(lease: Json) -> bool:
        return not _holder_is(token)(lease)

    outcome = yield from apply(target, patch, mine)
    if outcome.status is PatchStatus.REFUSED:
        raise RequestRefusedError(f"releasing {target}", outcome.answer)


def keep_renewed(
    target: Target, token: Token, duration: float, *, alive: Callable[[], bool], now_string: Callable[[], str]
) -> Op[None]:
    """Renew the Lease four times per `duration` seconds (a little more often, never less) while `alive()`.

    No request and no wait lasts longer than such an interval.  So three in a row may go wrong; and after an outage of
    the apiserver the first renewal lands within an interval: others, who may have been quicker to find the apiserver
    back, would else see nothing of this worker for too long.
    Ends when `alive()` is False: a worker whose loop is stuck must not look healthy.
    Raises `LeaseLostError`.
    """
    interval = duration / RENEWALS_PER_DURATION
    while True:
        yield Sleep(interval * (0.8 + 0.2 * (yield Random())))
        if not alive():
            return
        yield from renew(target, token, (yield Do(now_string, "wall clock")), longest=interval)


def duration_of(lease: Json, default: float) -> float:
    """How long this Lease lasts, in seconds: what it says itself, or `default` where that is what it says, rounded."""
    told = lookup(lease, "/spec/leaseDurationSeconds")
    if not isinstance(told, int) or told == whole_seconds(default):
        return default
    return float(told)


def whole_seconds(duration: float) -> int:
    """A duration as a Lease can say it."""
    return max(1, round(duration))


@define
class LeaseFailureDetector:
    """Who is dead, as one observer sees it.  `lease_of` names the Lease of a token.

    Each Lease is judged by its own duration; `duration`, in seconds, is that of a Lease which says none.
    Look about `RENEWALS_PER_DURATION` times per duration while somebody is under suspicion: the window of
    an observation tolerates no gap of more than half of it.
    """

    lease_of: Callable[[Token], Target]
    duration: float
    _seen: dict[Token, Observation] = field(factory=dict, init=False)

    def find_dead(self, tokens: Iterable[Token]) -> Op[set[Token]]:
        """Read the Leases of `tokens`, once each; gives those that are dead."""
        dead: set[Token] = set()
        for token in sorted(set(tokens)):
            asked: float = yield Now()
            target = self.lease_of(token)
            answer: Answer = yield Request("get", target.resource, target.namespace, target.name)
            answered: float = yield Now()
            self.forget(asked)
            if answer.ok or answer.status == 404:
                if self.is_dead(token, answer.body if answer.ok else None, asked, answered):
                    dead.add(token)
            else:
                self.missed([token])
        return dead

    def is_dead(self, token: Token, lease: Json, asked: float, answered: float) -> bool:
        """True when `token` is dead: a consistent read from `asked` to `answered` showed its `lease`, or None."""
        if lease is None or not _holder_is(token)(lease):
            self._seen.pop(token, None)
            return True
        observation = self._seen.get(token)
        if observation is None:
            observation = self._seen[token] = Observation(duration_of(lease, self.duration))
        observation.saw(lookup(lease, "/spec/renewTime"), asked, answered)
        return observation.expired

    def missed(self, tokens: Iterable[Token]) -> None:
        """A read of their Leases failed: their windows start again."""
        for token in tokens:
            self._seen.pop(token, None)

    def forget(self, now: float) -> None:
        """Drop the observations that have a gap: they start again with the next look anyway."""
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
