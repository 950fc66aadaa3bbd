"""The operator's process is restarted when it dies, unless it ends soon after every start."""

from __future__ import annotations

import os
import queue
import signal
from pathlib import Path

from kubemr.local.operator_process import MAX_QUICK_EXITS, OperatorFailedError, OperatorSupervisor
from kubemr.local.output_log import OutputLog
from support.embeddedclient import Api
from support.workerharness import PATIENCE, ROOT, wait_for_end


class Supervised:
    """A supervised operator, with its log lines and the failures that its supervisor reports."""

    def __init__(self, directory: Path, **environ: str) -> None:
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.failures: queue.SimpleQueue[Exception] = queue.SimpleQueue()
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.supervisor = OperatorSupervisor(
            {**os.environ, "PYTHONPATH": path, **environ},
            str(directory),
            OutputLog(lambda source, line: self.lines.put(line)),
            self.failures.put,
        )

    def wait_for(self, event: str) -> None:
        while event not in self.lines.get(timeout=PATIENCE):
            pass


def settings(api: Api, directory: Path) -> dict[str, str]:
    return {
        "KUBEMR_APISERVER": api.server.url,
        "KUBEMR_APISERVER_TOKEN": api.server.token or "",
        "KUBEMR_STORAGE_URL": directory.as_uri(),
        "KUBEMR_NAMESPACE": "default",
    }


def test_a_killed_operator_is_started_again(api: Api, tmp_path: Path) -> None:
    """`stop` ends it by SIGTERM."""
    supervised = Supervised(tmp_path, **settings(api, tmp_path))
    supervised.supervisor.start()
    for _ in range(2):
        supervised.wait_for("controller_started")
        pid = supervised.supervisor.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    supervised.wait_for("controller_started")
    last = supervised.supervisor.pid
    assert last is not None
    supervised.supervisor.stop()
    supervised.wait_for("operator_stopped")
    wait_for_end(last)
    assert supervised.failures.empty()


def test_wrong_settings_are_not_tried_again(tmp_path: Path) -> None:
    """After exit code 2 the next start would fail as well."""
    supervised = Supervised(tmp_path, KUBEMR_APISERVER="http://127.0.0.1:9", KUBEMR_WORKERS="many")
    supervised.supervisor.start()
    failure = supervised.failures.get(timeout=PATIENCE)
    assert isinstance(failure, OperatorFailedError)
    assert "KUBEMR_WORKERS is 'many'" in str(failure)
    supervised.supervisor.stop()


def test_one_that_cannot_start_is_given_up_after_a_few_times(tmp_path: Path) -> None:
    """It is not restarted forever."""
    (tmp_path / "sitecustomize.py").write_text("import os; os.write(2, b'broken installation\\n'); os._exit(1)")
    supervised = Supervised(tmp_path, PYTHONPATH=str(tmp_path))
    supervised.supervisor.start()
    assert "broken installation" in str(supervised.failures.get(timeout=PATIENCE))
    lines: list[str] = []
    while not supervised.lines.empty():
        lines.append(supervised.lines.get())
    assert sum("broken installation" in line for line in lines) == MAX_QUICK_EXITS
    supervised.supervisor.stop()


def test_stop_between_two_starts(tmp_path: Path) -> None:
    """No operator is started after `stop`."""
    supervised = Supervised(tmp_path, KUBEMR_APISERVER="no address")
    supervised.supervisor.start()
    supervised.supervisor.stop()
    supervised.supervisor.start()
    assert supervised.supervisor.pid is None
