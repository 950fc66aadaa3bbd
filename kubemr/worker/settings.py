"""A worker's settings, from the environment variables that the operator sets (docs/protocol.md, "Environment")."""

from __future__ import annotations

from collections.abc import Mapping

from attr import frozen

from kubemr.coordination.protocol import PROTOCOL

DEFAULT_LEASE_SECONDS = 15.0
DEFAULT_TASK_TIMEOUT = 600.0
DEFAULT_LOG_BYTES = 65536


class SettingsError(ValueError):
    """A variable is missing or invalid."""


@frozen
class Settings:
    """Which worker of which job this process is; times are in seconds.

    `log_bytes` is how much of an attempt's output is written to storage.
    """

    namespace: str
    job: str
    uid: str
    run: int
    index: int
    lease_seconds: float = DEFAULT_LEASE_SECONDS
    task_timeout: float = DEFAULT_TASK_TIMEOUT
    log_bytes: int = DEFAULT_LOG_BYTES

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read the settings; raise `SettingsError` with the variable, its value and the remedy."""
        _check_protocol(environ)
        index = "KUBEMR_WORKER_INDEX" if "KUBEMR_WORKER_INDEX" in environ else "JOB_COMPLETION_INDEX"
        return cls(
            namespace=_required(environ, "KUBEMR_JOB_NAMESPACE"),
            job=_required(environ, "KUBEMR_JOB_NAME"),
            uid=_required(environ, "KUBEMR_JOB_UID"),
            run=int(_number(environ, "KUBEMR_RUN", whole=True, least=1)),
            index=int(_number(environ, index, whole=True, least=0)),
            lease_seconds=_number(environ, "KUBEMR_LEASE_SECONDS", default=DEFAULT_LEASE_SECONDS),
            task_timeout=_number(environ, "KUBEMR_TASK_TIMEOUT_SECONDS", default=DEFAULT_TASK_TIMEOUT),
            log_bytes=int(_number(environ, "KUBEMR_LOG_BYTES", whole=True, least=0, default=DEFAULT_LOG_BYTES)),
        )


def _check_protocol(environ: Mapping[str, str]) -> None:
    number = int(_number(environ, "KUBEMR_PROTOCOL", whole=True, least=1, default=1))
    if number > PROTOCOL:
        raise SettingsError(
            f"KUBEMR_PROTOCOL is '{number}', but the kubemr in this image supports versions up to {PROTOCOL}: "
            "build the image again with the operator's version of kubemr"
        )


def _required(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name, "")
    if not value:
        raise SettingsError(
            f"{name} is not set: a worker is started by a kubemr job; to try one by hand, use "
            "`kubemr run job.yaml -- python your_worker.py`"
        )
    return value


def _number(
    environ: Mapping[str, str], name: str, *, default: float | None = None, whole: bool = False, least: float = 0.001
) -> float:
    if default is not None and not environ.get(name):
        return default
    text = _required(environ, name)
    try:
        number = float(int(text)) if whole else float(text)
    except ValueError:
        kind = "a whole number" if whole else "a number"
        raise SettingsError(f"{name} is {text!r}: must be {kind}") from None
    if not least <= number < 1e9:
        raise SettingsError(f"{name} is {text!r}: must be at least {least:g} and below 1e9")
    return number
