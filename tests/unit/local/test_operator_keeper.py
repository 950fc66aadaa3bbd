"""The operator's process is started again when it dies, and given up when that is hopeless."""

from __future__ import annotations

import os
import queue
import signal
from pathlib import Path

from kubemr.local.operator_process import MAX_QUICK_EXITS, OperatorFailedError, OperatorSupervisor
from kubemr.local.output_log import OutputLog
from support.embeddedclient import Api
from support.workerharness import PATIENCE, ROOT, wait_for_end


class Kept:
    """A keeper, and what is heard of it."""

    def __init__(self, directory: Path, **environ: str) -> None:
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.failures: queue.SimpleQueue[Exception] = queue.SimpleQueue()
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self.keeper = OperatorSupervisor(
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
    """And `stop` ends it in an orderly way."""
    kept = Kept(tmp_path, **settings(api, tmp_path))
    kept.keeper.start()
    for _ in range(2):
        kept.wait_for("controller_started")
        pid = kept.keeper.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
    kept.wait_for("controller_started")
    last = kept.keeper.pid
    assert last is not None
    kept.keeper.stop()
    kept.wait_for("operator_stopped")
    wait_for_end(last)
    assert kept.failures.empty()


def test_wrong_settings_are_not_tried_again(tmp_path: Path) -> None:
    """Exit code 2: the next start would not do better."""
    kept = Kept(tmp_path, KUBEMR_APISERVER="http://127.0.0.1:9", KUBEMR_WORKERS="many")
    kept.keeper.start()
    failure = kept.failures.get(timeout=PATIENCE)
    assert isinstance(failure, OperatorFailedError)
    assert "KUBEMR_WORKERS is 'many'" in str(failure)
    kept.keeper.stop()


def test_one_that_cannot_start_is_given_up_after_a_few_times(tmp_path: Path) -> None:
    """Rather than tried for ever."""
    (tmp_path / "sitecustomize.py").write_text("import os; os.write(2, b'broken installation\\n'); os._exit(1)")
    kept = Kept(tmp_path, PYTHONPATH=str(tmp_path))
    kept.keeper.start()
    assert "broken installation" in str(kept.failures.get(timeout=PATIENCE))
    lines: list[str] = []
    while not kept.lines.empty():
        lines.append(kept.lines.get())
    assert sum("broken installation" in line for line in lines) == MAX_QUICK_EXITS
    kept.keeper.stop()


def test_stop_between_two_starts(tmp_path: Path) -> None:
    """No operator is started after `stop`."""
    kept = Kept(tmp_path, KUBEMR_APISERVER="no address")
    kept.keeper.start()
    kept.keeper.stop()
    kept.keeper.start()
    assert kept.keeper.pid is None
