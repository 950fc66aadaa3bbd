"""What may become of a task, and what may not, when worker 0 asks for it: the table of docs/protocol.md, and beyond."""

from __future__ import annotations

from collections.abc import Mapping

from kubemr.locks.effects import Json
from kubemr.tasks import encoding
from kubemr.tasks.shard import SHARD_SIZES, TASKS_PATH
from kubemr.tasks.state import TaskState, Token
from support.accounts import DeployedJob

ME, OTHER = Token("w0-aaaaaa"), Token("w1-bbbbbb")
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


AMID_A_SPREAD = ("stay", "go on")
"""What the others do of a shard's tasks that one entry told of."""
SPREAD = range(SHARD_SIZES[0])
"""The tasks of such a shard."""
NO_SPREAD: dict[str, dict[str, str]] = {
    "a task less": {str(task): "" for task in SPREAD[:-1]},
    "a task more": {str(task): "" for task in range(len(SPREAD) + 1)},
    "other tasks": {str(task + 1): "" for task in SPREAD},
    "one of another shard": {str(task or 99): "" for task in SPREAD},
    "a number with a zero before it": {f"0{task}" if task == 7 else str(task): "" for task in SPREAD},
    "a number with a sign": {f"+{task}" if task == 7 else str(task): "" for task in SPREAD},
    "a number with a space": {f"{task} " if task == 7 else str(task): "" for task in SPREAD},
    "a number with a line's end": {f"{task}\n" if task == 7 else str(task): "" for task in SPREAD},
    "a number in other digits": {"\u0667" if task == 7 else str(task): "" for task in SPREAD},
    "a number below zero": {f"-{task}" if task == 7 else str(task): "" for task in SPREAD},
    "a number beyond all": {"9" * 30 if task == 7 else str(task): "" for task in SPREAD},
    "a number twice": {**{str(task): "" for task in SPREAD if task != 7}, "08": ""},
    "a word": {"seven" if task == 7 else str(task): "" for task in SPREAD},
    "nothing": {"" if task == 7 else str(task): "" for task in SPREAD},
    "a state": {"running/1/0/0/w0-aaaaaa" if task == 7 else str(task): "" for task in SPREAD},
    "an entry of one": {f"{task}-{task}" if task == 7 else str(task): "" for task in SPREAD},
    "a shorter entry": {f"0-{SPREAD[-2]}": ""},
    "a longer entry": {f"0-{len(SPREAD)}": ""},
    "another entry": {f"{len(SPREAD)}-{2 * len(SPREAD) - 1}": ""},
    "an entry with zeros": {f"00-{SPREAD[-1]}": ""},
    "an entry that is none": {f"{SPREAD[-1]}-0": ""},
    "two entries": {"0-15": "", f"16-{SPREAD[-1]}": ""},
    "two entries that overlap": {f"0-{SPREAD[-1]}": "", "3-5": ""},
    "both forms": {f"0-{SPREAD[-2]}": "", str(SPREAD[-1]): ""},
    "both forms of all": {f"0-{SPREAD[-1]}": "", **{str(task): "" for task in SPREAD}},
    "both forms, as many entries as tasks": {f"0-{SPREAD[-1]}": "", **{str(task): "" for task in SPREAD[1:]}},
    "an entry and a task": {f"0-{SPREAD[-1]}": "", "3": ""},
}
"""Keys that a shard may not have after one entry; their states are to be filled in."""


def swap(task: int | str, old: str, new: str) -> tuple[Json, Json]:
    """How workers change a task, or all that one entry tells of."""
    path = f"/tasks/{task}"
    return {"op": "test", "path": path, "value": old}, {"op": "replace", "path": path, "value": new}


def exchange(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[Json, Json]:
    """How workers change all tasks at once, or some of which one entry told."""
    return {"op": "test", "path": TASKS_PATH, "value": old}, {"op": "replace", "path": TASKS_PATH, "value": new}


def together(job: DeployedJob, old: str, new: str) -> tuple[Json, Json]:
    """A patch of a whole shard of which one entry tells, before and after."""
    before = job.set_together(old)
    return exchange(before, dict.fromkeys(before, new))


def spread(job: DeployedJob, others: str, old: str, new: str) -> tuple[Json, Json]:
    """A patch by which each task has an entry from now on; task 3 changes from `old` to `new`."""
    becoming = {"stay": [old], "go on": [*onward(old), old]}[others]
    after = {task: becoming[task % len(becoming)] for task in SPREAD} | {3: new}
    return exchange(job.set_together(old), encoding.expand(after))


def onward(old: str) -> list[str]:
    """What worker 0 may make of a task."""
    state = TaskState.parse(old)
    if state.name == "pending":
        return [str(state.claim(ME))]
    if state.name == "running" and state.holders == (ME,):
        return [str(state.commit(ME, empty=empty)) for empty in (False, True)]
    return [str(state.mark_lost(set(state.holders), 99))] if state.name == "running" else []


def amid(job: DeployedJob, whole: str, old: str, new: str) -> list[Json]:
    """A patch of a whole shard in which task 3 changes from `old` to `new`."""
    others, becoming = WHOLE[whole]
    states = {task: (others, becoming[task % len(becoming)]) for task in range(SHARD_SIZES[0])} | {3: (old, new)}
    job.set_tasks({task: before for task, (before, _) in states.items()})
    return [each for task, state in states.items() for each in swap(task, *state)]
