"""The output of `kubemr attempts` and `kubemr logs`: the attempts at a job's tasks, and what they printed.

Failed and lost attempts come first, then the other attempts in the order of their tasks.  At most `limit` attempts are
shown; the number of the remaining ones is printed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from kubemr.cli.exit_codes import EXIT_UNREACHABLE, EXIT_USAGE
from kubemr.cli.find_job import find_job
from kubemr.cli.job_location import JobNotFoundError, JobQuery
from kubemr.coordination.attempt_history import ALL, Attempt, History, Selection, attempts, history
from kubemr.coordination.attempt_records import ERROR, LOST, RECORDS
from kubemr.storage import NoSuchBucketError, StorageError

COLUMNS: Final = ("ATTEMPT", "OUTCOME", "BEGAN", "ENDED", "PRINTED", "WHY")
WHY_LENGTH: Final = 80
REMEDY: Final = (
    "to reach an object store inside the cluster, run `kubectl port-forward -n NAMESPACE service/NAME 9000` "
    "and give --endpoint http://127.0.0.1:9000"
)


_Printer: TypeAlias = Callable[[Iterator[History], Selection], None]


def show_attempts(query: JobQuery, task: str | None, limit: int) -> int:
    """Print a table to stdout, and return the exit code."""
    return _show(query, task, limit, _print_table)


def show_logs(query: JobQuery, task: str | None, limit: int) -> int:
    """Print logs to stdout, and return the exit code.

    Each log has a heading, unless the caller names one attempt.
    """
    return _show(query, task, limit, _print_logs)


def _show(query: JobQuery, task: str | None, limit: int, show: _Printer) -> int:
    try:
        selection = ALL if task is None else Selection.parse(task)
        location = find_job(query)
        found = sorted(attempts(location.store, location.prefix, selection), key=_failed_first)
        # An attempt that left only outputs is shown if the caller names its task.
        shown = [each for each in found if selection.number is not None or each.files & RECORDS]
        show((history(location.store, attempt) for attempt in shown[:limit]), selection)
    except ValueError as error:
        return _fail(str(error), EXIT_USAGE)
    except JobNotFoundError as error:
        return _fail(str(error), error.code)
    except StorageError as error:
        missing = isinstance(error, NoSuchBucketError)
        return _fail(str(error) if missing else f"{error}\n({REMEDY})", EXIT_UNREACHABLE)
    if not shown:
        what = task or f"job {query.job!r}"
        print(f"no records found for {what}: it printed nothing and did not fail, or it has not run", file=sys.stderr)
    if len(shown) > limit:
        print(f"{len(shown) - limit} more attempts: give a TASK or a larger --limit", file=sys.stderr)
    return 0


def _failed_first(attempt: Attempt) -> tuple[bool, Attempt]:
    return not attempt.files & {ERROR, LOST}, attempt


def _print_table(shown: Iterator[History], _selection: Selection) -> None:
    rows = [_row(each) for each in shown]
    if rows:
        widths = [max(len(row[column]) for row in (COLUMNS, *rows)) for column in range(len(COLUMNS))]
        for row in (COLUMNS, *rows):
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _row(shown: History) -> tuple[str, ...]:
    why = shown.message.partition("\n")[0]
    why = why if len(why) <= WHY_LENGTH else f"{why[: WHY_LENGTH - 1]}…"
    printed = str(len(shown.log.printed)) if shown.log is not None else "-"
    return str(shown.attempt), shown.outcome, shown.start or "-", shown.end or "-", printed, why


def _print_logs(shown: Iterator[History], selection: Selection) -> None:
    """Print logs as bytes, so that another program can read them from a pipe."""
    for each in shown:
        if not selection.attempt:
            times = " to ".join(filter(None, [each.start, each.end]))
            print(f"==> {each.attempt}  {each.outcome}  {times}".rstrip() + " <==")
        sys.stdout.flush()
        if each.log is not None:
            sys.stdout.buffer.write(each.log.printed)
            if not each.log.printed.endswith(b"\n"):
                sys.stdout.buffer.write(b"\n")
            sys.stdout.buffer.flush()
        if each.message:
            print(each.message, file=sys.stderr if selection.attempt else sys.stdout, flush=True)


def _fail(message: str, code: int) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return code
