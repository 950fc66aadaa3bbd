"""One seed, one whole story: a job of some shape, run to its end and deleted, with everything checked."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from attr import frozen

from kubemr.coordination import names
from kubemr.locks.request import Json, Request
from kubemr.worker.loop import Ending
from support.simulation.cluster import JOB, NAMESPACE, Cluster
from support.simulation.faults import Faults
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
    history: Sequence[str]
    problem: BaseException | None

    def account(self, lines: int = 80) -> str:
        """The end of the history, and what was wrong: enough to go looking."""
        head = f"seed {self.seed}: {self.steps} steps, {self.seconds:.0f} virtual seconds, {self.faults}"
        return "\n".join([head, *self.history[-lines:], f"seed {self.seed}: {self.problem!r}"])


def spec_of(seed: int) -> Json:
    """The job: no inputs, a few, or more than fit in one shard; some give no output at all."""
    random = Random(f"spec {seed}")
    inputs = random.choice([0, 1, 3, 10, 40, 70])
    return {
        "image": "simulated",
        "replicas": random.choice([1, 2, 2, 3, 3, 4, 8]),
        "inputs": ["nothing" if random.random() < 0.1 else f"i{number}" for number in range(inputs)],
        "partitions": random.choice([1, 2, 5]),
        "maxAttempts": 100,
    }


def deeds_of(seed: int) -> list[tuple[float, str]]:
    """What the user does while the job runs, after how many seconds each; nothing in half of the seeds."""
    random = Random(f"deeds {seed}")
    if random.random() < 0.5:
        return []
    kinds = ["scale", "suspend", "recreate", "retry"]
    return [
        (random.choice([0.5, 3.0, 15.0]) * random.random(), random.choice(kinds)) for _ in range(random.randint(1, 3))
    ]


def play(seed: int, faults: Faults | None = None) -> Story:
    """Run the seed's job to its end, delete it, and check that the result is exact and nothing is left.

    `faults` are what goes wrong instead of what the seed draws.
    """
    world = World(seed)
    world.drawn = faults or world.drawn
    cluster = Cluster(world, operators=Random(f"operators {seed}").randint(1, 3))
    spec = spec_of(seed)
    cluster.begin(spec)
    cluster.act(spec, deeds_of(seed))
    problem: BaseException | None = None
    try:
        world.run(lambda: cluster.over)
        cluster.check(spec)
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
        cluster.endings.count(Ending.LEFT),
        list(world.history),
        problem,
    )


def failure(seed: int, lines: int) -> str:
    """What was wrong with a seed, the last `lines` of its history, and how to see it again; empty for nothing."""
    story = play(seed)
    if story.problem is None:
        return ""
    return f"{story.account(lines)}\nthe same again, with all of its history: make simulate FIRST={seed} SEEDS=1"
