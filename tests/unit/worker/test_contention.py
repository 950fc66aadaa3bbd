"""One worker's part of the rate that all workers of a job may use together."""

from __future__ import annotations

from collections import Counter

import pytest

from kubemr.tasks.state import Token, make_token
from kubemr.worker.scheduling import contention


@pytest.mark.parametrize(("workers", "shards"), [(1, 1), (3, 10), (10, 3), (1000, 32), (7, 7), (1000, 1)])
def test_every_shard_has_a_first_worker_and_every_worker_a_first_shard(workers: int, shards: int) -> None:
    """Evenly: no shard has two more than another, or no worker two more."""
    rounds = [contention.initial_shards(index, workers, shards) for index in range(workers)]
    begun = Counter(number for each in rounds for number in each)
    assert set(begun) == set(range(shards))
    assert all(rounds)
    if workers >= shards:
        assert max(begun.values()) - min(begun.values()) <= 1
    else:
        assert max(map(len, rounds)) - min(map(len, rounds)) <= 1
        assert set(begun.values()) == {1}


def test_a_worker_beyond_the_replicas_has_a_part_too() -> None:
    """`replicas` was reduced while the worker was starting."""
    assert contention.initial_shards(7, 2, 4) == contention.initial_shards(1, 2, 4)


def test_few_workers_do_not_wait() -> None:
    """Ten workers pay nothing for what a thousand need."""
    assert contention.jitter_window(50) == 0.0
    assert contention.idle_poll_interval(10) == 0.5
    assert contention.jitter_window(1000) == 4.75


def test_each_holder_has_a_few_watchers_however_many_are_idle() -> None:
    """They are random, so sometimes there is none; the next epoch has other watchers."""
    observers = [make_token(index, index) for index in range(900)]
    holders = [make_token(index, index) for index in range(900, 1000)]
    watchers = [
        Counter(h for o in observers for h in contention.leases_to_watch(o, epoch, holders, 1000)) for epoch in range(2)
    ]
    for seen in watchers:
        assert 3.5 < sum(seen.values()) / len(holders) < 4.5
    assert all(watchers[0][holder] + watchers[1][holder] for holder in holders)
    assert contention.leases_to_watch(observers[0], 1, holders, 1000) == contention.leases_to_watch(
        observers[0], 1, holders, 1000
    )


def test_a_few_idle_workers_watch_as_many_as_they_may() -> None:
    """They watch not all of a thousand holders, and others in the next epoch."""
    holders = {make_token(index, index) for index in range(997)}
    observer = Token("w999-zzzzzz")
    first, second = (contention.leases_to_watch(observer, epoch, holders, 1000) for epoch in range(2))
    assert len(first) == len(second) == contention.MAX_WATCHED_HOLDERS
    assert set(first) != set(second)
