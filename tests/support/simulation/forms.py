"""What becomes of shards whose tasks have one entry: each thing by a name, so that a run of seeds can tell what it met.

By plain comparisons of strings, as the referee does it, and of whole documents: what matters here is what goes on
between the two forms, not what a single task does.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubemr.coordination.names import LABEL_RUN
from kubemr.locks.effects import Json, Request

Tasks = Mapping[str, str]


def alone(tasks: Tasks) -> str:
    """The state in the one entry that tells of several tasks; empty where each has its own."""
    ((key, text), *more) = tasks.items()
    return text if not more and "-" in key else ""


def changed(before: Tasks, after: Tasks) -> str:
    """What a patch has done to a shard that had one entry; empty for nothing, and for any other shard."""
    old, new = alone(before), alone(after)
    if not old or before == after:
        return ""
    if new:
        lost = new.split("/")[3] != old.split("/")[3]
        return f"whole: {_name(old)} to {_name(new)}" + (", a loss" if lost else "")
    if _name(old) == "pending":
        return "spread: a suspect claimed" if old.split("/")[3] != "0" else "spread: a part claimed"
    names = {_name(text) for text in after.values()}
    if any("+" in text for text in after.values()):
        return "spread: one backed up"
    if names & {"done", "empty"} and "pending" in names:
        return "spread: a part committed, a part given back"
    return "spread: other changes of running ones"


def refused(request: Request, now: Tasks) -> str:
    """What came too late for one entry, and how the winner left it; empty where that is not what failed."""
    tried = wanted(request)
    if not tried or now == values(request, "test")["/tasks"]:
        return ""
    return f"{tried}, lost to {'a whole change' if alone(now) else 'a spread'}"


def wanted(request: Request) -> str:
    """What a patch is about to do to a shard that it takes to have one entry; empty for any other request."""
    old, new = (values(request, op).get("/tasks") for op in ("test", "replace"))
    if not old or not alone(old) or not new:
        return ""
    return f"{'whole' if alone(new) else 'spread'} from {_name(alone(old))}"


def values(request: Request, op: str) -> Mapping[str, Json]:
    """What a patch tests, or replaces, by path; nothing of any other request."""
    if request.verb != "patch":
        return {}
    return {each["path"]: each["value"] for each in request.body if each["op"] == op}


def retried(request: Request) -> str:
    """In which form a shard of several tasks goes into a run but the first; empty for any other request."""
    if request.body["metadata"]["labels"][LABEL_RUN] == "1" or not (tasks := request.body["tasks"]):
        return ""
    if text := alone(tasks):
        return f"retried: one entry, {_name(text)}"
    return "retried: an entry each" if len(tasks) > 1 else ""


def _name(text: str) -> str:
    return text.partition("/")[0]
