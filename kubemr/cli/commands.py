"""The commands and their options.  What a command needs is imported when it runs, so that `--help` answers at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final, NoReturn

import click

from kubemr.cli.exit_codes import EXIT_INTERRUPTED, EXIT_USAGE

MAX_SECONDS: Final = 1e9
"""The largest `--timeout`, 31 years.  Python's queues cannot wait much longer (`threading.TIMEOUT_MAX`)."""


def _seconds(_context: click.Context, _option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not value <= MAX_SECONDS:  # nan, too
        raise click.BadParameter(f"{value:g} is not a duration; give a number of seconds, at most {MAX_SECONDS:g}.")
    return value


class _Group(click.Group):
    """Ends a command without a traceback when Ctrl-C arrives before the command handles signals, e.g. in an import."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(EXIT_INTERRUPTED)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="kubemr")
def main() -> None:
    """Run and inspect MapReduce jobs.

    `run` and `validate` need no cluster.  In a cluster, create jobs with kubectl; `attempts` and `logs` show how their
    tasks ran.

    \b
    Examples:
      kubemr validate job.yaml
      kubemr run job.yaml -- python worker.py
      kubectl create -f job.yaml
      kubemr attempts words
      kubemr logs words map/17
    """


@main.command()
@click.argument("manifest")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@click.option(
    "--replicas",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="spec.replicas, else one per CPU",
    help="Run N workers.",
)
@click.option(
    "--store",
    metavar="URL",
    help="Write results to this directory, file:/// or s3:// address.  [default: ./kubemr-results]",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    callback=_seconds,
    show_default="no limit",
    help="Stop the run after this time.",
)
@click.option("--keep", is_flag=True, help="Keep intermediate files, even if the job fails.")
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), help="Print the job object instead of the results."
)
@click.option("-v", "--verbose", is_flag=True, help="Print the logs of operator and workers as they arrive.")
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
    """Run the job in MANIFEST on this machine.

    MANIFEST is a file with one MapReduceJob in YAML or JSON, or - for stdin.  COMMAND starts a worker; it replaces
    the job's image.

    The addresses of the results go to stdout, one per line.  Progress and errors go to stderr.

    \b
    Examples:
      kubemr run job.yaml -- python worker.py
      kubemr run job.yaml --replicas 4 --store /data/results -- ./worker
      kubemr run - --timeout 600 -o json -- python worker.py < job.yaml

    \b
    Exit codes:
      0    the job is COMPLETE
      1    the job has failed, or a part of the local cluster has
      2    an option, the manifest or the store is wrong
      124  the time of --timeout is over
      130  interrupted by Ctrl-C; 143 by SIGTERM
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
    """Check the job in MANIFEST and report every mistake.

    MANIFEST is a file with one MapReduceJob in YAML or JSON, or - for stdin.  Each mistake is one line on stderr: the
    field, its value, what is wrong and the remedy.

    \b
    Examples:
      kubemr validate job.yaml
      kubectl kustomize . | kubemr validate -

    \b
    Exit codes:
      0    the job is valid
      2    the job has mistakes, or the manifest cannot be read
    """
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
    """Add the arguments and options of a command that reads a job's attempts."""
    for decorate in (
        click.option(
            "--endpoint",
            metavar="URL",
            show_default="the job's",
            help="Connect to the S3 service at this address, e.g. a forwarded port.",
        ),
        click.option(
            "--store",
            metavar="URL",
            show_default="the job's store",
            help="Read this directory or s3:// address, without asking a cluster.",
        ),
        click.option(
            "--context", metavar="NAME", show_default="the current one", help="Use this context of the kubeconfig."
        ),
        click.option(
            "-n",
            "--namespace",
            metavar="NAME",
            show_default="that of the context",
            help="Look for the job in this namespace.",
        ),
        click.argument("task", required=False),
        click.argument("job"),
    ):
        command = decorate(command)
    return command


def _limit_option(default: int) -> Callable[[Callable[..., object]], Callable[..., object]]:
    """Return the option for the largest number of attempts to show."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        metavar="N",
        default=default,
        show_default=True,
        help="Show at most N attempts.",
    )


@main.command()
@_attempt_options
@_limit_option(100)
def attempts(job: str, task: str | None, limit: int, **where: str | None) -> None:
    """List task attempts of JOB.

    Shows attempts that left a log, an error or a loss record; with TASK, also successful ones that printed nothing.
    Failed and lost attempts come first.

    JOB is a MapReduceJob in a cluster.  With --store, it is any job whose objects are there, e.g. a deleted one.  TASK
    is map/17, reduce/3, 1/map/17 (in the second step), or map for the whole stage.

    Access keys for S3 come from KUBEMR_S3_ACCESS_KEY_ID and KUBEMR_S3_SECRET_ACCESS_KEY, else from the Secret that the
    job names, else from the identity of this machine.

    \b
    Examples:
      kubemr attempts words
      kubemr attempts words map/17 -n analytics
      kubemr attempts words --store kubemr-results

    \b
    Exit codes:
      0    done, also if there are no attempts to show
      2    an option or argument is wrong, or there is no such job
      3    the cluster or the object store cannot be reached, or refuses
    """
    from kubemr.cli.job_location import JobQuery
    from kubemr.cli.show_attempts import show_attempts

    sys.exit(show_attempts(JobQuery(job, **where), task, limit))


@main.command()
@_attempt_options
@_limit_option(20)
def logs(job: str, task: str | None, limit: int, **where: str | None) -> None:
    """Print the logs of task attempts of JOB.

    Prints each log under a heading, and why a failed or lost attempt ended.  Failed and lost attempts come first.

    JOB and TASK are written as for `kubemr attempts`.  With the name of one attempt, e.g. map/17/2-w7-k2p4x9, only its
    log goes to stdout, and why it failed goes to stderr.

    \b
    Examples:
      kubemr logs words
      kubemr logs words map/17
      kubemr logs words map/17/2-w7-k2p4x9 > attempt.log
      kubemr logs words map/17 --endpoint http://127.0.0.1:9000

    Exit codes are those of `kubemr attempts`.
    """
    from kubemr.cli.job_location import JobQuery
    from kubemr.cli.show_attempts import show_logs

    sys.exit(show_logs(JobQuery(job, **where), task, limit))


def _usage_error(message: str) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(EXIT_USAGE)
