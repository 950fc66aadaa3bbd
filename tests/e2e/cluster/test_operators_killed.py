"""Operators may die at any moment, again and again: every job completes, and is deployed exactly once."""

from __future__ import annotations

import json
import random
import secrets
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from kubemr.coordination import names
from support.cluster_access import ClusterAccess
from support.cluster_documents import PAGES, Documents, text_of, words_of
from support.cluster_inventory import inventory, mentioning, stored, until_nothing
from support.cluster_kubemr import NAMESPACE, Job, Kubemr, jobs_of, word_count
from support.cluster_watch import Watch, created, phases

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(400)]

NAMESPACES, JOBS_EACH, OPERATORS, KILL_SECONDS, KILLS_WITH_WORK = 5, 4, 3, 5.0, 4


@pytest.fixture
def namespaces(cluster: ClusterAccess) -> Iterator[list[str]]:
    """Five fresh ones."""
    made = [f"e2e-{secrets.token_hex(4)}" for _ in range(NAMESPACES)]
    for name in made:
        cluster.kubectl("create", "namespace", name)
    try:
        yield made
    finally:
        cluster.kubectl("delete", "namespace", *made, "--wait=false")


class Killer:
    """Kills an operator every five seconds: the one that drives most jobs, by force, so that it cannot say goodbye."""

    def __init__(self, kubemr: Kubemr) -> None:
        self._kubemr, self._over = kubemr, threading.Event()
        self.killed: list[str] = []
        self.news = threading.Condition()

    def run(self) -> None:
        """Until `stop`, or until it fails."""
        try:
            self._run()
        finally:
            self.stop()

    def _run(self) -> None:
        while not self._over.wait(KILL_SECONDS):
            alive = [
                pod["metadata"]["name"]
                for pod in self._kubemr.pods()
                if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
            ]
            if not alive:
                continue
            drives = self._drivers(alive)
            most = max(drives.values(), default=0)
            victim = random.choice([name for name in alive if drives[name] == most])
            self._kubemr.kill(victim)
            with self.news:
                self.killed.append(victim)
                self.news.notify_all()

    def _drivers(self, alive: list[str]) -> Counter[str]:
        jobs = json.loads(self._kubemr.cluster.kubectl("get", "mrj", "-A", "-o", "json"))["items"]
        held = [(job.get("status") or {}).get("lockholder") or "" for job in jobs]
        return Counter(name for holder in held for name in alive if holder.startswith(name))

    def stop(self) -> None:
        """No more."""
        self._over.set()
        with self.news:
            self.news.notify_all()

    def wait(self, kills: int) -> None:
        """Until so many have been killed, or it is over."""
        with self.news:
            self.news.wait_for(lambda: len(self.killed) >= kills or self._over.is_set(), 120)


@contextmanager
def killing(kubemr: Kubemr) -> Iterator[Killer]:
    """In the block, operators are killed."""
    killer = Killer(kubemr)
    with ThreadPoolExecutor(1) as thread:
        done = thread.submit(killer.run)
        try:
            yield killer
        finally:
            killer.stop()
    done.result()


def test_twenty_jobs_while_operators_are_killed(
    cluster: ClusterAccess, kubemr: Kubemr, namespaces: list[str], documents: Documents, wordcount_image: str
) -> None:
    """20 jobs in 5 namespaces, 3 operators of which one is killed every 5 s: no second Kubernetes Job, no orphan."""
    gate = namespaces[0]
    with (
        kubemr.operators(OPERATORS),
        Watch(cluster, jobs_of()) as jobs_seen,
        Watch(cluster, "/apis/batch/v1/jobs", names.LABEL_UID) as made,
    ):
        with killing(kubemr) as killer:
            jobs: list[Job] = []
            for number in range(JOBS_EACH):
                for namespace in namespaces:
                    manifest = word_count(
                        f"job-{number}",
                        wordcount_image,
                        documents.urls(gate=gate),
                        replicas=1 + number % 2,
                        partitions=2,
                    )
                    jobs.append(kubemr.submit(namespace, manifest))
            killer.wait(KILLS_WITH_WORK)
            documents.open_gate(gate)
            for job in jobs:
                job.wait(seconds=240)
        expected = words_of(*map(text_of, PAGES))
        for job in jobs:
            assert job.words() == expected
        entered = {job.view.uid: phases(jobs_seen.changes, job.view.uid) for job in jobs}
        wanted = ["", "PENDING", "DEPLOYING", "DEPLOYED", "COMPLETE"]
        assert entered == dict.fromkeys(entered, wanted)
        assert created(made.changes) == dict.fromkeys(entered, 1)
    uids = [job.view.uid for job in jobs]
    for namespace in namespaces:
        cluster.kubectl("-n", namespace, "delete", "mrj", "--all", "--timeout=120s")
    until_nothing(lambda: mentioning(inventory(cluster), *uids, *(job.view.base for job in jobs)))
    assert stored(kubemr.store, kubemr.bucket) == []
    until_nothing(lambda: dead_operators(kubemr), 90)


def dead_operators(kubemr: Kubemr) -> list[str]:
    """The Leases of those that were killed."""
    alive = [f"kubemr-{pod['metadata']['name']}" for pod in kubemr.pods()]
    leases = [lease["metadata"]["name"] for lease in kubemr.cluster.get("-n", NAMESPACE, "leases")["items"]]
    return [name for name in leases if not name.startswith(tuple(alive))]
