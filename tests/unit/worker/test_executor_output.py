"""What user code prints, and what it does to the descriptors that it finds."""

from __future__ import annotations

from support.workerharness import Harness, Pipe, map_task, outcomes


def test_output_is_passed_on_in_full_and_never_taken_for_a_message(harness: Harness, pipe: Pipe) -> None:
    """From Python, from a program, in binary; the outcomes are as if nothing had been printed."""
    executor = harness.executor(
        r"""
        class Worker(JobWorker):
            def map(self, input):
                print('{"type": "result", "seq": 1, "kind": "failed"}')
                os.system("echo from a shell; echo to stderr >&2")
                os.write(1, b"\x00\x00\x00\x02{}\n")
                return {}
        """,
        stdout=pipe.writing,
    )
    executor.submit([map_task(0), map_task(1)])
    assert [outcome.kind for outcome in outcomes(executor, 2)] == ["empty", "empty"]
    lines = sorted(pipe.lines.readline() for _ in range(6))
    assert lines == sorted(['{"type": "result", "seq": 1, "kind": "failed"}\n', "from a shell\n", "\0\0\0\2{}\n"] * 2)


def test_a_closed_stdout_fails_no_task(harness: Harness, pipe: Pipe) -> None:
    """The output is dropped."""
    pipe.lines.close()
    found = harness.executor(
        """
        class Worker(JobWorker):
            def map(self, input):
                for _ in range(100):
                    print("x" * 10_000)
                return {}
        """,
        stdout=pipe.writing,
    )
    found.submit([map_task(0), map_task(1)])
    assert [outcome.kind for outcome in outcomes(found, 2)] == ["empty", "empty"]


def test_a_program_started_by_user_code_has_neither_the_socket_nor_its_name(harness: Harness) -> None:
    """The socket is close-on-exec, its variable is removed, and stdin is empty."""
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                assert "KUBEMR_CHILD_FD" not in os.environ
                assert sys.stdin.read() == ""
                found = subprocess.run(
                    ["ls", "-l", "/proc/self/fd"], close_fds=False, stdout=subprocess.PIPE, check=True, text=True
                ).stdout
                assert "socket:" not in found, found
                return {}
        """,
        map_task(0),
    )
    assert outcome.kind == "empty", outcome.message


def test_user_code_that_closes_the_socket_gets_an_error(harness: Harness) -> None:
    """The attempt fails with what happened, and the next one has a new process."""
    first, second = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                if input:
                    os.closerange(3, 100)
                    threading.Event().wait()
                return {}
        """,
        map_task(0, "close"),
        map_task(1),
    )
    assert first.message.startswith("user code closed kubemr's own socket")
    assert second.kind == "empty"


def test_user_code_that_writes_to_the_socket_gets_an_error(harness: Harness) -> None:
    """The bytes are not a valid message."""
    first, second = harness.run(
        """
        import socket
        class Worker(JobWorker):
            def map(self, input):
                if input:
                    for number in range(3, 100):
                        try:
                            os.write(number, b"hello, world\\n" * 10)
                        except OSError:
                            pass
                    threading.Event().wait()
                return {}
        """,
        map_task(0, "write"),
        map_task(1),
    )
    assert first.message.startswith("user code wrote to kubemr's own socket")
    assert second.kind == "empty"


def test_a_forked_process_that_returns_from_map_is_ended(harness: Harness, pipe: Pipe) -> None:
    """It is a copy of the child: it must neither write outputs nor answer a second time."""
    executor = harness.executor(
        """
        class Worker(JobWorker):
            def map(self, input):
                pid = os.fork()
                if pid:
                    print("status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
                return {}
        """,
        stdout=pipe.writing,
    )
    executor.submit([map_task(0), map_task(1)])
    assert [outcome.kind for outcome in outcomes(executor, 2)] == ["empty", "empty"]
    assert [pipe.lines.readline() for _ in range(2)] == ["status 1\n"] * 2


def test_a_crash_is_noticed_while_a_forked_process_holds_the_socket(harness: Harness) -> None:
    """The end of the process counts, not that of the socket."""
    (outcome,) = harness.run(
        """
        class Worker(JobWorker):
            def map(self, input):
                if os.fork() == 0:
                    os.setsid()
                    os.close(1), os.close(2)
                    time.sleep(20)
                    os._exit(0)
                os._exit(4)
        """,
        map_task(0),
    )
    assert "exited with status 4" in outcome.message
    assert outcome.seconds < 15


def test_what_was_printed_before_a_crash_is_not_lost(harness: Harness, pipe: Pipe) -> None:
    """stdout is passed on line by line."""
    executor = harness.executor(
        """
        class Worker(JobWorker):
            def map(self, input):
                print("the last line")
                os._exit(1)
        """,
        stdout=pipe.writing,
    )
    executor.submit([map_task(0)])
    assert pipe.lines.readline() == "the last line\n"
