"""`kubemr run` as a user meets it: how it ends, with which exit code, what it says and what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from minio import Minio

from kubemr.storage import fetch, open_store
from support.localrun import Marked, contents, until
from support.minioserver import MinioServer
from support.workerharness import PATIENCE

pytestmark = pytest.mark.long

QUICK = """
class Worker(kubemr.JobWorker):
    def map(self, input):
        return {0: self.store("out.txt", input.encode())}

    def reduce(self, inputs):
        return self.store("out.txt", b"".join(map(self.fetch, inputs)))

if __name__ == "__main__":
    kubemr.serve(Worker())
"""

ENDLESS = """
class Worker(kubemr.JobWorker):
    def map(self, input):
        (self.workdir / "unfinished").write_text("x")
        self.store("out.txt", b"x")
        print("mapping", flush=True)
        signal.pause()

if __name__ == "__main__":
    kubemr.serve(Worker())
"""


@pytest.fixture
def marked(tmp_path: Path) -> Marked:
    return Marked(tmp_path)


def stored(marked: Marked) -> list[str]:
    """The files in the store."""
    return [path.name for path in marked.store.rglob("*") if path.is_file()]


def test_results_on_stdout_are_all_there_is(marked: Marked) -> None:
    """Stdout holds the results' addresses and nothing else; the rest is for people, on stderr."""
    program = marked.program(QUICK)
    code, out, err = marked.run(marked.manifest(inputs=["a", "b"]), "--", sys.executable, program)
    assert code == 0, err
    assert contents(out.split()) == [b"ab"]
    for said in ("PENDING", "DEPLOYED", "map", "2/2", "reduce", "COMPLETE", "1 result", "time taken"):
        assert said in err
    assert stored(marked).count("out.txt") == 1, "intermediate files are removed"
    assert not marked.processes()
    assert marked.files() == []


def test_keep_keeps_intermediate_files(marked: Marked) -> None:
    """With --keep the outputs of the map stage stay."""
    program = marked.program(QUICK)
    code, _, err = marked.run("--keep", marked.manifest(inputs=["a", "b"]), "--", sys.executable, program)
    assert code == 0, err
    assert stored(marked).count("out.txt") == 3


@pytest.mark.parametrize(("form", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_the_object_is_printed_on_demand(marked: Marked, form: str, parse: object) -> None:
    """`-o` prints the job as the apiserver has it in the end."""
    assert callable(parse)
    program = marked.program(QUICK)
    code, out, err = marked.run(
        "-o", form, "--replicas", "3", marked.manifest(inputs=["a"]), "--", sys.executable, program
    )
    assert code == 0, err
    job = parse(out)
    assert job["status"]["phase"] == "COMPLETE"
    assert job["spec"]["replicas"] == 3
    assert job["metadata"]["name"].startswith("test-")


def test_the_command_may_stand_in_the_template(marked: Marked) -> None:
    """Without a command on the command line that of the container named worker is run, with its variables."""
    program = marked.program(QUICK.replace("input.encode()", "os.environ['GREETING'].encode()"))
    worker = {
        "name": "worker",
        "command": [sys.executable],
        "args": [str(program)],
        "env": [{"name": "WHO", "value": "you"}, {"name": "GREETING", "value": "hello $(WHO)"}],
    }
    code, out, err = marked.run(marked.manifest(inputs=["a"], template={"spec": {"containers": [worker]}}))
    assert code == 0, err
    assert contents(out.split()) == [b"hello you"]


def test_zero_inputs_complete_without_results(marked: Marked) -> None:
    """No input: COMPLETE, nothing on stdout, and no worker is started."""
    code, out, err = marked.run(marked.manifest(inputs=[]), "--", "/nonexistent")
    assert (code, out) == (0, ""), err
    assert "COMPLETE" in err
    assert "0 results" in err


def test_a_job_that_only_maps(marked: Marked) -> None:
    """`partitions: 0`: the map outputs are the results, in the order of the inputs."""
    program = marked.program(QUICK)
    manifest = marked.manifest(inputs=["b", "a"], partitions=0)
    code, out, err = marked.run(manifest, "--", sys.executable, program)
    assert code == 0, err
    assert contents(out.split()) == [b"b", b"a"]


def test_a_worker_program_that_cannot_start_fails_the_job_with_its_words(marked: Marked) -> None:
    """An import error in the worker's program is the job's error, and the end of its log is shown."""
    program = marked.program("import nosuchmodule\n")
    code, out, err = marked.run(marked.manifest(inputs=["a"]), "--", sys.executable, program)
    assert (code, out) == (1, "")
    assert "no worker ever started its work" in err
    assert "ModuleNotFoundError: No module named 'nosuchmodule'" in err
    assert not marked.processes()
    assert marked.files() == []
    assert stored(marked) == []


def test_a_command_that_is_not_there_fails_the_job_by_name(marked: Marked) -> None:
    """So does a command that cannot be started."""
    code, _, err = marked.run(marked.manifest(inputs=["a"]), "--", "/nonexistent/worker")
    assert code == 1
    assert "cannot start the worker: [Errno 2] No such file or directory: '/nonexistent/worker'" in err


def test_user_code_that_always_raises_fails_the_job_with_its_first_cause(marked: Marked) -> None:
    """After `maxAttempts` attempts the job fails with the first error; their logs stay, and it is said where."""
    raising = "print('look at', input); raise ValueError(f'bad input {input}'); return {0:"
    program = marked.program(QUICK.replace("return {0:", raising))
    manifest = marked.manifest(inputs=["seven"], maxAttempts=2)
    code, out, err = marked.run(manifest, "--", sys.executable, program)
    assert (code, out) == (1, "")
    assert "map/0 failed 2 times: ValueError: bad input seven" in err
    assert marked.files() == []
    assert sorted(stored(marked)) == ["error.json"] * 2 + ["log.txt"] * 2
    attempt_lines = err[err.index("2 failed or lost attempts: kubemr logs ") :].splitlines()[1:3]
    assert [line.split("/")[:2] for line in attempt_lines] == [["map", "0"]] * 2
    logs = contents([line.split()[1] for line in attempt_lines])
    assert all(b"\nlook at seven\n" in log for log in logs)
    assert f"\nlog: {attempt_lines[0].split()[1]}\n" in err


def test_a_deadline_fails_the_job(marked: Marked) -> None:
    """`activeDeadlineSeconds` is enforced in local mode too."""
    program = marked.program(ENDLESS)
    manifest = marked.manifest(inputs=["a"], activeDeadlineSeconds=1)
    code, _, err = marked.run(manifest, "--", sys.executable, program)
    assert code == 1
    assert "spec.activeDeadlineSeconds: the job ran for longer than 1 seconds" in err


def test_timeout(marked: Marked) -> None:
    """`--timeout` ends everything with exit code 124."""
    program = marked.program(ENDLESS)
    code, out, err = marked.run("--timeout", "1.5", marked.manifest(inputs=["a"]), "--", sys.executable, program)
    assert (code, out) == (124, "")
    assert "timeout: the job did not end within 1.5 s; raise --timeout" in err
    assert not marked.processes()
    assert marked.files() == []
    assert set(stored(marked)) <= {"log.txt"}, "what the hung task printed stays, if there was time"


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGQUIT, 131)])
def test_interrupted(marked: Marked, number: signal.Signals, code: int, times: int) -> None:
    """Ctrl-C, once or by an impatient person, leaves no process and no file, even while user code runs."""
    process = marked.start("-v", marked.manifest(inputs=["a", "b"]), "--", sys.executable, marked.program(ENDLESS))
    with process:
        assert process.stderr is not None
        until(process.stderr, "mapping")
        assert len(marked.processes()) > 4
        for _ in range(times):
            process.send_signal(number)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert not marked.processes()
    assert marked.files() == []
    assert stored(marked) == []


def test_interrupted_at_once(marked: Marked) -> None:
    """Also when it has hardly begun."""
    process = marked.start(marked.manifest(inputs=["a", "b"]), "--", sys.executable, marked.program(ENDLESS))
    with process:
        assert process.stderr is not None
        until(process.stderr, "created")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert not marked.processes()
    assert marked.files() == []


def test_killed(marked: Marked) -> None:
    """kill -9 of the main process takes all others along."""
    process = marked.start("-v", marked.manifest(inputs=["a", "b"]), "--", sys.executable, marked.program(ENDLESS))
    with process:
        assert process.stderr is not None
        until(process.stderr, "mapping")
        process.kill()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    marked.wait_until_none()


def test_mistakes_are_all_named(marked: Marked) -> None:
    """A spec with mistakes: exit code 2, one line for each, with the field's path; nothing is started."""
    manifest = marked.manifest(inputs=["a"], replicas=0, partions=3, taskTimeoutSeconds="soon")
    code, out, err = marked.run(manifest, "--", "true")
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["spec.partions", "spec.replicas", "spec.taskTimeoutSeconds"], err
    assert all("; remedy: " in line for line in lines)
    assert not marked.store.exists()


def test_a_job_without_a_command_cannot_run_here(marked: Marked) -> None:
    """An image is not run on this machine: the error names the field, and both remedies."""
    code, _, err = marked.run(marked.manifest(inputs=["a"]))
    assert code == 2
    assert err.startswith(
        "spec.template.spec.containers[worker].command: a local run does not run image 'none', and no command is given"
    )
    assert "`-- python worker.py`" in err


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "holds no document"),
        ("a: 1\n---\nb: 2\n", "holds 2 documents"),
        ("a: [", "is not YAML"),
        ("apiVersion: v1\nkind: Pod\n", 'kind: "Pod": must be MapReduceJob'),
        ("- a\n", "must be an object"),
    ],
)
def test_files_that_are_no_job(marked: Marked, text: str, error: str) -> None:
    """What is wrong with the file is said, with exit code 2."""
    path = marked.directory / "job.yaml"
    path.write_text(text)
    code, _, err = marked.run(path)
    assert code == 2
    assert error in err


def test_a_store_that_cannot_be_written(marked: Marked) -> None:
    """It is tried before anything is started."""
    marked.store.write_text("a file")
    code, _, err = marked.run(marked.manifest(inputs=["a"]), "--", "true")
    assert code == 2
    assert err.startswith("--store: ")


def test_results_in_s3(marked: Marked, minio_server: MinioServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--store s3://…`: the service and its keys are the user's; nothing but the results is left in the bucket."""
    monkeypatch.setenv("KUBEMR_S3_ENDPOINT", minio_server.endpoint)
    monkeypatch.setenv("KUBEMR_S3_REGION", minio_server.region)
    monkeypatch.setenv("KUBEMR_S3_ACCESS_KEY_ID", minio_server.access_key)
    monkeypatch.setenv("KUBEMR_S3_SECRET_ACCESS_KEY", minio_server.secret_key)
    minio = Minio(
        minio_server.endpoint.removeprefix("http://"),
        access_key=minio_server.access_key,
        secret_key=minio_server.secret_key,
        secure=False,
    )
    minio.make_bucket("local-run")
    program = marked.program(QUICK)
    manifest = marked.manifest(inputs=["a", "b"])
    code, out, err = marked.run("--store", "s3://local-run/here", manifest, "--", sys.executable, program)
    assert code == 0, err
    assert fetch(out.strip()) == b"ab"
    assert out.startswith("s3://local-run/here/test-")
    assert sum(item.key.endswith("out.txt") for item in open_store("s3://local-run/here").list("")) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1/x", "s3://", "ftp://x/y"])
def test_a_store_that_is_none(marked: Marked, url: str) -> None:
    """It is refused before anything is started."""
    code, _, err = marked.run("--store", url, marked.manifest(inputs=["a"]), "--", "true")
    assert code == 2
    assert err.startswith(f"--store: '{url}'")


def test_what_processes_need_is_in_their_environment(marked: Marked) -> None:
    """A worker has the user's environment and its own settings; the caller's KUBEMR_ variables do not reach it."""
    source = QUICK.replace("input.encode()", "repr(sorted(os.environ.items())).encode()")
    program = marked.program(source)
    manifest = marked.manifest(inputs=["a"])
    command = [sys.executable, "-m", "kubemr", "run", "--store", str(marked.store), str(manifest), "--", sys.executable]
    environ = {**marked.environ(), "KUBEMR_S3_BUCKET_NAME": "mine", "OTHER": "there"}
    done = subprocess.run(
        [*command, str(program)],
        env=environ,
        cwd=marked.directory,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (content,) = contents(done.stdout.split())
    assert b"'OTHER', 'there'" in content
    assert b"KUBEMR_S3_BUCKET_NAME" not in content
    assert b"'JOB_COMPLETION_INDEX'" in content
    assert os.fspath(marked.temporary).encode() in content
