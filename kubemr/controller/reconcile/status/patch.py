"""One conditional patch of a job by the operator: won, or somebody else was quicker and it is looked at again."""

from __future__ import annotations

from collections.abc import Callable

from kubemr.coordination.job_view import JobView
from kubemr.locks.conditional import PatchStatus, RequestRefusedError, Target, apply
from kubemr.locks.effects import Json, Op
from kubemr.locks.patch import Patch


def patch_job(target: Target, patch: Patch, mine: Callable[[Json], bool]) -> Op[JobView | None]:
    """The job as the patch left it; None when a test failed or the job is gone.  Raises `RequestRefusedError`."""
    outcome = yield from apply(target, patch, mine)
    if outcome.status is PatchStatus.REFUSED:
        raise RequestRefusedError(f"patching {target}", outcome.answer)
    return JobView.of(outcome.object) if outcome.won else None
