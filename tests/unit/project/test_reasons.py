"""Conditions and Events have only the types and reasons of the table in `kubemr.reasons`, which docs/api.md shows.

mypy sees to it that `condition`, `event`, `fail` and `report_blocked` get members of the table.  These tests see to it
that they get the right ones, and that no code goes round the table.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubemr.reasons import ConditionType, Reason

PACKAGE = Path(__file__).parents[3] / "kubemr"
WORDS = {str(word) for word in (*ConditionType, *Reason)}

OTHER_MEANINGS = {
    ("controller/reconcile/workers/pod_problems.py", "Failed"),  # the phase of a pod
    ("controller/reconcile/workers/stuck_pods.py", "Failed"),
    ("local/apiserver/delete.py", "Failed"),
    ("local/node/pod.py", "Failed"),
    ("controller/reconcile/workers/worker_job.py", "Complete"),  # the conditions of a Kubernetes Job
    ("controller/reconcile/workers/worker_job.py", "Failed"),
    ("local/node/node.py", "Complete"),
    ("local/node/node.py", "Failed"),
    ("local/apiserver/errors.py", "Invalid"),  # the reason of a Status of the apiserver
}
"""Where a word of the table stands in kubemr and is Kubernetes' own."""


def sources(package: Path) -> Iterator[tuple[str, ast.Module]]:
    """Yield each module but the table, by its path below `package`."""
    for file in sorted(package.rglob("*.py")):
        if file != package / "reasons.py":
            yield str(file.relative_to(package)), ast.parse(file.read_text())


def literals(package: Path) -> set[tuple[str, str]]:
    """Return the words of the table that stand as string literals, by file."""
    return {
        (path, node.value)
        for path, tree in sources(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in WORDS
    }


def conditions_by_hand(package: Path) -> set[tuple[str, str]]:
    """Return the literal types and reasons of conditions that are written as dicts, by file."""
    found: set[tuple[str, str]] = set()
    for path, tree in sources(package):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Dict):
                continue
            members = {
                key.value: value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant)
            }
            if "lastTransitionTime" in members:
                values = [members[name] for name in ("type", "reason") if name in members]
                found |= {(path, str(value.value)) for value in values if isinstance(value, ast.Constant)}
    return found


def named(node: ast.expr) -> ConditionType | Reason | None:
    """Return the member of the table that an expression such as `Reason.VALID` names."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        table = {"ConditionType": ConditionType, "Reason": Reason}.get(node.value.id)
        return None if table is None else table[node.attr]
    return None


def misused(package: Path) -> set[tuple[str, str, str]]:
    """Return the calls by which a reason is written that the table does not have for them: file, function, reason."""
    found: set[tuple[str, str, str]] = set()
    for path, tree in sources(package):
        for call in ast.walk(tree):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
                continue
            arguments = [named(each) for each in (*call.args, *(keyword.value for keyword in call.keywords))]
            kinds = {each for each in arguments if isinstance(each, ConditionType)}
            events = call.func.id in ("event", "report_blocked")
            kinds |= {"fail": {ConditionType.FAILED}, "report_blocked": {ConditionType.DEPLOYED}}.get(
                call.func.id, set()
            )
            for reason in (each for each in arguments if isinstance(each, Reason)):
                if not kinds <= set(reason.conditions) or (events and reason.event is None):
                    found.add((path, call.func.id, reason.name))
    return found


def used(package: Path) -> set[str]:
    """Return the names of all members of the table that some module names."""
    return {
        f"{type(member).__name__}.{member.name}"
        for _, tree in sources(package)
        for node in ast.walk(tree)
        if isinstance(node, ast.expr) and (member := named(node)) is not None
    }


def write(root: Path, text: str) -> Path:
    """Write a package of one module."""
    (root / "a.py").write_text(text)
    return root


def test_no_word_of_the_table_stands_anywhere_else() -> None:
    """But where it is one of Kubernetes' own."""
    assert literals(PACKAGE) == OTHER_MEANINGS


def test_no_condition_is_written_by_hand_with_a_word_of_its_own() -> None:
    """Not even one that the table lacks.  (Of other kinds of objects there are some: a local node plays Kubernetes.)"""
    assert {each for each in conditions_by_hand(PACKAGE) if not each[0].startswith("local/")} == set()


def test_every_reason_is_written_where_the_table_has_it() -> None:
    """As the reason of that condition, and as that of an Event."""
    assert misused(PACKAGE) == set()


def test_every_word_of_the_table_is_written() -> None:
    """A word that no code names is not documented."""
    members = {f"{type(member).__name__}.{member.name}" for member in (*ConditionType, *Reason)}
    assert used(PACKAGE) == members


def test_pods_block_a_job_by_reasons_of_the_condition_deployed() -> None:
    """These reasons are chosen by what Kubernetes says of the pods, so no call names them."""
    tree = ast.parse((PACKAGE / "controller/reconcile/workers/pod_problems.py").read_text())
    reasons = {
        each for node in ast.walk(tree) if isinstance(node, ast.expr) and isinstance(each := named(node), Reason)
    }
    assert len(reasons) > 10
    assert {each for each in reasons if (each.conditions, each.event) != ((ConditionType.DEPLOYED,), "Warning")} == {
        Reason.DEPLOYED  # what it is compared with
    }


@pytest.mark.parametrize("word", [*ConditionType, *Reason], ids=lambda word: f"{type(word).__name__}.{word.name}")
def test_words_are_such_as_kubernetes_accepts(word: ConditionType | Reason) -> None:
    """In camel case, as `metav1.Condition` wants them; each with a meaning in one line of a table."""
    assert re.fullmatch(r"([A-Z][a-z0-9]*)+", word)
    assert word.name == re.sub(r"(?<!^)(?=[A-Z])", "_", word).upper()
    assert re.fullmatch(r"[A-Z][^|\n]+\.", word.meaning)


@pytest.mark.parametrize(
    ("text", "finder", "expected"),
    [
        ("x = {'reason': 'Deployed'}", literals, {("a.py", "Deployed")}),
        ("x = {'reason': 'Strange'}", literals, set()),
        (
            "x = {'type': 'New', 'reason': why, 'lastTransitionTime': now}",
            conditions_by_hand,
            {("a.py", "New")},
        ),
        (
            "x = {'type': Reason.VALID.value, 'reason': 'Strange', 'lastTransitionTime': now}",
            conditions_by_hand,
            {("a.py", "Strange")},
        ),
        ("x = {'type': kind.value, 'reason': reason.value, 'lastTransitionTime': now}", conditions_by_hand, set()),
        ("event(job, Reason.TASK_FAILED, 'm', now)", misused, {("a.py", "event", "TASK_FAILED")}),
        ("event(job, Reason.ACCEPTED, 'm', now)", misused, set()),
        ("fail(job, 'm', now, Reason.VALID)", misused, {("a.py", "fail", "VALID")}),
        ("fail(job, 'm', now, reason=Reason.VALID)", misused, {("a.py", "fail", "VALID")}),
        ("fail(job, 'm', now, Reason.SHARD_DELETED)", misused, set()),
        ("condition(job, ConditionType.FAILED, Reason.VALID, 'm', now)", misused, {("a.py", "condition", "VALID")}),
        ("condition(job, ConditionType.VALID, Reason.VALID, 'm', now)", misused, set()),
        ("report_blocked(job, c, Reason.FAILED, 'm')", misused, {("a.py", "report_blocked", "FAILED")}),
        ("report_blocked(job, c, Reason.LISTING_INPUTS, 'm')", misused, {("a.py", "report_blocked", "LISTING_INPUTS")}),
        ("report_blocked(job, c, Reason.NO_PODS_CREATED, 'm')", misused, set()),
        ("f(Reason.VALID, ConditionType.FAILED)", used, {"Reason.VALID", "ConditionType.FAILED"}),
    ],
)
def test_what_these_tests_look_for_is_found(tmp_path: Path, text: str, finder: object, expected: object) -> None:
    assert callable(finder)
    assert finder(write(tmp_path, text)) == expected
