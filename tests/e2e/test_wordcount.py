"""The main job: `make demo` counts exactly what tr, sort and uniq count over the same files."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

from support.localrun import Marked, contents
from support.workerharness import PATIENCE, ROOT

pytestmark = pytest.mark.long

WORDCOUNT = ROOT / "examples" / "wordcount"


@pytest.fixture
def marked(tmp_path: Path) -> Marked:
    return Marked(tmp_path)


def sources() -> list[Path]:
    """All `*.py` of the library but its tests, found by other means than the demo's."""
    root = Path(sysconfig.get_path("stdlib"))
    left_out = {"site-packages", "dist-packages", "test", "tests"}
    found = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if not left_out & set(parts) and not any(part.startswith(".") for part in parts):
            found.append(path)
    return found


def by_tr_sort_uniq(paths: list[Path]) -> Counter[bytes]:
    """The counts of `tr | sort | uniq -c`; each file's last word ends with it, as in the worker."""
    script = """for file; do tr -s '[:space:]' '\\n' < "$file"; echo; done | sort | uniq -c"""
    done = subprocess.run(
        ["sh", "-c", script, "sh", *map(str, paths)],
        env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: Counter[bytes] = Counter()
    for line in done.stdout.split(b"\n"):
        count, _, word = line.strip(b" ").partition(b" ")
        if word:  # white space at a file's beginning makes an empty line
            found[word] = int(count)
    return found


def of_results(urls: list[str]) -> Counter[bytes]:
    """The counts in results; no word is in two of them."""
    found: Counter[bytes] = Counter()
    for content in contents(urls):
        for line in content.split(b"\n"):
            if line:
                word, count = line.split(b"\t")
                assert word not in found, f"{word!r} is in two results"
                found[word] = int(count)
    return found


def test_the_demo_counts_all_words_as_tr_sort_and_uniq_do(marked: Marked) -> None:
    """Every word of the demo's results has the count that uniq gives it, and no word is missing."""
    environ = {**marked.environ(), "KUBEMR_DEMO_STORE": str(marked.store)}
    done = subprocess.run(
        [sys.executable, str(WORDCOUNT / "demo.py")],
        env=environ,
        cwd=marked.directory,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found, expected = of_results(done.stdout.split()), by_tr_sort_uniq(sources())
    assert found == expected, list(((found - expected) + (expected - found)).items())[:10]
    for count, word in sorted(((count, word) for word, count in expected.items()), reverse=True)[:10]:
        assert f"{count}  {word.decode()}" in done.stderr
    assert not marked.processes()
    assert marked.files() == []


def test_words_of_any_bytes_are_counted(marked: Marked) -> None:
    """Words are runs of bytes other than the six of white space, in any encoding, also a NUL or a lone CR between."""
    text = b"\n \t caf\xe9 caf\xc3\xa9 a\x00b a\x00b\r\nx\x0by\x0cx\xa0x \xff\n x"
    (marked.directory / "a.txt").write_bytes(text)
    (marked.directory / "b.txt").write_bytes(b"x")
    (marked.directory / "empty.txt").write_bytes(b"")
    manifest = marked.manifest(inputs=["a.txt", "[be]*.txt"], partitions=5)
    code, out, err = marked.run(manifest, "--", sys.executable, WORDCOUNT / "wordcount.py")
    assert code == 0, err
    assert of_results(out.split()) == by_tr_sort_uniq([marked.directory / name for name in ("a.txt", "b.txt")])


def test_an_input_that_is_not_there_fails_the_job_by_name(marked: Marked) -> None:
    """A pattern without files is a mistake, not an empty input."""
    manifest = marked.manifest(inputs=["nosuch*.txt"], maxAttempts=1)
    code, _, err = marked.run(manifest, "--", sys.executable, WORDCOUNT / "wordcount.py")
    assert code == 1
    assert "input 'nosuch*.txt': there is no such file in the working directory" in err


def test_the_manifest_of_the_example_is_valid() -> None:
    """`examples/wordcount/job.yaml` passes `kubemr validate`."""
    command = [sys.executable, "-m", "kubemr", "validate", str(WORDCOUNT / "job.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "job.yaml: valid\n"), done.stderr
