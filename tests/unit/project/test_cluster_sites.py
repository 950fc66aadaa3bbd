"""Clusters of different numbers, and the nodes of one, share no address, device, control group or folder."""

from __future__ import annotations

import ipaddress
from itertools import combinations

import pytest

from support.cluster_site import CLUSTERS, NODES, ClusterSite, NodeSite

SITES = [ClusterSite(number) for number in range(CLUSTERS)]


def networks(site: ClusterSite) -> list[ipaddress.IPv4Network]:
    """All networks of a cluster: machine and nodes, each node's pods, services."""
    named = [f"{site.host}/24", *(node.pods for node in site.nodes), site.services]
    return [ipaddress.IPv4Network(name, strict=False) for name in named]


def test_no_two_networks_overlap() -> None:
    every = [network for site in SITES for network in networks(site)]
    assert len(every) == CLUSTERS * (NODES + 2)
    assert [pair for pair in combinations(every, 2) if pair[0].overlaps(pair[1])] == []


@pytest.mark.parametrize("site", SITES, ids=str)
def test_addresses_lie_in_the_networks_that_are_routed(site: ClusterSite) -> None:
    nodes, *pods, services = networks(site)
    assert all(ipaddress.ip_address(node.address) in nodes for node in site.nodes)
    assert all(network.subnet_of(ipaddress.IPv4Network(site.pods)) for network in pods)
    assert ipaddress.ip_address(site.service_of_apiserver) in services


def test_nodes_share_no_device_control_group_or_folder() -> None:
    nodes: list[NodeSite] = [node for site in SITES for node in site.nodes]
    for what in ("device", "control_group", "folder"):
        assert len({getattr(node, what) for node in nodes}) == len(nodes), what
    assert all(len(node.device) < 16 for node in nodes)  # what Linux allows


@pytest.mark.parametrize("number", ["4", "-1", "one", "1.0"])
def test_a_number_without_room_is_refused_by_name(number: str) -> None:
    with pytest.raises(ValueError, match=f"KUBEMR_CLUSTER is '{number}': must be a number from 0 to 3"):
        ClusterSite.from_environment({"KUBEMR_CLUSTER": number})


def test_without_a_number_it_is_the_first() -> None:
    assert ClusterSite.from_environment({}) == ClusterSite(0)
