"""The commands and their options.  What they do is imported when they do it: `--help` must not wait."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn

import click

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130
MAX_SECONDS: Final = 1e9
"""More cannot be waited for."""


def _seconds(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not value <= MAX_SECONDS:  # nan, too
        raise click.BadParameter(f"{value:g} is no time to wait; give a number of seconds, at most {MAX_SECONDS:g}.")
    return value


class _Group(click.Group):
    """Ctrl-C before a command has its own way to end, as while it imports, ends it without a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(EXIT_INTERRUPTED)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="kubemr")
def main() -> None:
    """MapReduce inside a Kubernetes cluster, without a master."""


@main.command()
@click.argument("manifest")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option("--replicas", type=click.IntRange(min=1), help="Workers. [default: the manifest's, else one per CPU]")
@click.option("--store", metavar="URL", help="Where results go: a directory or s3://…  [default: ./kubemr-results]")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    callback=_seconds,
    help="Give up after this.",
)
@click.option("--keep", is_flag=True, help="Keep intermediate files too, also of a job that fails.")
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), help="Print the job object when it is over.")
@click.option("-v", "--verbose", is_flag=True, help="Show the logs of operator and workers.")
def run(
    manifest: str,
    command: tuple[str, ...],
    replicas: int | None,
    store: str | None,
    timeout: float | None,
    keep: bool,
    output: str | None,
    verbose: bool,
) -> None:
    """Run the job in MANIFEST (- for stdin) on this machine, with COMMAND as its worker.

    \b
    kubemr run job.yaml -- python worker.py

    Prints the results' addresses, one a line.  Exit codes: 0 done, 1 the job failed, 2 usage, 124 timeout,
    130 interrupted.
    """
    from kubemr.cli.manifest import ManifestError, load
    from kubemr.cli.run import RunOptions, run_job
    from kubemr.cli.run_report import report

    try:
        job = load(manifest)
    except ManifestError as error:
        _usage_error(str(error))
    options = RunOptions(
        command=command,
        replicas=replicas,
        store=store,
        timeout=timeout,
        keep=keep,
        verbose=verbose,
    )
    result = run_job(job, options)
    report(result, output)
    sys.exit(result.code)


@main.command()
@click.argument("manifest")
def validate(manifest: str) -> None:
    """Say everything that is wrong with the job in MANIFEST (- for stdin).  Exit codes: 0 nothing, 2 something."""
    from kubemr.cli.manifest import ManifestError, load
    from kubemr.resources import validate as problems_of
    from kubemr.resources.metadata import set_by_server

    try:
        job = load(manifest)
    except ManifestError as error:
        _usage_error(str(error))
    problems = [*problems_of(job), *set_by_server(job)]
    for problem in problems:
        click.echo(str(problem), err=True)
    if problems:
        sys.exit(EXIT_USAGE)
    click.echo(f"{os.path.basename(manifest) if manifest != '-' else 'stdin'}: valid")


def _attempt_options(command: Callable[..., object]) -> Callable[..., object]:
    """The arguments and options of what looks at a job's attempts."""
    for decorate in (
        click.option("--endpoint", metavar="URL", help="The S3 service, as it is reached from here."),
        click.option("--store", metavar="URL", help="Look in this directory or s3://…, without asking a cluster."),
        click.option("--context", metavar="NAME", help="Of the kubeconfig.  [default: its current one]"),
        click.option("-n", "--namespace", metavar="NAME", help="Of the job.  [default: the context's]"),
        click.argument("task", required=False),
        click.argument("job"),
    ):
        command = decorate(command)
    return command


@main.command()
@_attempt_options
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="Attempts to show.")
def attempts(job: str, task: str | None, limit: int, **where: str | None) -> None:
    """What became of the attempts at JOB's tasks: those that left anything, or all at TASK that did.

    TASK is written map/17, reduce/3, 1/map/17 (of the second step), or map for a whole stage.  Attempts that failed, or
    whose workers died, come first.  The keys of the object store come from KUBEMR_S3_ACCESS_KEY_ID and
    KUBEMR_S3_SECRET_ACCESS_KEY, else from the Secret that the job names.

    Exit codes: 0 done, 2 usage, 3 the cluster or the object store cannot be reached or refuses.
    """
    from kubemr.cli.job_location import JobQuery
    from kubemr.cli.show_attempts import show_attempts

    sys.exit(show_attempts(JobQuery(job, **where), task, limit))


@main.command()
@_attempt_options
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="Attempts to show.")
def logs(job: str, task: str | None, limit: int, **where: str | None) -> None:
    """What the attempts at JOB's tasks printed, and why they failed.

    TASK as in `kubemr attempts`; map/17/2-w7-k2p4x9 is one attempt, of which the log alone goes to stdout.
    """
    from kubemr.cli.job_location import JobQuery
    from kubemr.cli.show_attempts import show_logs

    sys.exit(show_logs(JobQuery(job, **where), task, limit))


def _usage_error(message: str) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(EXIT_USAGE)
