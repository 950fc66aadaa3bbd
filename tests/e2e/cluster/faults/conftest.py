"""A job that faults strike, and what must hold after each: the same bytes as without, and nothing left over.

Operators and workers get a short Lease (`LEASE_SECONDS`), so that the dead are found out within a test's time.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from support.cluster import Cluster
from support.cluster_access import ClusterAccess
from support.cluster_kubemr import Kubemr
from support.faults.program import TASKS, config_map, slow_count, words
from support.faults.scene import Scene, scene
from support.faults.table import Row, Table
from support.workerharness import ROOT

LEASE_SECONDS = 4.0
TABLE = pytest.StashKey[Table]()

Stage = Callable[..., AbstractContextManager[Scene]]
"""`with stage(fault, **manifest) as scene`: a job under way; after the block it must end as if nothing had been."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each fault in as many rounds as asked for, each with a seed of its own."""
    if "seed" in metafunc.fixturenames:
        first = metafunc.config.getoption("--fault-seed")
        metafunc.parametrize("seed", range(first, first + metafunc.config.getoption("--fault-rounds")))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table."""
    table = terminalreporter.config.stash.get(TABLE, None)
    if table is not None and table.rows:
        table.write(terminalreporter)
        table.save(ROOT / "build" / "faults.json")


@pytest.fixture(scope="session")
def table(pytestconfig: pytest.Config) -> Table:
    """The rows of this session."""
    return pytestconfig.stash.setdefault(TABLE, Table())


@pytest.fixture(scope="session")
def quick_kubemr(installation: Kubemr) -> Iterator[Kubemr]:
    """kubemr whose operators and workers are given up after `LEASE_SECONDS`."""
    installation.deploy()
    with installation.settings(KUBEMR_LEASE_SECONDS=f"{LEASE_SECONDS:g}"):
        yield installation


@pytest.fixture(scope="session")
def fault_namespace(cluster: ClusterAccess) -> Iterator[str]:
    """A namespace with the program in it."""
    name = f"e2e-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.apply(config_map(name))
    try:
        yield name
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@dataclass(frozen=True)
class Ground:
    """What all faults of a session have in common."""

    cluster: Cluster
    kubemr: Kubemr
    namespace: str
    image: str

    def scene(self, draw: random.Random, *, lasting: bool = False, **manifest: Any) -> AbstractContextManager[Scene]:
        """A job under way, of which one task may be `lasting`, drawn from all but the first."""
        number = draw.randrange(1, TASKS) if lasting else None
        document = slow_count(f"count-{secrets.token_hex(3)}", self.image, lasting=number, **manifest)
        return scene(self.cluster, self.kubemr, self.namespace, document, draw, number)


@pytest.fixture(scope="session")
def ground(breakable_cluster: Cluster, quick_kubemr: Kubemr, fault_namespace: str, wordcount_image: str) -> Ground:
    """The cluster, kubemr on it, and what jobs need."""
    return Ground(breakable_cluster, quick_kubemr, fault_namespace, wordcount_image)


@pytest.fixture(scope="session")
def undisturbed(ground: Ground, table: Table) -> list[bytes]:
    """The results of a job that nothing strikes; they are right."""
    with ground.scene(random.Random(0)) as job:
        results = job.complete()
        table.undisturbed = time.monotonic() - job.began
        assert (job.counted("losses"), job.counted("failures")) == (0, 0)
        job.gone()
    counted: Counter[bytes] = Counter()
    for result in results:
        fields = result.split()
        counted.update(dict(zip(fields[::2], map(int, fields[1::2]), strict=True)))
    assert counted == words()
    return results


@pytest.fixture
def stage(ground: Ground, undisturbed: list[bytes], table: Table, seed: int) -> Stage:
    """A job for a fault."""

    @contextmanager
    def staged(fault: str, **manifest: Any) -> Iterator[Scene]:
        digest = hashlib.sha256(f"{fault}/{seed}".encode()).digest()
        with ground.scene(random.Random(int.from_bytes(digest[:8], "big")), **manifest) as job:
            yield job
            assert job.complete() == undisturbed
            assert job.struck_at, "the fault did not strike"
            row = Row(
                fault,
                seed,
                job.struck_done,
                job.recovered_at - job.struck_at,
                job.ended_at - job.began,
                job.counted("losses"),
                job.counted("failures"),
            )
            table.rows.append(row)
            job.gone()

    return staged
