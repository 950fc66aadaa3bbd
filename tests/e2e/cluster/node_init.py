"""The first process of the node: it gives the node folders of its own, and keeps its programs running.

It runs as process 1 of process, mount and network namespaces of their own, so that the node is a machine in the
machine: what is mounted, configured or started in it is invisible outside, and the kernel removes all of it when this
process ends, in whatever way it ends.

    unshare --pid --mount --net --fork --kill-child python3 node_init.py WORKFOLDER

It makes the mounts, writes `mounted` into its log, and waits for `WORKFOLDER/components.json`: a list of objects with
`name`, `command` and `after` (paths that must exist before), in the order of starting.  A program that ends is started
again after a second, as by systemd.  On SIGTERM the programs end in reverse order, then the rest.

The standard library only, and whatever Python runs the tests.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PRIVATE = ("/var/lib/cni", "/var/lib/containerd", "/var/lib/kubelet", "/var/log")
"""Folders that the node's programs are used to: here they are folders of the work folder."""

GRACE = 5.0
RESTART_AFTER = 1.0
MS_BIND, MS_REC, MS_SHARED = 0x1000, 0x4000, 0x100000

_libc = ctypes.CDLL(ctypes.util.find_library("c"), use_errno=True)


def mount(source: str, target: str, kind: str | None = None, flags: int = 0) -> None:
    """mount(2), with an error that says what could not be mounted."""
    if _libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, flags, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot mount {source} on {target}: {os.strerror(number)}")


def prepare(folder: Path) -> None:
    """The mounts and kernel settings of the node, seen by nobody else."""
    mount("none", "/", flags=MS_SHARED | MS_REC)  # the kubelet's mounts reach containers; none reaches the machine
    mount("proc", "/proc", "proc")
    for path in PRIVATE:
        own = folder / "node" / path.strip("/").replace("/", "-")
        own.mkdir(parents=True, exist_ok=True)
        Path(path).mkdir(parents=True, exist_ok=True)
        mount(str(own), path, flags=MS_BIND)
    mount("tmpfs", "/run", "tmpfs")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


class Component:
    """One program of the node, running or waiting for its next start."""

    def __init__(self, folder: Path, name: str, command: list[str], after: list[str]) -> None:
        self.name = name
        self._command = command
        self._after = [Path(path) for path in after]
        self._log = folder / "logs" / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0

    @property
    def pid(self) -> int | None:
        """Its process id in this namespace."""
        return self._process.pid if self._process else None

    def start_if_due(self) -> None:
        """Start it, when it does not run and what it needs is there."""
        if self._process or time.monotonic() < self._not_before or not all(path.exists() for path in self._after):
            return
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        say(f"{self.name} runs as {self.pid}")

    def ended(self, status: int) -> None:
        """Take note of its end."""
        say(f"{self.name} ended with status {os.waitstatus_to_exitcode(status)}")
        self._process = None
        self._not_before = time.monotonic() + RESTART_AFTER

    def stop(self) -> None:
        """End it by its own process id."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        self._process.send_signal(signal.SIGCONT)
        try:
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        say(f"{self.name} ended when told to")


def say(event: str) -> None:
    """One line into the node's log, with the seconds since the machine started."""
    print(f"{time.monotonic():.2f} {event}", flush=True)


def reap(components: list[Component]) -> None:
    """Take note of every process that ended: our own, and those that lost their parent."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        for component in components:
            if component.pid == pid:
                component.ended(status)


def main() -> None:
    """Run the node until SIGTERM."""
    folder = Path(sys.argv[1])
    told_to_end: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: told_to_end.append(number))  # blocked, it would be so in Go too
    prepare(folder)
    say("mounted")
    description = folder / "components.json"
    components: list[Component] = []
    while not told_to_end:
        time.sleep(0.1)
        reap(components)
        if not components and description.exists():
            parts: list[dict[str, Any]] = json.loads(description.read_text())
            components = [Component(folder, **part) for part in parts]
        for component in components:
            component.start_if_due()
    for component in reversed(components):
        component.stop()
    say("ended")


if __name__ == "__main__":
    main()
