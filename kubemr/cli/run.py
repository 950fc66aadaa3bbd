"""One `kubemr run`: start a local cluster, run one job in it, and end both.

Everything that happens arrives in one queue: changes of the job, signals, failures.  However the run ends, no process
and no working file is left.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from attrs import frozen

from kubemr.cli.display import Display, display_for
from kubemr.cli.display.log_lines import format_line, may_explain_failure
from kubemr.cli.exit_codes import EXIT_DONE, EXIT_FAILED, EXIT_SIGNAL, EXIT_TIMEOUT, EXIT_USAGE
from kubemr.coordination import names
from kubemr.coordination.attempt_history import attempts
from kubemr.coordination.attempt_records import ERROR, LOG, LOST, is_record
from kubemr.coordination.kinds import CONFIG_MAPS
from kubemr.local import subreaper
from kubemr.local.cluster import LocalCluster
from kubemr.local.job_watcher import (
    JobEvent,
    JobGone,
    JobSeen,
    JobWatcher,
    SettingsGone,
    ShardSeen,
    WatchFailed,
)
from kubemr.local.manifest import localize, problems
from kubemr.local.output_log import OutputLog
from kubemr.local.progress import JobProgress
from kubemr.local.store_settings import DEFAULT, store_settings
from kubemr.locks.effects import Answer, Json, Request
from kubemr.locks.http import HttpTransport
from kubemr.resources.metadata import set_by_server
from kubemr.storage import StorageError, store_from_environment

CLEANUP_SECONDS: Final = 15.0
"""How long the run waits for the operator to remove the intermediate files of a finished job."""
SHOWN_LINES: Final = 20
"""How many lines are shown of what the processes of a failed job printed."""


@frozen
class RunOptions:
    """The options of `kubemr run`; `timeout` is in seconds."""

    command: tuple[str, ...] = ()
    replicas: int | None = None
    store: str | None = None
    timeout: float | None = None
    keep: bool = False
    verbose: bool = False


@frozen
class RunResult:
    """The end of a run.

    - `progress`: the last known state of the job, if it was created
    - `seconds`: the time taken
    - `problem`: why `code` is not 0
    - `log`: the last lines that the processes printed and that may explain a failure
    """

    code: int
    progress: JobProgress
    seconds: float
    problem: str = ""
    log: Sequence[tuple[str, str]] = ()
    failed_attempts: Sequence[tuple[str, str]] = ()
    """The failed and lost attempts, in order, each with the address of its log, error or loss record."""
    store: str = DEFAULT


@frozen
class SignalReceived:
    """This process has received a signal that ends the run."""

    number: int


@frozen
class PartFailed:
    """A part of the local cluster has failed."""

    error: Exception


_Event = JobEvent | SignalReceived | PartFailed


class _RunAbortedError(Exception):
    """The run ends before the job does."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def run_job(job: Json, options: RunOptions) -> RunResult:
    """Run a job until it ends, and show its progress on stderr."""
    started = time.monotonic()
    wanted = localize(
        job, command=options.command, replicas=options.replicas, cpus=os.cpu_count() or 1, keep=options.keep
    )
    mistakes = [str(problem) for problem in (*problems(wanted), *set_by_server(wanted))]
    if not mistakes:
        try:
            store = store_settings(options.store or DEFAULT)
            store_from_environment(store).check()
        except (ValueError, StorageError) as error:
            mistakes = [f"--store: {error}"]
        else:
            return _Session(wanted, options, store, started).run()
    return RunResult(EXIT_USAGE, JobProgress(), time.monotonic() - started, "\n".join(mistakes))


class _Session:
    """One run of a valid job."""

    def __init__(self, job: Json, options: RunOptions, store: Mapping[str, str], started: float) -> None:
        self._job = job
        self._options = options
        self._store = store
        self._started = started
        self._events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
        self._progress = JobProgress()
        self._display: Display | None = None
        self._output_log = OutputLog(self._log_line if options.verbose else None)

    def run(self) -> RunResult:
        """Start the cluster, follow the job and end the cluster."""
        subreaper.become_subreaper()
        with _signals_as_events(self._events.put) as on_second_signal:
            cluster = LocalCluster(
                self._store,
                self._output_log,
                lambda error: self._events.put(PartFailed(error)),
                log_level="debug" if self._options.verbose else "info",
            )
            on_second_signal(cluster.kill)
            try:
                cluster.start()
                code, message = self._follow(cluster)
            finally:
                if self._display is not None:
                    self._display.close()
                cluster.stop()
                subreaper.end_all()
                cluster.remove_files()
            self._remove_incomplete_files(code)
        failed_attempts = self._failed_attempts(code)
        return RunResult(
            code,
            self._progress,
            self._seconds(),
            message,
            self._last_log(code),
            failed_attempts,
            self._options.store or DEFAULT,
        )

    def _follow(self, cluster: LocalCluster) -> tuple[int, str]:
        """Create the job and wait for its end.  Return the exit code, and why it is not 0."""
        self._display = display_for(sys.stderr, self._started)
        with HttpTransport(cluster.server) as transport:
            answer = _create(transport, cluster.namespace, self._job)
        if not answer.ok:
            return EXIT_USAGE, f"the apiserver rejected the job: {answer.message}"
        self._display.job_created(answer.body["metadata"]["name"])
        self._progress.update_job(answer.body, self._seconds())
        follower = JobWatcher(cluster.server, answer.body, self._events.put)
        follower.start()
        try:
            while not self._progress.final:
                self._wait_for_event(self._options.timeout)
            self._wait_for_cleanup(cluster)
        except _RunAbortedError as end:
            return end.code, str(end)
        finally:
            follower.stop()
        status = self._progress.status
        if status["phase"] == "FAIL":
            return EXIT_FAILED, status.get("error") or "the job failed"
        return EXIT_DONE, ""

    def _wait_for_cleanup(self, cluster: LocalCluster) -> None:
        """Wait until the operator has removed what the finished job no longer needs."""
        view = self._progress.view
        assert view is not None, "the job is final"
        with HttpTransport(cluster.server) as transport:
            settings = Request("get", CONFIG_MAPS, view.namespace, names.config_map(view.base))
            if transport.send(settings).status == 404:
                return
        deadline = self._seconds() + CLEANUP_SECONDS
        while True:
            try:
                if isinstance(self._wait_for_event(deadline), SettingsGone):
                    return
            except _RunAbortedError as end:
                if end.code == EXIT_TIMEOUT:
                    return
                raise

    def _wait_for_event(self, deadline: float | None) -> _Event:
        """Wait for the next event and process it.  `deadline` counts from the start of the run.

        Raises `_RunAbortedError`.
        """
        try:
            left = None if deadline is None else max(deadline - self._seconds(), 0.0)
            event = self._events.get(timeout=left)
        except queue.Empty:
            message = f"timeout: the job did not end within {deadline:g} s; raise --timeout"
            raise _RunAbortedError(EXIT_TIMEOUT, message) from None
        display = self._display
        assert display is not None, "opened before anything is waited for"
        match event:
            case JobSeen(document):
                for step in self._progress.update_job(document, self._seconds()):
                    display.step_begun(step)
                display.update_counts(self._progress.stages)
            case ShardSeen(document):
                self._progress.update_shard(document)
                display.update_counts(self._progress.stages)
            case SignalReceived(number):
                message = "interrupted" if number == signal.SIGINT else f"{signal.Signals(number).name} received"
                raise _RunAbortedError(EXIT_SIGNAL + number, message)
            case JobGone():
                raise _RunAbortedError(EXIT_FAILED, "the job was deleted")
            case WatchFailed(error) | PartFailed(error):
                raise _RunAbortedError(EXIT_FAILED, str(error))
            case SettingsGone():
                pass
        return event

    def _remove_incomplete_files(self, code: int) -> None:
        """Remove the files of a job that did not complete, since no run continues it.

        Logs and errors stay if the job has failed or the time was over.
        """
        view = self._progress.view
        if view is not None and code != EXIT_DONE and not self._options.keep:
            keep = is_record if code in (EXIT_FAILED, EXIT_TIMEOUT) else None
            store_from_environment(self._store).delete_prefix(view.storage_prefix, keep)

    def _failed_attempts(self, code: int) -> list[tuple[str, str]]:
        """List the failed and lost attempts, each with the address of its log, error or loss record."""
        view = self._progress.view
        failures = any(stage.failures for stage in self._progress.stages)
        if view is None or not (code in (EXIT_FAILED, EXIT_TIMEOUT) or failures):
            return []
        store = store_from_environment(self._store)
        wanted = {ERROR, LOST, LOG} if code == EXIT_TIMEOUT else {ERROR, LOST}
        found = sorted(attempt for attempt in attempts(store, view.storage_prefix) if attempt.files & wanted)
        names_of = ((each, next(name for name in (LOG, ERROR, LOST) if name in each.files)) for each in found)
        return [(str(attempt), store.url(attempt.prefix + name)) for attempt, name in names_of]

    def _last_log(self, code: int) -> list[tuple[str, str]]:
        if code != EXIT_FAILED or self._options.verbose:
            return []
        return [(source, line) for source, line in self._output_log.last() if may_explain_failure(line)][-SHOWN_LINES:]

    def _log_line(self, source: str, line: str) -> None:
        display = self._display
        if display is not None:
            display.log(source, line)
        else:
            print(f"[{source}] {format_line(line)}", file=sys.stderr)

    def _seconds(self) -> float:
        return time.monotonic() - self._started


def _create(transport: HttpTransport, namespace: str, job: Json) -> Answer:
    metadata = {**(job.get("metadata") or {}), "namespace": namespace}
    query = {"fieldManager": "kubemr-run"}
    return transport.send(Request("create", names.JOBS, namespace, query=query, body={**job, "metadata": metadata}))


@contextmanager
def _signals_as_events(emit: Callable[[_Event], None]) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Emit SIGINT, SIGTERM, SIGHUP and SIGQUIT as events.

    Yield a function that registers hooks.  They are called when a second signal arrives, and at each signal after it.
    """
    second_signal_hooks: list[Callable[[], None]] = []
    seen: list[int] = []

    def on_signal(number: int, _frame: object) -> None:
        emit(SignalReceived(number))  # SimpleQueue.put may be called in a signal handler.
        seen.append(number)
        if len(seen) > 1:
            for function in second_signal_hooks:
                threading.Thread(target=function, daemon=True).start()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield second_signal_hooks.append
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
