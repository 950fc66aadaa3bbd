"""The worker process: it holds the Lease, claims and commits, and never runs user code.

Its threads: the main one runs the loop (`loop`); one renews the Lease (`keep`); one owns the child.
A signal to end, or the loss of the Lease, stops the loop at its next effect; it then gives back what it holds.
"""

from __future__ import annotations

import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from attr import evolve

from kubemr.coordination.advance import Dependencies
from kubemr.coordination.timestamps import micro_timestamp, timestamp
from kubemr.locks.conditional import RequestRefusedError, Target
from kubemr.locks.config import ConfigError, from_environment
from kubemr.locks.deadline import with_deadline
from kubemr.locks.effects import Op
from kubemr.locks.http import HttpTransport
from kubemr.locks.lease import RENEWALS_PER_DURATION, LeaseLostError, duration_of, keep_renewed, release, take
from kubemr.locks.threads import Stop, StoppedError, Transport, run
from kubemr.logs import Log
from kubemr.storage import ObjectStore, StorageError, store_from_environment
from kubemr.tasks.state import make_token
from kubemr.worker.assignment import Assignment
from kubemr.worker.execution.executor import ProcessExecutor
from kubemr.worker.retry_forbidden import LONGEST_SECONDS, retry_forbidden
from kubemr.worker.scheduling.assign import assigner, job_info
from kubemr.worker.scheduling.loop import ExitReason, Identity, JobOver, Worker, begin, read_job
from kubemr.worker.settings import Settings, SettingsError
from kubemr.worker.watchdog import Watchdog

EXIT_FINISHED = 0
"""Kubernetes starts this worker no more: the job is over, or has no use for it."""
EXIT_FAILED = 1
EXIT_SETTINGS = 2
EXIT_TERMINATED = 128 + signal.SIGTERM

RELEASE_TASKS_SECONDS = 10.0
RELEASE_LEASE_SECONDS = 5.0
"""How long a worker that ends tries to tell the apiserver so, if that does not answer: together less than the 30 s
after which Kubernetes kills a pod.  What could not be given back is lost when the Lease expires."""


def work(environ: Mapping[str, str]) -> int:
    """One worker's whole life; gives the exit code."""
    log = Log()
    try:
        settings = Settings.from_environment(environ)
        server = from_environment(environ)
        store = store_from_environment(environ)
    except (SettingsError, ConfigError, ValueError) as error:
        log.error("invalid_settings", error=str(error))
        return EXIT_SETTINGS
    token = make_token(settings.index, secrets.randbits(64))
    identity = Identity(settings.namespace, settings.job, settings.uid, settings.run, token, settings.lease_seconds)
    log = log.bind(job=settings.job, worker=token)
    stop = Stop()
    runner: Worker[Assignment] | None = None
    with HttpTransport(server) as transport, _stop_on_sigterm(stop):
        try:
            job = run(retry_forbidden(begin(identity)), transport, stop=stop)
            with ProcessExecutor(
                job_info(job), task_timeout=settings.task_timeout, log_bytes=settings.log_bytes, log=log.debug
            ) as executor:
                executor.start()
                runner = Worker(identity, executor, Dependencies(store, timestamp), assigner(token), warn=log.warning)
                with stop.calling(executor.interrupt):
                    ending = _run_worker(runner, transport, stop, log)
        except JobOver as over:
            ending = over.ending
        except StoppedError:
            log.info("worker_terminating")
            if runner is not None and runner.cut_short is not None:
                _write_log(store, *runner.cut_short, log)
            return EXIT_TERMINATED
        except LeaseLostError as lost:
            # It may be gone because the job is over and has been cleaned up.
            found = run(
                with_deadline(_ending(identity), RELEASE_LEASE_SECONDS, None, each=RELEASE_LEASE_SECONDS / 2), transport
            )
            if found is None:
                log.error("lease_lost", error=str(lost))
                return EXIT_FAILED
            ending = found
        except (RequestRefusedError, StorageError) as problem:
            log.error("worker_failed", error=str(problem))
            return EXIT_FAILED
    log.info("worker_scaled_down" if ending is ExitReason.LEFT else "job_finished", ending=ending.value)
    return EXIT_FINISHED


def _write_log(store: ObjectStore, key: str, data: bytes, log: Log) -> None:
    """Write the log of what was cut short: last of all, for nobody waits for it."""
    try:
        store.put(key, data)
    except StorageError as error:
        log.warning("record_write_failed", key=key, error=str(error))


def _run_worker(runner: Worker[Assignment], transport: Transport, stop: Stop, log: Log) -> ExitReason:
    """Hold the Lease and run the loop; `LeaseLostError` when another process took it."""
    identity = runner.identity
    lease = identity.lease_of(identity.token)
    pulse = Watchdog()
    taken = run(retry_forbidden(take(lease, identity.token, micro_timestamp)), transport, stop=stop)
    # In a job that has grown, later workers' Leases may be longer than the settings say.
    identity = runner.identity = evolve(identity, lease_seconds=duration_of(taken, identity.lease_seconds))
    log.info("lease_taken", lease=lease.name, seconds=identity.lease_seconds)
    renewals = keep_renewed(
        lease, identity.token, identity.lease_seconds, alive=pulse.alive, now_string=micro_timestamp
    )
    longest = min(LONGEST_SECONDS, identity.lease_seconds / RENEWALS_PER_DURATION)
    renewal = _Renewal(lambda: run(retry_forbidden(renewals, longest), transport, stop=renewal.stop), stop)
    with renewal:
        try:
            ending = run(pulse.watch(retry_forbidden(_until_stopped(runner, renewal))), transport, stop=stop)
        except StoppedError:
            if renewal.lost is not None:
                raise renewal.lost from None
            raise
        finally:
            renewal.end()
            if renewal.lost is None:
                _release_lease(lease, identity, transport, log)
    return ending


def _until_stopped(runner: Worker[Assignment], renewal: _Renewal) -> Op[ExitReason]:
    """The loop; told to stop, or cut off from its storage, it gives back what it holds.

    Without its Lease it writes nothing any more: it counts as dead, and others see to its tasks.
    """
    try:
        return (yield from runner.run())
    except (StoppedError, StorageError):
        if renewal.lost is not None:
            raise
        yield from with_deadline(runner.release_all(), RELEASE_TASKS_SECONDS, None, each=RELEASE_TASKS_SECONDS / 2)
        raise


def _release_lease(lease: Target, identity: Identity, transport: Transport, log: Log) -> None:
    """Free the Lease.  That it is refused changes nothing: the worker's rights may have gone with the job."""
    try:
        run(
            with_deadline(release(lease, identity.token), RELEASE_LEASE_SECONDS, None, each=RELEASE_LEASE_SECONDS / 2),
            transport,
        )
    except RequestRefusedError as refused:
        log.warning("lease_release_failed", error=str(refused))


def _ending(identity: Identity) -> Op[ExitReason | None]:
    """How the job ended, or None while it needs workers."""
    try:
        yield from read_job(identity)
    except JobOver as over:
        return over.ending
    return None


class _Renewal:
    """The thread that renews the Lease.  When it cannot go on, the loop is stopped."""

    def __init__(self, renew: Callable[[], None], loop_stop: Stop) -> None:
        self.stop = Stop()
        self.lost: Exception | None = None
        self._renew = renew
        self._loop_stop = loop_stop
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def __enter__(self) -> _Renewal:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Stop renewing."""
        self.stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._renew()
        except StoppedError:
            return
        except Exception as lost:  # Whatever it is, nobody renews the Lease any more.
            self.lost = lost
        # Also when `keep` returned because the loop is stuck: should it wake up after all, it must stop.
        self._loop_stop.set()


@contextmanager
def _stop_on_sigterm(stop: Stop) -> Iterator[None]:
    """SIGTERM and SIGINT raise the flag."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        # In a thread, as the main one may be inside the flag's own lock at this moment.
        threading.Thread(target=stop.set, name="signal").start()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
