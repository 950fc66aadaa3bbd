"""A worker's settings: what is wrong is named, with its value and what it should be."""

from __future__ import annotations

import pytest

from kubemr.coordination.protocol import PROTOCOL
from kubemr.worker.settings import Settings, SettingsError

GOOD = {
    "KUBEMR_JOB_NAME": "words",
    "KUBEMR_JOB_NAMESPACE": "default",
    "KUBEMR_JOB_UID": "u",
    "KUBEMR_RUN": "2",
    "KUBEMR_WORKER_INDEX": "3",
}


def test_what_the_operator_gives() -> None:
    """With the defaults of the protocol."""
    assert Settings.from_environment(GOOD) == Settings("default", "words", "u", 2, 3, 15.0, 600.0, 65536)
    more = {**GOOD, "KUBEMR_LEASE_SECONDS": "2.5", "KUBEMR_TASK_TIMEOUT_SECONDS": "7", "KUBEMR_LOG_BYTES": "0"}
    settings = Settings.from_environment(more)
    assert (settings.lease_seconds, settings.task_timeout, settings.log_bytes) == (2.5, 7.0, 0)


def test_the_index_of_an_indexed_job() -> None:
    """Kubernetes sets it; our own variable comes first."""
    indexed = {**GOOD, "JOB_COMPLETION_INDEX": "7"}
    assert Settings.from_environment(indexed).index == 3
    del indexed["KUBEMR_WORKER_INDEX"]
    assert Settings.from_environment(indexed).index == 7


def test_an_operator_that_is_too_new() -> None:
    """Refused before anything is read or written, with the remedy; without a number, or with a known one, it works."""
    Settings.from_environment({**GOOD, "KUBEMR_PROTOCOL": str(PROTOCOL)})
    with pytest.raises(SettingsError, match=f"KUBEMR_PROTOCOL is '{PROTOCOL + 1}'.* up to {PROTOCOL}: build the image"):
        Settings.from_environment({**GOOD, "KUBEMR_PROTOCOL": str(PROTOCOL + 1)})


@pytest.mark.parametrize("name", ["KUBEMR_JOB_NAME", "KUBEMR_JOB_NAMESPACE", "KUBEMR_JOB_UID", "KUBEMR_RUN"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_missing(name: str, value: str | None) -> None:
    """And how to try a worker by hand."""
    environ = {key: text for key, text in GOOD.items() if key != name}
    if value is not None:
        environ[name] = value
    with pytest.raises(SettingsError, match=f"{name} is not set: .*kubemr run job.yaml"):
        Settings.from_environment(environ)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("KUBEMR_RUN", "one", "must be a whole number"),
        ("KUBEMR_RUN", "1.5", "must be a whole number"),
        ("KUBEMR_RUN", "0", "must be at least 1"),
        ("KUBEMR_WORKER_INDEX", "-1", "must be at least 0"),
        ("KUBEMR_LEASE_SECONDS", "soon", "must be a number"),
        ("KUBEMR_LEASE_SECONDS", "0", "must be at least 0.001"),
        ("KUBEMR_TASK_TIMEOUT_SECONDS", "nan", "must be at least"),
        ("KUBEMR_TASK_TIMEOUT_SECONDS", "1e10", "below 1e9"),
        ("KUBEMR_LOG_BYTES", "64Ki", "must be a whole number"),
        ("KUBEMR_PROTOCOL", "one", "must be a whole number"),
        ("KUBEMR_LOG_BYTES", "-1", "must be at least 0"),
    ],
)
def test_a_value_that_makes_no_sense(name: str, value: str, problem: str) -> None:
    """It is shown."""
    with pytest.raises(SettingsError, match=f"{name} is '{value}': .*{problem}"):
        Settings.from_environment({**GOOD, name: value})
