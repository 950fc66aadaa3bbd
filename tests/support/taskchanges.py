"""What may become of a task, and what may not, when worker 0 asks for it: the table of docs/protocol.md, and beyond."""

from __future__ import annotations

from kubemr.locks.request import Json
from kubemr.locks.shard import SHARD_SIZES
from support.accounts import DeployedJob

ME, OTHER = "w0-aaaaaa", "w1-bbbbbb"
LEGAL = [
    ("claim", "pending/1/0/0/", f"running/1/0/0/{ME}"),
    ("claim with counts", "pending/7/2/3/", f"running/7/2/3/{ME}"),
    ("backup", f"running/2/0/1/{OTHER}", f"running/2/0/1/{OTHER}+{ME}"),
    ("commit", f"running/2/0/1/{ME}", f"done/2/0/1/{ME}"),
    ("commit of a backup", f"running/2/0/1/{OTHER}+{ME}", f"done/2/0/1/{ME}"),
    ("commit without output", f"running/2/0/1/{ME}", f"empty/2/0/1/{ME}"),
    ("release", f"running/9/1/0/{ME}", "pending/10/1/0/"),
    ("fail", f"running/1/0/0/{ME}", "pending/2/1/0/"),
    ("fail for good", f"running/4/3/0/{ME}", "failed/4/4/0/"),
    ("lose", f"running/1/0/0/{OTHER}", "pending/2/0/1/"),
    ("lose both", f"running/1/0/0/{OTHER}+{ME}", "pending/2/0/1/"),
    ("lose for good", f"running/4/0/3/{OTHER}", "failed/4/0/4/"),
    ("leave", f"running/1/0/0/{OTHER}+{ME}", f"running/1/0/1/{ME}"),
    ("leave by failure", f"running/1/0/0/{OTHER}+{ME}", f"running/1/1/0/{OTHER}"),
]
ILLEGAL = [
    ("final", f"done/1/0/0/{ME}", "pending/1/0/0/"),
    ("final", f"done/1/0/0/{ME}", "pending/2/0/0/"),
    ("final", f"done/1/0/0/{ME}", f"running/1/0/0/{ME}"),
    ("final", f"done/1/0/0/{OTHER}", f"done/1/0/0/{ME}"),
    ("final", f"empty/1/0/0/{ME}", f"done/1/0/0/{ME}"),
    ("final", "failed/1/4/0/", "pending/2/4/0/"),
    ("epoch", f"running/2/0/0/{ME}", "pending/2/0/1/"),
    ("epoch", f"running/2/0/0/{ME}", "pending/1/0/1/"),
    ("epoch", f"running/2/0/0/{ME}", "pending/4/0/1/"),
    ("epoch", "pending/2/0/0/", f"running/1/0/0/{ME}"),
    ("epoch", "pending/2/0/0/", f"running/3/0/0/{ME}"),
    ("epoch", f"running/2/0/0/{ME}", f"done/3/0/0/{ME}"),
    ("claim", "pending/1/0/0/", "pending/2/0/0/"),
    ("claim", "pending/1/0/0/", f"done/1/0/0/{ME}"),
    ("claim", "pending/1/0/0/", "failed/1/1/0/"),
    ("claim", "pending/1/2/3/", f"running/1/0/3/{ME}"),
    ("claim", "pending/1/2/3/", f"running/1/2/0/{ME}"),
    ("claim", "pending/1/0/0/", f"running/1/0/0/{ME}+{OTHER}"),
    ("commit", f"running/1/0/0/{OTHER}", f"done/1/0/0/{ME}"),
    ("commit", f"running/1/0/0/{ME}", f"done/1/1/0/{ME}"),
    ("return", f"running/1/0/0/{OTHER}+{ME}", "pending/2/0/0/"),
    ("return", f"running/1/0/0/{OTHER}+{ME}", "pending/2/1/0/"),
    ("return", f"running/1/0/0/{ME}", "pending/2/1/1/"),
    ("return", f"running/1/1/1/{ME}", "pending/2/0/1/"),
    ("return", f"running/1/1/1/{ME}", "pending/2/1/3/"),
    ("fail", f"running/1/0/0/{ME}", "failed/1/0/0/"),
    ("fail", f"running/1/0/0/{ME}", "failed/1/2/0/"),
    ("holders", f"running/1/0/0/{OTHER}", f"running/1/0/0/{ME}"),
    ("holders", f"running/1/0/0/{OTHER}+{ME}", f"running/1/0/0/{ME}"),
    ("holders", f"running/1/0/0/{OTHER}+{ME}", "running/1/0/1/w2-cccccc"),
    ("holders", f"running/1/0/0/{OTHER}+{ME}", f"running/1/1/1/{ME}"),
    ("holders", f"running/1/1/0/{OTHER}+{ME}", f"running/1/0/2/{ME}"),
    ("holders", f"running/1/0/0/{ME}", f"running/1/1/0/{ME}"),
    ("holders", f"running/1/0/0/{ME}", f"running/1/0/0/{ME}+{ME}"),
    ("own token", "pending/1/0/0/", f"running/1/0/0/{OTHER}"),
    ("own token", f"running/1/0/0/{OTHER}", f"done/1/0/0/{OTHER}"),
    ("own token", f"running/1/0/0/{ME}", f"running/1/0/0/{ME}+{OTHER}"),
    ("own token", f"running/1/0/0/{ME}+{OTHER}", f"done/1/0/0/{OTHER}"),
]
WHOLE = {
    "claims": ("pending/1/0/0/", [f"running/1/0/0/{ME}"]),
    "commits": (f"running/1/0/0/{ME}", [f"done/1/0/0/{ME}", f"empty/1/0/0/{ME}"]),
}
"""What quick tasks do: all that a shard has, in one patch, which the policy tells by the text of the whole."""


def swap(task: int, old: str, new: str) -> tuple[Json, Json]:
    """How workers change a task."""
    path = f"/tasks/{task}"
    return {"op": "test", "path": path, "value": old}, {"op": "replace", "path": path, "value": new}


def amid(job: DeployedJob, whole: str, old: str, new: str) -> list[Json]:
    """A patch of a whole shard in which task 3 changes from `old` to `new`."""
    others, becoming = WHOLE[whole]
    states = {task: (others, becoming[task % len(becoming)]) for task in range(SHARD_SIZES[0])} | {3: (old, new)}
    job.set_tasks({task: before for task, (before, _) in states.items()})
    return [each for task, state in states.items() for each in swap(task, *state)]
