"""Everything that there is on a cluster, of every kind that can be listed, and in a bucket: what was left behind?

Events are left out: they tell what was, Kubernetes removes them after an hour, and its own about pods stay as ours do.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping

from minio import Minio

from support.cluster_access import ClusterAccess, KubectlError, S3Access

TOLD_ELSEWHERE = {
    "events",
    "events.events.k8s.io",  # the same once more
    "componentstatuses",  # asks servers, and holds no objects
    "endpoints",  # deprecated, with a warning; endpointslices say the same
}
PATIENCE = 60.0
"""Seconds that the garbage collector and namespaces may take."""


def inventory(cluster: ClusterAccess) -> dict[str, str]:
    """Every object as JSON, by `<kind> <namespace>/<name>`; in all namespaces, the cluster's own too."""
    while True:
        kinds = set(cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()) - TOLD_ELSEWHERE
        try:
            listed = cluster.get(",".join(sorted(kinds)), "--all-namespaces")["items"]
        except KubectlError as error:
            if "the server doesn't have a resource type" in str(error) or "NotFound" in str(error):
                continue  # a CRD went away between the two questions
            raise
        return {
            f"{item['kind']} {item['metadata'].get('namespace', '')}/{item['metadata']['name']}": json.dumps(item)
            for item in listed
        }


def mentioning(objects: Mapping[str, str], *marks: str) -> list[str]:
    """Those in whose text one of `marks` occurs anywhere: as name, label, owner, argument, …"""
    return sorted(name for name, text in objects.items() if any(mark in text for mark in marks))


def client(s3: S3Access) -> Minio:
    """The S3 server as this machine sees it."""
    host = s3.outside_endpoint.partition("://")[2]
    secure = s3.outside_endpoint.startswith("https")
    return Minio(host, s3.access_key, s3.secret_key, region=s3.region, secure=secure)


def stored(store: Minio, bucket: str) -> list[str]:
    """The keys of all objects in a bucket, and of uploads that were never finished."""
    objects = [str(item.object_name) for item in store.list_objects(bucket, recursive=True)]
    uploads = [f"unfinished {item.object_name}" for item in store._list_multipart_uploads(bucket).uploads]
    return sorted(objects + uploads)


def until_nothing(left: Callable[[], list[str]], seconds: float = PATIENCE) -> None:
    """Ask until nothing is left: what goes by itself takes its time.  AssertionError names what stays."""
    end = time.monotonic() + seconds
    while found := left():
        assert time.monotonic() < end, f"left after {seconds:g} s: {found}"
        time.sleep(0.3)
