"""The processes of pods as this machine sees them: found by their environment, struck by id, cut off by address.

All of it is confined to the nodes' own control groups and network namespaces.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.cluster_machine import processes
from support.cluster_node import Node
from support.workerharness import wait_for_end

TABLE = "e2e-faults"


@dataclass(frozen=True)
class PodProcess:
    """One process in a container."""

    pid: int
    command: str
    environ: Mapping[str, str]

    @property
    def is_child(self) -> bool:
        """Of a worker's two processes, the one that runs user code."""
        return "KUBEMR_CHILD_FD" in self.environ

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal.  ProcessLookupError when it has ended since: then the fault did not strike."""
        os.kill(self.pid, number)

    def until_ended(self) -> None:
        """Wait until it is no more."""
        wait_for_end(self.pid)


def pod_processes(nodes: list[Node], **environ: str) -> list[PodProcess]:
    """The processes on `nodes` that have all these variables in their environment."""
    found = []
    for pid in sorted(pid for node in nodes for pid in processes(node.site)):
        try:
            there = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
            command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except (FileNotFoundError, ProcessLookupError):
            continue
        variables = dict(line.split("=", 1) for line in there if "=" in line)
        if command and environ.items() <= variables.items():
            found.append(PodProcess(pid, command, variables))
    return found


@contextmanager
def cut_off(node: Node, pod_address: str, server: str) -> Iterator[Callable[[], int]]:
    """In the block, what the pod sends to `server` (`10.199.0.1:6443`) vanishes on its node.

    Gives how many packets have vanished by now; in the end it must have been some.
    """
    host, _, port = server.rpartition(":")
    rule = f"ip saddr {pod_address} ip daddr {host} tcp dport {port} counter drop"

    def vanished() -> int:
        (packets,) = re.findall(r"counter packets (\d+)", node.processes.enter("nft", "list", "table", "inet", TABLE))
        return int(packets)

    node.processes.enter("nft", "add", "table", "inet", TABLE)
    try:
        # After the translation of service addresses, so it is the server's own address that counts.
        chain = "{ type filter hook forward priority 10; policy accept; }"
        node.processes.enter("nft", f"add chain inet {TABLE} forward {chain}")
        node.processes.enter("nft", f"add rule inet {TABLE} forward {rule}")
        yield vanished
        assert vanished(), f"{pod_address} sent nothing to {server} while it was cut off"
    finally:
        node.processes.enter("nft", "delete", "table", "inet", TABLE)
