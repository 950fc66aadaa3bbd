"""`make demo`: count the words of Python's own library sources, in local mode.

This does the same as `kubemr run job.yaml -- python wordcount.py`.
The job's inputs are glob patterns that together name each source file once.
In the end it prints the most frequent words.
"""

from __future__ import annotations

try:
    import heapq
    import os
    import string
    import sys
    import sysconfig
    from collections.abc import Iterator
    from glob import escape
    from os.path import join
    from pathlib import Path
    from typing import Any
except KeyboardInterrupt:  # Ctrl-C during the imports is not an error
    raise SystemExit(130) from None

HERE = Path(__file__).parent
AT_ONCE = 8
"""About how many files one pattern names, and so one map task reads."""
FREQUENT = 10
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "__pycache__"}
"""Folders that are not part of the library, or that some installations lack."""
SIMPLE = string.ascii_letters + string.digits + "_"
"""Characters that need no escape in the brackets of a pattern."""


def main() -> int:
    """Run the job, and return the exit code."""
    from click import style

    from kubemr.cli.run import RunOptions, run_job
    from kubemr.cli.run_report import report, say

    job = demo_job(sysconfig.get_path("stdlib"))
    say(style(f"counting the words of {job['spec']['jobargs']['root']}/**/*.py", bold=True))
    store = os.environ.get("KUBEMR_DEMO_STORE") or str(HERE.parents[1] / "kubemr-results")
    result = run_job(job, RunOptions(command=(sys.executable, str(HERE / "wordcount.py")), store=store))
    report(result, before_time=lambda: frequent_words(result.progress.status.get("results") or []))
    return result.code


def demo_job(root: str) -> dict[str, Any]:
    """Return the job over all Python sources below `root`."""
    return {
        "apiVersion": "turbobytes.com/v1alpha1",
        "kind": "MapReduceJob",
        "metadata": {"generateName": "wordcount-"},
        "spec": {
            "image": "turbobytes/kubemr-wordcount",
            "partitions": 5,
            "jobargs": {"root": root},
            "inputs": list(patterns(root)),
        },
    }


def patterns(root: str, folder: str = "") -> Iterator[str]:
    """Yield glob patterns, relative to `root`, that together name each source in `folder` and below it once."""
    sources = _sources(join(root, folder))
    if folder and len(sources) <= AT_ONCE:
        if sources:
            yield join(escape(folder), "**", "*.py")
        return
    own = [source for source in sources if os.sep not in source]
    yield from (escape(join(folder, "")) + pattern for pattern in _by_letter(own, ""))
    for subfolder in sorted({source.split(os.sep)[0] for source in sources} - set(own)):
        yield from patterns(root, join(folder, subfolder))


def _sources(folder: str) -> list[str]:
    """Return all sources below `folder`, relative to it."""
    found = []
    for place, subfolders, names in os.walk(folder):
        subfolders[:] = [name for name in subfolders if name not in LEFT_OUT and not name.startswith(".")]
        found += [join(place, name) for name in names if name.endswith(".py") and not name.startswith(".")]
    return sorted(os.path.relpath(path, folder) for path in found)


def _by_letter(names: list[str], begin: str) -> Iterator[str]:
    """Yield patterns for files of one folder whose names begin with `begin`, grouped by the next letter."""
    if len(names) <= AT_ONCE:
        if names:
            yield f"{begin}*.py"
        return
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name[len(begin)], []).append(name)
    letters, size = "", 0
    for letter, group in groups.items():
        if letter not in SIMPLE:
            yield from map(escape, group)
        elif len(group) > AT_ONCE:
            yield from _by_letter(group, begin + letter)
        else:
            if letters and size + len(group) > AT_ONCE:
                yield f"{begin}[{letters}]*.py"
                letters, size = "", 0
            letters, size = letters + letter, size + len(group)
    if letters:
        yield f"{begin}[{letters}]*.py"


def frequent_words(results: list[str]) -> None:
    """Print the most frequent words of all results."""
    from click import style

    from kubemr.cli.run_report import say
    from kubemr.storage import fetch

    sys.path.insert(0, str(HERE.parents[1]))
    from examples.wordcount.wordcount import counts

    found = ((count, word) for url in results for word, count in counts(fetch(url)))
    say(style(f"\nthe {FREQUENT} most frequent words:", bold=True))
    for count, word in heapq.nlargest(FREQUENT, found):
        say(style(f"{count:>9}  ", dim=True), word.decode("utf-8", "replace"))


if __name__ == "__main__":
    try:
        code = main()
    except KeyboardInterrupt:  # before or after the run, which handles Ctrl-C itself
        code = 130
    sys.exit(code)
