"""A container gets the variables that a kubelet would give it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kubemr.coordination.kinds import CONFIG_MAPS, SECRETS
from kubemr.local.node.container_env import ContainerConfigError, command, environment
from kubemr.locks.effects import Resource

POD = {
    "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"a/b": "c"}, "annotations": {}},
    "spec": {"nodeName": "local"},
}
OBJECTS: dict[tuple[Resource, str], Any] = {
    (CONFIG_MAPS, "one"): {"data": {"A": "1", "B": "2"}},
    (CONFIG_MAPS, "two"): {"data": {"B": "3"}},
    (SECRETS, "keys"): {"data": {"K": base64.b64encode(b"secret").decode()}},
}


def variables(**container: Any) -> dict[str, str]:
    return environment(container, POD, lambda resource, name: OBJECTS.get((resource, name)))


def test_sources_in_order_and_entries_over_them() -> None:
    """A later source overrides an earlier one; an entry overrides all sources."""
    sources = [{"configMapRef": {"name": name}} for name in ("one", "two")]
    assert variables(envFrom=sources) == {"A": "1", "B": "3"}
    assert variables(envFrom=sources, env=[{"name": "B", "value": "x"}])["B"] == "x"


def test_secrets_are_decoded_and_prefixed() -> None:
    """`data` of a secret is base64; `prefix` is put before the names."""
    assert variables(envFrom=[{"prefix": "S_", "secretRef": {"name": "keys"}}]) == {"S_K": "secret"}


def test_single_keys_and_fields() -> None:
    """`valueFrom` reads a key of a config map or secret, or a field of the pod."""
    entries = [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "one", "key": "A"}}},
        {"name": "K", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "K"}}},
        {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "L", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['a/b']"}}},
        {"name": "NOT", "valueFrom": {"secretKeyRef": {"name": "no", "key": "K", "optional": True}}},
    ]
    assert variables(env=entries) == {"A": "1", "K": "secret", "N": "p", "L": "c"}


def test_references_to_other_variables() -> None:
    """`$(NAME)` refers to an earlier variable; `$$(NAME)` and unknown names stay as text."""
    entries = [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "$(A)$(A) $$(A) $(C)"},
        {"name": "EMPTY"},
    ]
    assert variables(env=entries) == {"A": "1", "B": "11 $(A) $(C)", "EMPTY": ""}
    assert command({"command": ["run"], "args": ["$(A)"]}, {"A": "x"}) == ["run", "x"]


@pytest.mark.parametrize(
    ("container", "error"),
    [
        ({"envFrom": [{"configMapRef": {"name": "no"}}]}, "configmaps 'no' not found"),
        ({"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "no"}}}]}, "has no key 'no'"),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]},
            "'status.podIP' is not supported in local mode",
        ),
        ({"env": [{"name": "A", "valueFrom": {"resourceFieldRef": {}}}]}, "resourceFieldRef is not supported"),
    ],
)
def test_what_cannot_be_given(container: dict[str, Any], error: str) -> None:
    """The error names the variable or the object."""
    with pytest.raises(ContainerConfigError, match=error):
        variables(**container)


def test_optional_sources_may_be_missing() -> None:
    """They then add no variables."""
    assert variables(envFrom=[{"configMapRef": {"name": "no", "optional": True}}]) == {}


@pytest.mark.parametrize("container", [{"command": "python w.py"}, {"command": ["a"], "args": "b"}, {"command": [1]}])
def test_a_command_is_a_list_of_strings(container: Any) -> None:
    """A string is not taken for a list of letters."""
    with pytest.raises(ContainerConfigError, match="is not a list of strings"):
        command(container, {})
