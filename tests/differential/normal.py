"""What of two transcripts must be equal: everything but what no two servers can share.

=============================  ==============================================================================
differs                        becomes
=============================  ==============================================================================
uids                           `uid-1`, `uid-2`, … in the order in which they appear
resourceVersions of objects    `rv-1`, … in the order of the numbers: equal stays equal, later stays later
resourceVersions of lists      `rv-list`; checked to be no older than what is in the list
timestamps                     `<time>`
generated names                `<prefix><generated-1>`
continue tokens                `<continue>`
order of `causes`              sorted, as the real server's order changes from one time to the next
repeated causes                once: the real server checks metadata up to four times on an update, and lists each
`managedFields`                dropped: the embedded server keeps none
the document in `patch: …`     `<document>`: it holds the managedFields
pods and Jobs                  the defaults of the real server that are listed in `DEFAULTS` are dropped
=============================  ==============================================================================
"""

from __future__ import annotations

import json
import re
from typing import Any

TIMES = ("creationTimestamp", "deletionTimestamp")

DEFAULTS: dict[str, Any] = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "Always",
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "priority": 0,
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
    "qosClass": "BestEffort",
    "serviceAccount": "default",
    "serviceAccountName": "default",
}
"""Defaults of pods that the embedded server does not add: nothing of kubemr reads them."""


class Transcript:
    """The normal form of one server's answers."""

    def __init__(self, answers: list[Any]) -> None:
        answers = [_cleaned(answer) for answer in answers]
        _sort_causes(answers)
        self._replacements: dict[str, str] = {}
        self._collect(answers)
        versions = sorted({int(v) for v in _versions(answers)})
        self._ranks = {str(version): f"rv-{rank}" for rank, version in enumerate(versions, 1)}
        self.answers = [self._walk(answer, "") for answer in answers]

    def _collect(self, node: Any) -> None:
        if isinstance(node, list):
            for item in node:
                self._collect(item)
        elif isinstance(node, dict):
            metadata = node.get("metadata")
            if isinstance(metadata, dict):
                uid, prefix, name = metadata.get("uid"), metadata.get("generateName"), metadata.get("name", "")
                if uid and uid not in self._replacements:
                    self._replacements[uid] = f"uid-{len(self._replacements) + 1}"
                if prefix and name.startswith(prefix) and len(name) == len(prefix) + 5:
                    self._replacements.setdefault(name, f"{prefix}<generated-{len(self._replacements) + 1}>")
            details = node.get("details")
            if isinstance(details, dict) and _generated_badly(details):
                self._replacements[details["name"]] = "<refused generated name>"
            for item in node.values():
                self._collect(item)

    def _walk(self, node: Any, key: str) -> Any:
        if isinstance(node, list):
            return [self._walk(item, key) for item in node]
        if isinstance(node, dict):
            return {name: self._walk(item, name) for name, item in node.items()}
        if not isinstance(node, str):
            return node
        if key in TIMES:
            return "<time>"
        if key == "resourceVersion":
            return self._ranks.get(node, node)
        for text, shown in self._replacements.items():
            node = node.replace(text, shown)
        if key == "message":
            node = self._message(node)
        return node

    def _message(self, text: str) -> str:
        if "ResourceVersion in" in text:
            text = re.sub(r"\((\d+)\)", lambda found: f"({self._ranks.get(found[1], found[1])})", text)
        text = re.sub(r"(too old resource version: \d+) \(\d+\)", r"\1 (<oldest>)", text)
        text = re.sub(r"(Too large resource version: \d+), current: \d+", r"\1, current: <current>", text)
        text = re.sub(r'^( "" is invalid: patch: )?Invalid value: "\{.*\}": ', r"\1Invalid value: <document>: ", text)
        text = re.sub(r'(" is invalid: patch: Invalid value: )"\{.*\}": ', r"\1<document>: ", text)
        return re.sub(r"Object 'Kind' is missing in '.*'", "Object 'Kind' is missing in <document>", text)


def _generated_badly(details: Any) -> bool:
    return any(cause.get("field") == "metadata.generateName" for cause in details.get("causes", ()))


def _sort_causes(node: Any) -> None:
    """The real server walks a schema's properties in an order that changes; so causes are compared sorted."""
    for item in node if isinstance(node, list) else node.values() if isinstance(node, dict) else ():
        _sort_causes(item)
    if not isinstance(node, dict) or node.get("reason") != "Invalid" or not (node.get("details") or {}).get("causes"):
        return
    causes = list({json.dumps(cause, sort_keys=True): cause for cause in node["details"]["causes"]}.values())
    node["details"]["causes"] = causes
    texts = sorted({f"{cause.get('field')}: {cause['message']}" for cause in causes})
    start, _, listed = node["message"].partition(" is invalid: ")
    if any(text not in listed for text in texts):
        raise AssertionError(f"the message {node['message']!r} does not hold all of {texts}")
    node["message"] = f"{start} is invalid: {', '.join(texts)}"
    causes.sort(key=lambda cause: (cause.get("field") or "", cause["message"]))


def _versions(node: Any) -> list[str]:
    if isinstance(node, list):
        return [version for item in node for version in _versions(item)]
    if not isinstance(node, dict):
        return []
    found = [version for key, item in node.items() for version in _versions(item)]
    version = node.get("resourceVersion")
    return [*found, version] if isinstance(version, str) and version.isdigit() else found


def _cleaned(node: Any) -> Any:
    """Without what is not compared, list versions checked and hidden, pods and Jobs without known defaults."""
    if isinstance(node, list):
        return [_cleaned(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _cleaned(item) for key, item in node.items() if key != "managedFields"}
    if "items" in node and str(node.get("kind", "")).endswith("List"):
        metadata = dict(node["metadata"])
        newest = max((int(v) for v in _versions(node["items"])), default=0)
        if int(metadata["resourceVersion"]) < newest:
            raise AssertionError(f"a list at {metadata['resourceVersion']} holds an object at {newest}")
        metadata["resourceVersion"] = "rv-list"
        if metadata.get("continue"):
            metadata["continue"] = "<continue>"
        node["metadata"] = metadata
    if node.get("type") == "BOOKMARK":
        metadata = {**node["object"]["metadata"], "resourceVersion": "rv-list"}
        node["object"] = {**node["object"], "metadata": metadata}
    if str(node.get("reason", "")) == "Expired" and node.get("metadata", {}).get("continue"):
        node["metadata"] = {"continue": "<continue>"}
    spec, status = node.get("spec"), node.get("status")
    if isinstance(spec, dict) and ("containers" in spec or "template" in spec or "podReplacementPolicy" in spec):
        node["spec"] = _without_defaults(spec)
        if isinstance(status, dict):
            node["status"] = _without_defaults(status)
    return node


def _without_defaults(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_defaults(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {k: _without_defaults(v) for k, v in node.items() if not (k in DEFAULTS and v == DEFAULTS[k])}
    if "tolerations" in kept and all(t["key"].startswith("node.kubernetes.io/") for t in kept["tolerations"]):
        del kept["tolerations"]  # added by an admission plugin
    return kept


def differences(given: Any, wanted: Any, path: str = "") -> list[str]:
    """Where two normal forms differ: one line for each place."""
    if isinstance(given, dict) and isinstance(wanted, dict):
        keys = sorted({*given, *wanted})
        return [line for key in keys for line in differences(given.get(key), wanted.get(key), f"{path}.{key}")]
    if isinstance(given, list) and isinstance(wanted, list) and len(given) == len(wanted):
        pairs = enumerate(zip(given, wanted, strict=True))
        return [line for index, pair in pairs for line in differences(*pair, f"{path}[{index}]")]
    if type(given) is type(wanted) and given == wanted:
        return []
    return [f"{path}: embedded {_text(given)}, real {_text(wanted)}"]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
