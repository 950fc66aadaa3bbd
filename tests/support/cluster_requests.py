"""Requests to the apiserver from inside a pod that runs, with the token that its kubelet gave it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kubemr.locks.effects import JSON_PATCH
from support.cluster_access import ClusterAccess

_CODE = """
import http.client, json, os, pathlib, ssl, sys
account = pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount")
trust = ssl.create_default_context(cafile=str(account / "ca.crt"))
server = http.client.HTTPSConnection(os.environ["KUBERNETES_SERVICE_HOST"], timeout=20, context=trust)
authorization = {"Authorization": "Bearer " + (account / "token").read_text()}
replies = []
for verb, path, body in json.load(sys.stdin):
    kind = sys.argv[1] if verb == "PATCH" else "application/json"
    content = None if body is None else json.dumps(body)
    server.request(verb, path, content, {**authorization, "Content-Type": kind})
    answer = server.getresponse()
    replies.append((answer.status, json.loads(answer.read())))
json.dump(replies, sys.stdout)
"""


@dataclass(frozen=True)
class Question:
    """One request; the body of a PATCH is a JSON Patch."""

    verb: str
    path: str
    body: Any = None


@dataclass(frozen=True)
class Reply:
    """Its answer."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        """In whose words it was refused."""
        return str(self.body.get("message", ""))


def ask(cluster: ClusterAccess, namespace: str, pod: str, questions: Sequence[Question]) -> list[Reply]:
    """What the apiserver answers to the pod, whose image has Python."""
    text = json.dumps([(each.verb, each.path, each.body) for each in questions])
    command = ("-n", namespace, "exec", "-i", pod, "--", "python3", "-c", _CODE, JSON_PATCH)
    return [Reply(*each) for each in json.loads(cluster.kubectl(*command, stdin=text))]
