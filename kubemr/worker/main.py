"""The worker process: it holds the Lease, claims and commits tasks, and never runs user code.

It has three threads:

- The main thread runs the loop (`scheduling.loop`).
- One thread renews the Lease (`_RenewalThread`).
- One thread owns the child process (`execution.supervisor`).

If the process receives SIGTERM, or loses its Lease, the loop stops at its next effect.
After SIGTERM the worker then commits its finished tasks, and releases its other tasks and the Lease.
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
from kubemr.worker.scheduling.identity import ExitReason, Identity, read_job, read_job_at_start
from kubemr.worker.scheduling.loop import Worker
from kubemr.worker.settings import Settings, SettingsError
from kubemr.worker.watchdog import Watchdog

EXIT_FINISHED = 0
"""The job is final or does not need this worker any more, and Kubernetes does not start the worker again."""
EXIT_FAILED = 1
EXIT_SETTINGS = 2
EXIT_TERMINATED = 128 + signal.SIGTERM

RELEASE_TASKS_SECONDS = 10.0
RELEASE_LEASE_SECONDS = 5.0
"""How long a worker that shuts down tries to reach an apiserver that does not answer.  The sum is less than the 30 s
after which Kubernetes kills a pod.  Tasks that were not released are lost attempts when the Lease expires."""


def run_worker(environ: Mapping[str, str]) -> int:
    """Run a worker from its start to its end, and return the exit code of the process."""
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
    worker: Worker[Assignment] | None = None
    with HttpTransport(server) as transport, _stop_on_sigterm(stop):
        try:
            job = run(retry_forbidden(read_job_at_start(identity)), transport, stop=stop)
            if isinstance(job, ExitReason):
                reason = job
            else:
                with ProcessExecutor(
                    job_info(job), task_timeout=settings.task_timeout, log_bytes=settings.log_bytes, log=log.debug
                ) as executor:
                    executor.start()
                    dependencies = Dependencies(store, timestamp)
                    worker = Worker(identity, executor, dependencies, assigner(token), warn=log.warning)
                    with stop.calling(executor.interrupt):
                        reason = _run_with_lease(worker, transport, stop, log)
        except StoppedError:
            log.info("worker_terminating")
            if worker is not None and worker.interrupted_log is not None:
                _write_log(store, *worker.interrupted_log, log)
            return EXIT_TERMINATED
        except LeaseLostError as lost:
            # The reason may be that the job has ended and the operator has cleaned up.
            found = run(
                with_deadline(_find_exit_reason(identity), RELEASE_LEASE_SECONDS, None, each=RELEASE_LEASE_SECONDS / 2),
                transport,
            )
            if found is None:
                log.error("lease_lost", error=str(lost))
                return EXIT_FAILED
            reason = found
        except (RequestRefusedError, StorageError) as problem:
            log.error("worker_failed", error=str(problem))
            return EXIT_FAILED
    log.info("worker_scaled_down" if reason is ExitReason.SCALED_DOWN else "job_finished", ending=reason.value)
    return EXIT_FINISHED


def _write_log(store: ObjectStore, key: str, data: bytes, log: Log) -> None:
    """Write the log of the interrupted attempt; this is done last, because no other process waits for it."""
    try:
        store.put(key, data)
    except StorageError as error:
        log.warning("record_write_failed", key=key, error=str(error))


def _run_with_lease(worker: Worker[Assignment], transport: Transport, stop: Stop, log: Log) -> ExitReason:
    """Run the loop while holding the Lease; raise `LeaseLostError` if another process takes the Lease."""
    identity = worker.identity
    lease = identity.lease_of(identity.token)
    watchdog = Watchdog()
    document = run(retry_forbidden(take(lease, identity.token, micro_timestamp)), transport, stop=stop)
    # In a job whose `replicas` has grown, the Leases of later workers may last longer than in the settings.
    identity = worker.identity = evolve(identity, lease_seconds=duration_of(document, identity.lease_seconds))
    log.info("lease_taken", lease=lease.name, seconds=identity.lease_seconds)
    renewals = keep_renewed(
        lease, identity.token, identity.lease_seconds, alive=watchdog.alive, now_string=micro_timestamp
    )
    longest = min(LONGEST_SECONDS, identity.lease_seconds / RENEWALS_PER_DURATION)
    renewal = _RenewalThread(lambda: run(retry_forbidden(renewals, longest), transport, stop=renewal.stop), stop)
    with renewal:
        try:
            return run(watchdog.watch(retry_forbidden(_run_loop(worker, renewal))), transport, stop=stop)
        except StoppedError:
            if renewal.lost is not None:
                raise renewal.lost from None
            raise
        finally:
            renewal.stop_and_join()
            if renewal.lost is None:
                _release_lease(lease, identity, transport, log)


def _run_loop(worker: Worker[Assignment], renewal: _RenewalThread) -> Op[ExitReason]:
    """Run the loop; if it is stopped, or storage fails, release the tasks that the worker holds.

    After the loss of its Lease the worker writes nothing more.
    It counts as dead then, and other workers reclaim its tasks.
    """
    try:
        return (yield from worker.run())
    except (StoppedError, StorageError):
        if renewal.lost is not None:
            raise
        yield from with_deadline(worker.release_all(), RELEASE_TASKS_SECONDS, None, each=RELEASE_TASKS_SECONDS / 2)
        raise


def _release_lease(lease: Target, identity: Identity, transport: Transport, log: Log) -> None:
    """Release the Lease.  A rejection is no error: the operator may have deleted the worker's rights already."""
    try:
        run(
            with_deadline(release(lease, identity.token), RELEASE_LEASE_SECONDS, None, each=RELEASE_LEASE_SECONDS / 2),
            transport,
        )
    except RequestRefusedError as error:
        log.warning("lease_release_failed", error=str(error))


def _find_exit_reason(identity: Identity) -> Op[ExitReason | None]:
    """Return why the job does not need this worker any more, or None if it does."""
    job = yield from read_job(identity)
    return job if isinstance(job, ExitReason) else None


class _RenewalThread:
    """The thread that renews the Lease, and stops the loop if it cannot renew."""

    def __init__(self, renew: Callable[[], None], loop_stop: Stop) -> None:
        self.stop = Stop()
        self.lost: Exception | None = None
        self._renew = renew
        self._loop_stop = loop_stop
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)

    def __enter__(self) -> _RenewalThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_and_join()

    def stop_and_join(self) -> None:
        """Stop the renewals, and wait for the end of the thread."""
        self.stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._renew()
        except StoppedError:
            return
        except Exception as lost:  # after any error, no thread renews the Lease
            self.lost = lost
        # Also if `keep_renewed` returned because the loop is stuck: if the loop continues later, it must stop.
        self._loop_stop.set()


@contextmanager
def _stop_on_sigterm(stop: Stop) -> Iterator[None]:
    """Set `stop` when the process receives SIGTERM or SIGINT."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        # In another thread, because the main thread may hold the lock of `stop` at this moment.
        threading.Thread(target=stop.set, name="signal").start()

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
