"""A deployment that takes long: is it still ours, and how far it has come, said on the job every few seconds."""

from __future__ import annotations

from typing import Final

from attrs import define, field

from kubemr.controller.reconcile.context import ReconcileContext
from kubemr.controller.reconcile.job_lock import guard, still_holds_lock
from kubemr.controller.reconcile.status.blocked import DEPLOYED
from kubemr.controller.reconcile.status.patch import patch_job
from kubemr.coordination.advance import condition
from kubemr.coordination.job_view import JobView
from kubemr.locks.effects import Do, Json, Now, Op

LOOK_SECONDS: Final = 1.0
SHOW_SECONDS: Final = 5.0


@define
class Progress:
    """`job` is the job as this operator last saw it; begin with a `look`, from which the times count."""

    job: JobView
    context: ReconcileContext
    _checked_at: float | None = field(default=None, init=False)
    _reported_at: float = field(default=0.0, init=False)

    def report(self, reason: str, message: str) -> Op[bool]:
        """False when the deployment is not ours to go on with.  Costs nothing but now and then.

        `reason` and `message` are of the condition `Deployed`, which is False for as long.
        """
        now: float = yield Now()
        if self._checked_at is None:
            self._checked_at = self._reported_at = now
        if now - self._checked_at < LOOK_SECONDS:
            return True
        self._checked_at = now
        if not (yield from still_holds_lock(self.job, self.context)):
            return False
        if now - self._reported_at < SHOW_SECONDS:
            return True
        self._reported_at = now
        stamp: str = yield Do(self.context.settings.now_string, "wall clock")
        patch = guard(self.job) + condition(self.job, DEPLOYED, reason, message, stamp, status="False")

        def mine(seen: Json) -> bool:
            conditions: list[Json] = (seen.get("status") or {}).get("conditions") or []
            return any(each.get("type") == DEPLOYED and each.get("message") == message for each in conditions)

        marked = yield from patch_job(self.job.status, patch, mine)
        if marked is None:
            return False
        self.job = marked
        return True
