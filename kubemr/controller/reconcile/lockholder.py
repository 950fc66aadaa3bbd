"""`status.lockholder`: which operator drives a job.

The value is `<identity>/<fence>`, e.g. `operator-7f9c-k2p4x9/3`.  The identity is the holder of that
operator's own Lease, so renewing costs one patch per operator and not one per job.  The fence rises with
every change of hands.  Every patch that the driving operator sends tests the value, so an operator that
was paused, and whose job another has taken over, can change nothing when it wakes.
"""

from __future__ import annotations

from kubemr.controller.reconcile.context import Operator
from kubemr.coordination.job import JobView
from kubemr.locks.conditional import Refused, Verdict, apply
from kubemr.locks.patch import Patch, lookup
from kubemr.locks.request import Json, Op

PATH = "/status/lockholder"


def value(identity: str, fence: int) -> str:
    """What stands in the status."""
    return f"{identity}/{fence}"


def parse(text: str) -> tuple[str, int]:
    """The identity and the fence; a value that somebody else wrote is an identity with fence 0."""
    identity, separator, fence = text.rpartition("/")
    return (identity, int(fence)) if separator and fence.isdigit() else (text, 0)


def is_ours(document: Json, operator: Operator) -> bool:
    """True when this operator drives the job, as far as `document` shows."""
    holder = (document.get("status") or {}).get("lockholder") or ""
    return parse(holder)[0] == operator.identity


def driven(job: JobView) -> Patch:
    """The tests that every patch of the driving operator begins with."""
    status = job.document.get("status") or {}
    return (
        Patch()
        .test("/metadata/uid", job.uid)
        .test("/status/run", job.run)
        .test("/status/phase", job.phase)
        .test(PATH, status.get("lockholder"))
    )


def take_over(job: JobView, operator: Operator) -> Op[JobView | None]:
    """Drive a job whose holder is dead or absent; the job as it is then, or None when another drives it."""
    held = (job.document.get("status") or {}).get("lockholder") or ""
    identity, fence = parse(held)
    if identity and not (yield from operator.peers.is_dead(identity)):
        return None
    mine = value(operator.identity, fence + 1)
    patch = driven(job).add(PATH, mine)
    outcome = yield from apply(job.status, patch, lambda document: bool(lookup(document, PATH) == mine))
    if outcome.verdict is Verdict.REFUSED:
        raise Refused(f"taking over {job.target}", outcome.answer)
    return JobView.of(outcome.object) if outcome.won else None
