"""Where on this machine a cluster is: its number decides addresses, devices, control groups and the work folder.

Clusters of different numbers (`KUBEMR_CLUSTER`, 0 unless set) share nothing but the programs and the images' archives,
so several can run side by side.  Each has the sixty-four networks 10.199.x.0/24 from x = 64 times its number:

    +0          the machine (.1) and the nodes (.2, .3, …)
    +16 … +31   pods, a /22 for each node
    +32 … +47   services
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.binaries import cache

CLUSTERS, NODES = 4, 4
"""How many clusters have room on a machine, and how many nodes in each."""

VARIABLE = "KUBEMR_CLUSTER"


@dataclass(frozen=True)
class NodeSite:
    """One node's share: `device` is the machine's end of the wire whose other end is the node's `eth0`, and every
    process of the node is in the control group `control_group`, or below."""

    cluster: ClusterSite
    index: int

    @property
    def is_first(self) -> bool:
        """The first node has the cluster's DNS, and leads to the services; the cluster does not outlive it."""
        return self.index == 0

    @property
    def name(self) -> str:
        """The node's name in Kubernetes."""
        return f"node{self.index + 1}"

    @property
    def address(self) -> str:
        """The node's address."""
        return self.cluster.address(0, self.index + 2)

    @property
    def pods(self) -> str:
        """The network of its pods."""
        return self.cluster.address(16 + 4 * self.index, 0) + "/22"

    @property
    def device(self) -> str:
        """The machine's device."""
        return f"kubemr{self.cluster.number}" + ("" if self.is_first else f"-{self.index + 1}")

    @property
    def control_group(self) -> str:
        """The name of its control group."""
        return self.cluster.name + ("" if self.is_first else f"-{self.name}")

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.cluster.folder if self.is_first else self.cluster.folder / self.name


@dataclass(frozen=True)
class ClusterSite:
    """One cluster's share of the machine."""

    number: int = 0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> ClusterSite:
        """The one that `KUBEMR_CLUSTER` names."""
        text = environ.get(VARIABLE) or "0"
        if not text.isdecimal() or int(text) >= CLUSTERS:
            raise ValueError(f"{VARIABLE} is {text!r}: must be a number from 0 to {CLUSTERS - 1}")
        return cls(int(text))

    @property
    def name(self) -> str:
        """What its control groups' names begin with."""
        return "kubemr" if self.number == 0 else f"kubemr-{self.number}"

    @property
    def folder(self) -> Path:
        """Where the cluster keeps all its files."""
        return cache().parent / ("cluster" if self.number == 0 else f"cluster-{self.number}")

    def address(self, third: int, fourth: int) -> str:
        """An address in the cluster's `third` network."""
        return f"10.199.{64 * self.number + third}.{fourth}"

    @property
    def host(self) -> str:
        """The machine's address; the control plane and S3 listen on it."""
        return self.address(0, 1)

    @property
    def pods(self) -> str:
        """The network of all pods; the machine reaches each through its node."""
        return self.address(16, 0) + "/20"

    @property
    def services(self) -> str:
        """The network of services; the machine reaches them through the first node."""
        return self.address(32, 0) + "/20"

    @property
    def service_of_apiserver(self) -> str:
        """The address of the service `kubernetes`: the first of its network."""
        return self.address(32, 1)

    def node(self, index: int) -> NodeSite:
        """The share of the node with this index, from 0."""
        if not 0 <= index < NODES:
            raise ValueError(f"node {index + 1}: a cluster has room for {NODES}")
        return NodeSite(self, index)

    @property
    def nodes(self) -> list[NodeSite]:
        """The shares of all nodes that there might be."""
        return [self.node(index) for index in range(NODES)]
