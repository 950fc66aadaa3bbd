"""What `kubemr attempts` and `kubemr logs` show: the attempts at a job's tasks, and what they printed.

Attempts that came to nothing come first, then the others in the order of their tasks.  Of many, the first so many are
shown, and it is said how many more there are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from kubemr.cli.find_job import find_job
from kubemr.cli.job_location import EXIT_UNREACHABLE, EXIT_USAGE, JobNotFoundError, JobQuery
from kubemr.coordination.attempt_history import ALL, Attempt, History, Selection, attempts, history
from kubemr.coordination.attempt_records import ERROR, LOST, RECORDS
from kubemr.storage import NoSuchBucketError, StorageError

COLUMNS: Final = ("ATTEMPT", "OUTCOME", "BEGAN", "ENDED", "PRINTED", "WHY")
WHY_LENGTH: Final = 80
REMEDY: Final = (
    "an object store inside the cluster is not reached from outside: "
    "`kubectl port-forward -n NAMESPACE service/NAME 9000`, and --endpoint http://127.0.0.1:9000"
)


_Shower: TypeAlias = Callable[[Iterator[History], Selection], None]


def show_attempts(asked: JobQuery, task: str | None, limit: int) -> int:
    """A table to stdout; the exit code."""
    return _show(asked, task, limit, _table)


def show_logs(asked: JobQuery, task: str | None, limit: int) -> int:
    """Logs to stdout, each under a heading unless one attempt is asked for; the exit code."""
    return _show(asked, task, limit, _logs)


def _show(asked: JobQuery, task: str | None, limit: int, show: _Shower) -> int:
    try:
        selection = ALL if task is None else Selection.parse(task)
        place = find_job(asked)
        found = sorted(attempts(place.store, place.prefix, selection), key=_first_what_failed)
        # Outputs alone are worth a line only to who asks for the task.
        told = [each for each in found if selection.number is not None or each.files & RECORDS]
        show((history(place.store, attempt) for attempt in told[:limit]), selection)
    except ValueError as error:
        return _fail(str(error), EXIT_USAGE)
    except JobNotFoundError as error:
        return _fail(str(error), error.code)
    except StorageError as error:
        missing = isinstance(error, NoSuchBucketError)
        return _fail(str(error) if missing else f"{error}\n({REMEDY})", EXIT_UNREACHABLE)
    if not told:
        what = task or f"the attempts of {asked.job}"
        print(f"nothing is kept of {what}: it printed nothing, did not fail, or did not run", file=sys.stderr)
    if len(told) > limit:
        print(f"and {len(told) - limit} more: name a task, or raise --limit", file=sys.stderr)
    return 0


def _first_what_failed(attempt: Attempt) -> tuple[bool, Attempt]:
    return not attempt.files & {ERROR, LOST}, attempt


def _table(told: Iterator[History], _selection: Selection) -> None:
    rows = [_row(each) for each in told]
    if rows:
        widths = [max(len(row[column]) for row in (COLUMNS, *rows)) for column in range(len(COLUMNS))]
        for row in (COLUMNS, *rows):
            print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def _row(told: History) -> tuple[str, ...]:
    why = told.message.partition("\n")[0]
    why = why if len(why) <= WHY_LENGTH else f"{why[: WHY_LENGTH - 1]}…"
    printed = str(len(told.log.printed)) if told.log is not None else "-"
    return str(told.attempt), told.outcome, told.start or "-", told.end or "-", printed, why


def _logs(told: Iterator[History], selection: Selection) -> None:
    """Byte by byte, so that it can be piped on."""
    for each in told:
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
