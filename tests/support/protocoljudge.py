"""Judges by what a worker sent, and what the apiserver made of it, whether it keeps to docs/protocol.md.

All landed writes are replayed in the order of their resourceVersions, which is the order in which they happened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from attrs import define, field

from kubemr.coordination.job_view import JobView
from support.protocolproxy import Recorded
from support.simulation.referee import legal
from support.taskforms import BadForm, by_task, together

HINT = "/metadata/labels/kubemr.turbobytes.com~1tasks"
TEST = "test"
"""The worker name under which a test itself writes."""
_TASK = re.compile(r"^/tasks/(0|[1-9][0-9]*)$")
_LEASE = {f"/spec/{name}" for name in ("holderIdentity", "renewTime", "acquireTime", "leaseTransitions")}
_STATUS = re.compile(
    r"^/status/(stage|phase|results|resultCount|resultsManifest|error|progress|completionTime|conditions"
    r"|stages/[0-9]+/(startTime|completionTime|pending|running|done|failed))$"
)


class Foul(AssertionError):
    """The worker did what the protocol forbids."""


@define
class Judge:
    """`shards` and `leases` are as they were created, by name; `indexes` tells each worker's number.

    Of a shard it is `tasks`, in the form that it has: what becomes of tasks is judged one by one, whatever the form.
    """

    job: JobView
    shards: dict[str, dict[str, str]]
    leases: dict[str, str | None]
    indexes: Mapping[str, int]
    lease_seconds: float
    tokens: dict[str, set[str]] = field(factory=dict)
    claimed: set[str] = field(factory=set)
    renewed: dict[str, float] = field(factory=dict)

    def judge(self, records: Iterable[Recorded]) -> None:
        """Raises `Foul`."""
        writes = [record for record in records if record.method != "GET" and record.worker != TEST]
        for record in writes:
            self._form(record)
        landed = [record for record in records if record.landed]
        for record in sorted(landed, key=lambda each: int(each.answer["metadata"]["resourceVersion"])):
            {"mapreducetaskshards": self._shard, "leases": self._lease, "mapreducejobs": self._job}[record.kind](record)

    def _form(self, record: Recorded) -> None:
        """What a write must look like, whatever comes of it."""

        def must(condition: bool, what: str) -> None:
            if not condition:
                raise Foul(f"{what}: {record}")

        must(record.method == "PATCH", "a worker only patches")
        must(record.headers.get("content-type") == "application/json-patch+json", "not sent as a JSON Patch")
        must(record.query.get("fieldManager") == "kubemr", "not sent as fieldManager kubemr")
        tests, written = record.values("test"), [*record.sets, *record.values("remove")]
        if record.kind == "mapreducetaskshards":
            must(record.name in self.shards, "not a shard of this job")
            self._covered(record, must)
            if written == [HINT]:
                must("/tasks" in tests or tests.get(HINT) == "waiting", "repairs a hint without a test of all tasks")
        elif record.kind == "leases":
            must(record.name == f"{self.job.base}-w-{self.indexes[record.worker]}", "not this worker's Lease")
            must(set(written) <= _LEASE, "writes more of the Lease than is a worker's")
            must("/spec/holderIdentity" in tests, "changes the Lease without a test of its holder")
        else:
            must(record.kind == "mapreducejobs" and record.path.endswith(f"/{self.job.name}/status"), "not a worker's")
            must(all(_STATUS.match(path) for path in written), "writes more of the status than is a worker's")
            guard = {"/metadata/uid": self.job.uid, "/status/run": self.job.run, "/status/phase": "DEPLOYED"}
            must(guard.items() <= tests.items() and "/status/stage" in tests, "changes the job without its guard")

    def _covered(self, record: Recorded, must: Callable[[bool, str], None]) -> None:
        """What writes tasks comes after a test of what it changes, and leaves them in the form that is theirs then."""
        tested: dict[str, Any] = {}
        for each in record.body:
            op, path, value = each["op"], each["path"], each.get("value")
            must(op in ("test", "add", "replace"), f"is to {op} {path}")
            new = _told(value, record) if path == "/tasks" else {}
            whole = tested.get("/tasks", {})
            if op == "test":
                tested[path] = value
            elif path == "/tasks":
                must(path in tested, "replaces all tasks without a test of all")
                must(new.keys() == by_task(whole).keys(), "replaces all tasks by others")
                must(together(whole) or not together(value), "goes back from an entry for each task to one")
                vain = together(whole) and not together(value) and len(set(new.values())) == 1
                must(not vain, "writes an entry for each of tasks that are all alike")
            elif path != HINT:
                must(bool(_TASK.match(path)), f"writes {path}")
                must(not (whole and together(whole)), f"changes {path} where one entry tells of all tasks")
                old = tested.get(path, whole.get(path.removeprefix("/tasks/")))
                must(isinstance(old, str), f"changes {path} without a test of the old string")

    def _shard(self, record: Recorded) -> None:
        before, after = by_task(self.shards[record.name]), by_task(record.answer["tasks"])
        changed = {number for number in after if after[number] != before[number]}
        if record.worker != TEST:
            mine = {token for token in self.tokens.get(record.worker, set()) if token in self.leases.values()}
            claims = []
            for number in changed:
                old, new = before[number], after[number]
                if not legal(old, new):
                    raise Foul(f"task {number}: {old} -> {new} is no legal change: {record}")
                if self._judge_task(record, old, new, mine):
                    claims.append(number)
            if claims:
                self._claims(record, after, claims)
        self.shards[record.name] = record.answer["tasks"]

    def _judge_task(self, record: Recorded, old: str, new: str, mine: set[str]) -> bool:
        """One legal change; True for a claim."""
        was, now = old.split("/"), new.split("/")
        had = set(filter(None, was[4].split("+")))
        if was[0] == "pending":
            if now[4] not in mine:
                raise Foul(f"claims for {now[4]}, which is not the holder of this worker's Lease: {record}")
            return True
        if now[0] in ("done", "empty") and now[4] not in self.tokens.get(record.worker, set()):
            raise Foul(f"commits what another holds: {record}")
        if not had & self.tokens.get(record.worker, set()):
            self._lost(record, was, now, had - set(now[4].split("+")))
        return False

    def _lost(self, record: Recorded, was: list[str], now: list[str], gone: set[str]) -> None:
        """Taken away from others: they must be dead, and it counts as a loss."""
        if int(now[3]) != int(was[3]) + 1:
            raise Foul(f"takes a task away from {was[4]} without counting a loss: {record}")
        for token in gone:
            held = token in self.leases.values()
            if held and record.at - self.renewed[token] < self.lease_seconds:
                raise Foul(
                    f"{token} was renewed {record.at - self.renewed[token]:.3f} s ago and taken for dead: {record}"
                )

    def _claims(self, record: Recorded, after: Mapping[str, str], claims: list[str]) -> None:
        token = after[claims[0]].split("/")[4]
        if token not in self.claimed and len(claims) > 1:
            raise Foul(f"the first claim is of {len(claims)} tasks: {record}")
        self.claimed.add(token)
        suspects = [number for number in claims if int(after[number].split("/")[3]) > 0]
        held = [number for number, state in after.items() if state.startswith("running") and token in state]
        if suspects and len(held) > 1:
            raise Foul(f"task {suspects[0]} was lost before and is not claimed alone: {record}")

    def _lease(self, record: Recorded) -> None:
        before, holder = self.leases[record.name], (record.answer.get("spec") or {}).get("holderIdentity")
        self.leases[record.name] = holder
        if record.worker == TEST or holder is None:
            return
        if not re.fullmatch(rf"w{self.indexes[record.worker]}-[a-z0-9]{{6}}", holder):
            raise Foul(f"{holder} is no token of worker {self.indexes[record.worker]}: {record}")
        if holder != before:
            for worker, tokens in self.tokens.items():
                if holder in tokens and worker != record.worker:
                    raise Foul(f"{holder} was the token of {worker}: {record}")
        self.tokens.setdefault(record.worker, set()).add(holder)
        self.renewed[holder] = record.at

    def _job(self, record: Recorded) -> None:
        sets: dict[str, Any] = record.sets
        if "/status/stage" in sets or sets.get("/status/phase") == "COMPLETE":
            key = record.values("test")["/status/stage"]
            stage = next(each for each in self.job.stages if each.key == key)
            states = [
                state
                for number in range(stage.shards)
                if (shown := self.shards.get(self.job.shard_name(stage, number)))
                for state in by_task(shown).values()
            ]
            if len(states) != stage.total or any(state.split("/")[0] not in ("done", "empty") for state in states):
                raise Foul(f"moves the job on from {key} before all of it is done: {record}")
        if sets.get("/status/phase") == "FAIL" and not any(
            state.startswith("failed") for tasks in self.shards.values() for state in tasks.values()
        ):
            raise Foul(f"fails the job without a failed task: {record}")


def _told(tasks: Any, record: Recorded) -> dict[str, str]:
    try:
        return by_task(tasks)
    except BadForm as bad:
        raise Foul(f"writes or tests tasks in neither form, as {bad}: {record}") from bad
