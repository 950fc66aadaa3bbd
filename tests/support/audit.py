"""What accounts did, as the apiserver itself recorded it: its audit log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts"]
- level: None
"""

Right = tuple[str, str]
"""A verb and a resource as Roles spell it: `patch`, `mapreducejobs.turbobytes.com/status`."""


class Audit:
    """The log of one apiserver, in `folder`, which is to be started with `flags`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._log = folder / "audit.log"
        policy = folder / "audit-policy.yaml"
        policy.write_text(POLICY)
        self.flags = (
            f"--audit-policy-file={policy}",
            f"--audit-log-path={self._log}",
            "--audit-log-mode=blocking",
        )

    def events(self, account: str) -> Iterator[dict[str, Any]]:
        """What `<namespace>:<name>` asked for, resources only."""
        for line in self._log.read_text().splitlines():
            event: dict[str, Any] = json.loads(line)
            if event["user"]["username"] == f"system:serviceaccount:{account}" and "objectRef" in event:
                yield event

    def used(self, account: str) -> set[Right]:
        """The rights that it made use of."""
        return {(event["verb"], _resource(event["objectRef"])) for event in self.events(account)}

    def denied(self, account: str) -> set[Right]:
        """The rights that it lacked."""
        return {
            (event["verb"], _resource(event["objectRef"]))
            for event in self.events(account)
            if (event.get("annotations") or {}).get("authorization.k8s.io/decision") != "allow"
        }


def granted(rules: list[Any]) -> set[Right]:
    """The rights of a Role."""
    return {
        (verb, _resource({"resource": resource, "apiGroup": group}))
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _resource(reference: dict[str, str]) -> str:
    plural, _, sub = reference["resource"].partition("/")
    sub = reference.get("subresource") or sub
    group = reference.get("apiGroup") or ""
    return plural + (f".{group}" if group else "") + (f"/{sub}" if sub else "")
