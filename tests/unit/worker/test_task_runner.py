"""Tasks by real workers over a real store: what is written, and what user code can reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attr import evolve

from kubemr.coordination.outputs import Index, decode_outputs, encode_outputs
from kubemr.storage.directory import DirectoryStore
from kubemr.worker.assignment import JobInfo
from support.workerharness import Harness, map_task, outcomes, reduce_task

OUTPUTS = "job/0/map/0/1-w0-abc123/outputs.json"


def keys(harness: Harness) -> list[str]:
    """All keys in the store."""
    return [found.key for found in DirectoryStore(harness.store).list("")]


def test_map_outputs_are_written_before_done_is_reported(harness: Harness) -> None:
    """One object under the attempt's prefix, by partition."""
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                return {3: input.upper(), 0: "ä"}
        """,
        map_task(0, "abc"),
    )
    assert outcome.kind == "done", outcome.message
    assert keys(harness) == [OUTPUTS]
    assert decode_outputs(DirectoryStore(harness.store).get(OUTPUTS)) == {0: "ä", 3: "ABC"}


def test_a_task_without_output_writes_nothing(harness: Harness) -> None:
    """Neither {} from map nor "" from reduce."""
    store = DirectoryStore(harness.store)
    store.put("job/0/map/0/1-w0-abc123/outputs.json", encode_outputs({1: "x"}))
    store.put("job/run-1/0-map.index.json", Index(["1-w0-abc123"]).encode())
    before = keys(harness)
    found = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                return {}
            def reduce(self, inputs):
                return ""
        """,
        map_task(1),
        reduce_task(1),
    )
    assert [outcome.kind for outcome in found] == ["empty", "empty"]
    assert keys(harness) == before


def test_reduce_gets_the_outputs_of_its_partition(harness: Harness) -> None:
    """Its own output is written under its task number; user code is not called for an empty partition."""
    store = DirectoryStore(harness.store)
    for number in range(3):
        store.put(f"job/0/map/{number}/1-w{number}-abc123/outputs.json", encode_outputs({1: f"m{number}"}))
    store.put("job/run-1/0-map.index.json", Index([f"1-w{number}-abc123" for number in range(3)]).encode())
    first, second = harness.run(
        """
        class Worker(JobWorker):
            def reduce(self, inputs):
                return "+".join(inputs)
        """,
        reduce_task(1),
        reduce_task(2),
    )
    assert (first.kind, second.kind) == ("done", "empty"), first.message
    assert json.loads(store.get("job/0/reduce/1/1-w0-abc123/outputs.json")) == {"1": "m0+m1+m2"}


def test_large_inputs_and_outputs_pass(harness: Harness) -> None:
    """Megabytes, in both directions."""
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                assert len(input) == 8_000_000
                return {partition: input for partition in range(4)}
        """,
        map_task(0, "ü" * 8_000_000),
    )
    assert outcome.kind == "done", outcome.message
    outputs = decode_outputs(DirectoryStore(harness.store).get(OUTPUTS))
    assert outputs == dict.fromkeys(range(4), "ü" * 8_000_000)


def test_a_wrong_return_value_is_a_failed_attempt(harness: Harness) -> None:
    """The message is the error alone: a traceback through the runtime would not help."""
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                return {40: "x"}
        """,
        map_task(0),
    )
    assert outcome.kind == "failed"
    assert outcome.message.startswith("map/0/1-w0-abc123: map returned the partition 40; the job has 4 partitions")
    assert "\n" not in outcome.message
    assert keys(harness) == []


def test_user_code_knows_its_job_and_task(harness: Harness) -> None:
    """As the spec and the protocol have them; outside a task there is no task."""
    executor = harness.executor(
        """
        class Worker(JobWorker):
            def worker_init(self):
                try:
                    self.task
                except RuntimeError as error:
                    self.refusal = str(error)
            def map(self, input):
                job, task = self.job, self.task
                assert (job.name, job.namespace, job.run, job.partitions) == ("words", "prod", 2, 8), job
                assert job.jobargs == {"language": "en"}, job
                assert (task.step, task.stage, task.number, task.attempt) == (0, "map", 5, "2-w7-k2p4x9"), task
                assert self.refusal == "self.task is available only while a task runs: in map and reduce"
                return {}
        """,
        job=JobInfo("words", "prod", 2, 4, {"language": "en"}),
    )
    executor.submit([map_task(5, attempt="2-w7-k2p4x9", partitions=8)])
    (outcome,) = outcomes(executor, 1)
    assert outcome.kind == "empty", outcome.message


def test_user_code_stores_and_fetches_objects(harness: Harness) -> None:
    """Under the attempt's prefix, from bytes and from files; back by URL, by key and as a stream."""
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                url = self.store("part 1/wörter%20.txt", b"some words")
                assert url.startswith("file:///") and url.endswith(".txt"), url
                assert self.fetch(url) == b"some words"
                assert self.fetch("job/0/map/0/1-w0-abc123/part 1/wörter%20.txt") == b"some words"
                with self.open(url) as stream:
                    assert stream.read(4) == b"some"
                path = self.workdir / "local"
                path.write_bytes(b"from a file")
                return {0: self.store_file("file.bin", path), 1: self.store("b", bytearray(b"x"))}
        """,
        map_task(0),
    )
    assert outcome.kind == "done", outcome.message
    store = DirectoryStore(harness.store)
    prefix = "job/0/map/0/1-w0-abc123/"
    assert decode_outputs(store.get(OUTPUTS))[0] == store.url(f"{prefix}file.bin")
    assert store.get(f"{prefix}file.bin") == b"from a file"
    assert store.get(f"{prefix}b") == b"x"


def test_a_file_outside_the_store_is_fetched_by_its_url(harness: Harness) -> None:
    """Inputs often lie elsewhere."""
    outside = harness.directory / "an input.txt"
    outside.write_text("words")
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                return {0: self.fetch(input).decode()}
        """,
        map_task(0, outside.as_uri()),
    )
    assert outcome.kind == "done", outcome.message


WRONG_CALLS = {
    "self.store('outputs.json', b'')": "kubemr writes an object of that name itself",
    "self.store('error.json', b'')": "kubemr writes an object of that name itself",
    "self.store('log.txt', b'')": "kubemr writes an object of that name itself",
    "self.store('lost.json', b'')": "kubemr writes an object of that name itself",
    "self.store('', b'')": "it is empty",
    "self.store('/etc/passwd', b'')": "it begins with a slash",
    "self.store('../0/outputs.json', b'')": "it has the segment '..'",
    "self.store('a//b', b'')": "it has an empty segment",
    "self.store('a', 'text')": "data is str; pass bytes, e.g. text.encode()",
    "self.store_file('a', '/nowhere/at/all')": "/nowhere/at/all",
    "self.fetch('no/such/key')": "no/such/key",
    "self.fetch('gopher://x/y')": "gopher",
}


@pytest.mark.parametrize(("call", "said"), WRONG_CALLS.items())
def test_a_wrong_call_of_a_helper_says_what_is_wrong(harness: Harness, call: str, said: str) -> None:
    """As an exception in user code, which fails the attempt."""
    (outcome,) = harness.run(f"class Worker(JobWorker):\n    def map(self, input):\n        {call}", map_task(0))
    assert outcome.kind == "failed"
    assert said in outcome.message
    assert keys(harness) == []


def test_the_working_directory_is_removed_with_the_task(harness: Harness) -> None:
    """Each attempt has its own; it is removed afterwards, also if the process crashed or was killed."""
    executor = harness.executor(
        """
        class Worker(JobWorker):
            def map(self, input):
                assert self.workdir.is_dir() and not list(self.workdir.iterdir())
                assert self.workdir == self.workdir
                (self.workdir / "file").write_text("x")
                if input == "crash":
                    os._exit(1)
                return {0: str(self.workdir)}
        """
    )
    executor.submit([map_task(0), map_task(1)])
    assert [outcome.kind for outcome in outcomes(executor, 2)] == ["done", "done"]
    store = DirectoryStore(harness.store)
    paths = {decode_outputs(store.get(f"job/0/map/{number}/1-w0-abc123/outputs.json"))[0] for number in range(2)}
    assert len(paths) == 2
    assert not any(Path(path).exists() for path in paths)
    executor.submit([map_task(2, "crash")])
    outcomes(executor, 1)
    assert list(harness.temporary.iterdir()) == []
    executor.submit([map_task(3)])
    outcomes(executor, 1)
    executor.stop()
    assert list(harness.temporary.iterdir()) == []


def test_the_garbage_collector_is_off_inside_a_task_and_runs_between_tasks(harness: Harness) -> None:
    """A cycle lives as long as its task, even where user code has turned the collector on."""
    found = harness.run(
        """
        import gc, time, weakref
        class Node:
            pass
        class Worker(JobWorker):
            last = None
            def map(self, input):
                assert not gc.isenabled()
                assert self.last is None or self.last() is None
                node = Node()
                node.self = node
                self.last = weakref.ref(node)
                gc.enable()
                time.sleep(0.005)
                return {}
        """,
        *(map_task(number) for number in range(3)),
    )
    assert [outcome.kind for outcome in found] == ["empty"] * 3, found


def test_quick_tasks_share_a_run_of_the_garbage_collector(harness: Harness) -> None:
    """One task leaves one cycle, which may stay for a while; one that leaves very many is cleaned up after at once."""
    found = harness.run(
        """
        import gc, weakref
        MANY = gc.get_threshold()[0]  # 700, or 2000 from Python 3.13 on
        class Node:
            pass
        class Worker(JobWorker):
            def worker_init(self):
                self.alive = weakref.WeakSet()
                self.most = 0
            def map(self, input):
                self.most = max(self.most, len(self.alive))
                many = input == "2998"
                if input == "2999":
                    assert len(self.alive) < MANY, "left by the one before"
                    assert 1 < self.most < MANY, self.most
                for _ in range(MANY if many else 1):
                    node = Node()
                    node.self = node
                    self.alive.add(node)
                return {}
        """,
        *(map_task(number, str(number)) for number in range(3000)),
    )
    assert [outcome.message for outcome in found if outcome.kind != "empty"] == []


def test_the_garbage_collector_runs_after_a_quick_task_that_failed(harness: Harness) -> None:
    """What it lacked may be held by what it, or others before it, have left."""
    found = harness.run(
        """
        import weakref
        class Node:
            pass
        class Worker(JobWorker):
            def worker_init(self):
                self.alive = weakref.WeakSet()
            def map(self, input):
                if input == "last":
                    assert not self.alive, len(self.alive)
                    return {}
                node = Node()
                node.self = node
                self.alive.add(node)
                if input:
                    raise ValueError(input)
                return {}
        """,
        *(map_task(number, text) for number, text in enumerate(["", "", "no", "last"])),
    )
    assert [outcome.kind for outcome in found] == ["empty", "empty", "failed", "empty"], found


def test_a_store_that_cannot_be_written_fails_the_attempt(harness: Harness) -> None:
    """With the store's own message."""
    executor = harness.executor("class Worker(JobWorker):\n    def map(self, input): return {0: 'x'}")
    harness.store.rmdir()
    harness.store.write_text("a file in the place of the directory")
    executor.submit([map_task(0)])
    (outcome,) = outcomes(executor, 1)
    assert outcome.kind == "failed"
    assert str(harness.store) in outcome.message.splitlines()[0]


def test_without_a_store_the_first_task_that_needs_it_fails(harness: Harness) -> None:
    """The error names the settings."""
    environ = harness.environ()
    del environ["KUBEMR_STORAGE_URL"]
    from kubemr.worker.execution.executor import ProcessExecutor

    command = harness.program("class Worker(JobWorker):\n    def map(self, input): return {0: 'x'}")
    environ = {name: value for name, value in environ.items() if not name.startswith("KUBEMR_")}
    with ProcessExecutor(JobInfo("j"), task_timeout=60, command=command, environ=environ) as executor:
        executor.submit([map_task(0)])
        (outcome,) = outcomes(executor, 1)
    assert outcome.kind == "failed"
    assert "KUBEMR_S" in outcome.message.splitlines()[0]


CHUNKED = """
class Worker(JobWorker):
    def map(self, input):
        return {0: input}
"""


def test_inputs_come_from_the_chunk_that_the_assignment_names(harness: Harness) -> None:
    """By their place in it; the chunk that was read last is not read again."""
    store = DirectoryStore(harness.store)
    store.put("job/inputs/1-a/0.json", json.dumps(["a", "ß"]).encode())
    store.put("job/inputs/1-a/1.json", json.dumps(["c"]).encode())
    tasks = [
        evolve(map_task(number), chunk_key=f"job/inputs/1-a/{number // 2}.json", position=number % 2)
        for number in range(3)
    ]
    found = harness.run(CHUNKED, *tasks)
    assert [outcome.kind for outcome in found] == ["done"] * 3, found
    outputs = [decode_outputs(store.get(f"job/0/map/{number}/1-w0-abc123/outputs.json")) for number in range(3)]
    assert outputs == [{0: "a"}, {0: "ß"}, {0: "c"}]


@pytest.mark.parametrize(
    ("content", "position", "problem"),
    [
        (None, 0, "missing, although the job's inputs are listed there; it was deleted: create the job again"),
        (b"[", 0, "create the job again"),
        (b'{"a": 1}', 0, "is not a list of strings"),
        (b"[1]", 0, "is not a list of strings"),
        (b'["a"]', 1, "has 1 inputs and no number 1"),
    ],
)
def test_a_chunk_that_is_missing_or_damaged(
    harness: Harness, content: bytes | None, position: int, problem: str
) -> None:
    """The attempt fails, and the error has the address of the chunk."""
    if content is not None:
        DirectoryStore(harness.store).put("job/inputs/1-a/0.json", content)
    task = evolve(map_task(0), chunk_key="job/inputs/1-a/0.json", position=position)
    (outcome,) = harness.run(CHUNKED, task)
    assert outcome.kind == "failed"
    assert "/job/inputs/1-a/0.json: " in outcome.message
    assert problem in outcome.message
    assert "\n" not in outcome.message
