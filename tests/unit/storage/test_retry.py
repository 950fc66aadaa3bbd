"""Transient failures are retried within bounds; other failures are not."""

from __future__ import annotations

import pickle
from typing import Protocol

import pytest

from kubemr.storage import AccessDeniedError, Retrier, TransientError


class Time(Protocol):
    """The fixture of that name."""

    now: float
    slept: list[float]


def busy(retry_after: float | None = None) -> TransientError:
    """Return a failure that may pass."""
    error = TransientError("put", "s3://bucket", "some/key", "503 SlowDown")
    error.retry_after = retry_after
    return error


class Attempt:
    """Raises the given errors one after the other, then returns 'done'."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_the_waits_double_up_to_a_bound(retrier: Retrier, time: Time) -> None:
    """Each wait is random within a range twice as long; none is longer than the longest."""
    attempt = Attempt(*[busy() for _ in range(10)])
    assert retrier.call(attempt) == "done"
    assert time.slept == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5, 5])


def test_the_last_error_says_how_much_was_tried(retrier: Retrier) -> None:
    """It names attempts and time, besides operation, store, key, cause and remedy."""
    attempt = Attempt(*[busy() for _ in range(100)])
    with pytest.raises(TransientError) as raised:
        retrier.call(attempt)
    assert attempt.calls == retrier.attempts == 12
    message = str(raised.value)
    for part in ("put 'some/key' in s3://bucket", "gave up after 12 attempts in 26.3 s", "503 SlowDown", "check that"):
        assert part in message


def test_no_attempt_begins_after_the_total_time(retrier: Retrier, time: Time) -> None:
    """However few there were."""
    attempt = Attempt(*[busy(retry_after=50) for _ in range(100)])
    with pytest.raises(TransientError, match=r"gave up after 3 attempts in 100\.1 s"):
        retrier.call(attempt)
    assert sum(time.slept) <= retrier.total


def test_a_server_that_asks_for_time_gets_it(retrier: Retrier, time: Time) -> None:
    """Retry-After is the least wait; jitter comes on top."""
    retrier.call(Attempt(busy(retry_after=7)))
    assert time.slept == [7.05]


def test_what_does_not_pass_is_not_tried_again(retrier: Retrier, time: Time) -> None:
    """The error is raised as it is."""
    denied = AccessDeniedError("get", "s3://bucket", "k", "AccessDenied")
    attempt = Attempt(denied)
    with pytest.raises(AccessDeniedError) as raised:
        retrier.call(attempt)
    assert raised.value is denied
    assert attempt.calls == 1
    assert time.slept == []


def test_errors_survive_the_way_to_another_process() -> None:
    """They can be pickled."""
    error = AccessDeniedError("get", "s3://bucket", "k", "AccessDenied", "ask")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is AccessDeniedError
    assert str(copy) == str(error) == "get 'k' in s3://bucket: AccessDenied; ask"
