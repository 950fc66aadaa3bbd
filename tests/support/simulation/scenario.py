"""One seed, one whole story: a job of some shape, run to its end and deleted, with everything checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf
from random import Random

from attr import frozen

from kubemr.coordination import job_view, names
from kubemr.locks.effects import Json, Request
from kubemr.worker.scheduling.identity import ExitReason
from support.simulation.cluster import JOB, NAMESPACE, Cluster
from support.simulation.faults import Faults
from support.simulation.user import Deed, User
from support.simulation.user_code import UserCode
from support.simulation.verdict import check
from support.simulation.world import World


@frozen
class Story:
    """What came of a seed.  `problem` is None when all was as it should be."""

    seed: int
    faults: Faults
    steps: int
    seconds: float
    processes: int
    backups: int
    left: int
    """Workers that left before the end."""
    phase: str
    """In which the job ended; empty when it did not."""
    kept: int
    """Tasks that runs which were retried after a failure had committed."""
    met: Mapping[str, int]
    """What became of shards whose tasks had one entry, and how often (`forms`)."""
    history: Sequence[str]
    problem: BaseException | None

    def account(self, lines: int = 80) -> str:
        """The end of the history, and what was wrong: enough to go looking."""
        head = f"seed {self.seed}: {self.steps} steps, {self.seconds:.0f} virtual seconds, {self.faults}"
        return "\n".join([head, *self.history[-lines:], f"seed {self.seed}: {self.problem!r}"])


def kind_of(seed: int) -> str:
    """What is peculiar to the story: of a strict job not much may fail, of a crowd most have nothing to do."""
    draw = Random(f"kind {seed}").random()
    return "strict" if draw < 0.2 else "crowd" if draw < 0.24 else "shard deleted" if draw < 0.28 else "plain"


def shard_of(seed: int) -> int | None:
    """Of how many tasks the shards are; None for as many as they are in earnest.

    Where they are small, tasks are quick: so a worker claims whole shards, once it has seen how quick, and there are
    enough of them for all.
    """
    random = Random(f"shards {seed}")
    return random.choice([2, 3, 4, 6]) if random.random() < 0.3 else None


def spec_of(seed: int) -> Json:
    """The job: no inputs, a few, or more than fit in one shard; some give no output at all."""
    random = Random(f"spec {seed}")
    inputs = random.choice([10, 20, 40] if shard_of(seed) else [0, 1, 3, 10, 40, 70])
    spec: Json = {
        "image": "simulated",
        "replicas": random.choice([1, 2, 2, 3, 3, 4, 8]),
        "inputs": ["nothing" if random.random() < 0.1 else f"i{number}" for number in range(inputs)],
        "partitions": random.choice([1, 2, 5]),
        "maxAttempts": 100,
    }
    if kind_of(seed) == "strict":
        spec["maxAttempts"] = random.choice([1, 2, 3])
    if kind_of(seed) == "crowd":
        spec["replicas"] = random.choice([12, 16, 20])
        spec["inputs"] = spec["inputs"][:10]
    if not inputs and kind_of(seed) in ("crowd", "shard deleted"):
        spec["inputs"] = ["i0"]  # Without any there are no workers and no shards.
    return spec


def deeds_of(seed: int) -> list[Deed]:
    """What the user does while the job runs; nothing in half of the seeds."""
    random = Random(f"deeds {seed}")
    kind = kind_of(seed)
    if kind == "shard deleted":
        return [Deed(random.choice([0.5, 3.0, 15.0]) * random.random(), "delete a shard")]
    # To be failed by the user is no cause of its own: a strict job is retried only after it has failed by itself.
    kinds = ["scale", "suspend", "recreate"] if kind == "strict" else ["scale", "suspend", "recreate", "retry"]
    deeds = [
        Deed(random.choice([0.5, 3.0, 15.0]) * random.random(), random.choice(kinds))
        for _ in range(random.randint(1, 3) if random.random() >= 0.5 else 0)
    ]
    return [*deeds, Deed(0.0, "mend")] if kind == "strict" and random.random() < 0.7 else deeds


def code_of(seed: int) -> UserCode:
    """The user's code: that of strict jobs may have tasks which always raise, or a few times, or kill their worker."""
    random = Random(f"code {seed}")
    seconds = 0.02 if shard_of(seed) else 0.3
    if kind_of(seed) != "strict":
        return UserCode(seconds=seconds)
    spec = spec_of(seed)
    tasks = [f"map/{number}" for number in range(len(spec["inputs"]))]
    tasks += [f"reduce/{number}" for number in range(spec["partitions"])] if tasks else []
    frail = random.sample(tasks, min(len(tasks), random.choice([0, 1, 1, 2])))
    deadly = frozenset(task for task in frail if random.random() < 0.3)
    return UserCode(deadly, {task: random.choice([1, 2, 3, inf]) for task in frail}, mended=True, seconds=seconds)


@contextmanager
def shards_of(size: int | None) -> Iterator[None]:
    """In the block, stages have shards of so many tasks."""
    before = vars(job_view)["SHARD_SIZES"]
    vars(job_view)["SHARD_SIZES"] = before if size is None else (size,)
    try:
        yield
    finally:
        vars(job_view)["SHARD_SIZES"] = before


def play(seed: int, faults: Faults | None = None) -> Story:
    """Run the seed's job to its end, delete it, and check that the end is the right one and nothing is left.

    `faults` are what goes wrong instead of what the seed draws.
    """
    with shards_of(shard_of(seed)):
        return _play(seed, faults)


def _play(seed: int, faults: Faults | None) -> Story:
    world = World(seed)
    world.drawn = faults or world.drawn
    spec = spec_of(seed)
    cluster = Cluster(world, operators=Random(f"operators {seed}").randint(1, 3), code=code_of(seed))
    user = User(cluster, spec)
    cluster.busy = lambda: user.acting
    cluster.begin(spec)
    user.act(deeds_of(seed))
    problem: BaseException | None = None
    phase = ""
    try:
        world.run(lambda: cluster.over)
        phase = cluster.job["status"]["phase"]
        check(cluster, spec, user.kept, user.deleted)
        world.server.handle(Request("delete", names.JOBS, NAMESPACE, JOB))
        world.run(lambda: cluster.job is None)
        left = cluster.leftovers() + sorted(world.store.objects)
        assert not left, f"left over after the job's deletion: {left}"
    except Exception as found:  # Whatever it is, the caller wants the seed and the history with it.
        problem = found
    return Story(
        seed,
        world.drawn,
        world.steps,
        world.now,
        cluster.processes,
        world.referee.backups,
        cluster.endings.count(ExitReason.SCALED_DOWN),
        phase,
        sum(len(each.tasks) for each in user.kept),
        world.met,
        list(world.history),
        problem,
    )


def failure(seed: int, lines: int) -> str:
    """What was wrong with a seed, the last `lines` of its history, and how to see it again; empty for nothing."""
    story = play(seed)
    if story.problem is None:
        return ""
    return f"{story.account(lines)}\nthe same again, with all of its history: make simulate FIRST={seed} SEEDS=1"
