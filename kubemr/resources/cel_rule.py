"""Rules that a schema's keywords cannot express, written twice side by side: in CEL and in Python.

The CEL goes into the CRD (`x-kubernetes-validations`), so that the apiserver rejects a mistake at `kubectl create`.
The Python does the same where there is no apiserver: in the command line, the operator and the embedded apiserver.  The
tests compare both on a real apiserver.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeAlias

from attrs import frozen

from kubemr.resources.json_types import Json, Schema

Reason = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"]
Holds: TypeAlias = Callable[[Json], bool]
HoldsAfter: TypeAlias = Callable[[Json, Json], bool]


@frozen(kw_only=True)
class Rule:
    """A condition on one object of the schema (`self` in CEL).

    - `field` is the member that an error names, empty for the object itself.
    - `after` is the function of a transition rule, and takes the new and the old value.
    - `holds` is the function of any other rule.

    Both functions get values whose types the schema has already checked and whose defaults are filled in.
    """

    cel: str
    message: str
    remedy: str
    field: str = ""
    reason: Reason = "FieldValueInvalid"
    holds: Holds | None = None
    after: HoldsAfter | None = None

    def to_schema(self) -> Schema:
        """Return the entry of `x-kubernetes-validations`."""
        entry = {"rule": self.cel, "message": f"{self.message}; {self.remedy}", "reason": self.reason}
        return {**entry, "fieldPath": f".{self.field}"} if self.field else entry


def rules_of(cls: type) -> tuple[Rule, ...]:
    """Return the rules of a resource type; a type without `RULES` has none."""
    rules: tuple[Rule, ...] = getattr(cls, "RULES", ())
    return rules


def exactly_one(*members: str) -> Rule:
    """Require one of the members, and only one (a union by members)."""
    listed = ", ".join(f"has(self.{member})" for member in members)
    names = " or ".join(members)
    return Rule(
        cel=f"[{listed}].exists_one(given, given)",
        message=f"exactly one of {', '.join(members)} is needed" if len(members) > 1 else f"{names} is needed",
        remedy=f"give {names}",
        holds=lambda value: sum(member in value for member in members) == 1,
    )


def unchanged(key: str, restart: bool) -> Rule:
    """Forbid that the member changes, appears or vanishes; with `restart`, except when `restarts` is raised."""
    # Not `self.?x == oldSelf.?x`: the apiserver cannot estimate the size of an optional, and rejects the CRD.
    cel = f"has(self.{key}) == has(oldSelf.{key}) && (!has(self.{key}) || self.{key} == oldSelf.{key})"
    message, remedy = f"{key} cannot change after creation", "delete the job and create it again"
    if restart:
        cel = f"self.restarts > oldSelf.restarts || ({cel})"
        message = f"{key} may change only together with a retry"
        remedy = "raise restarts in the same change, or create a new job"
    return Rule(
        cel=cel,
        message=message,
        remedy=remedy,
        field=key,
        reason="FieldValueForbidden",
        after=lambda new, old: bool(
            ((key in new) == (key in old) and new.get(key) == old.get(key))
            or (restart and new.get("restarts", 0) > old.get("restarts", 0))
        ),
    )


def only_grows(key: str) -> Rule:
    """Forbid that the member, a number, decreases."""
    return Rule(
        cel=f"self.{key} >= oldSelf.{key}",
        message=f"{key} may only be raised",
        remedy="give the old value or a larger one",
        field=key,
        reason="FieldValueForbidden",
        after=lambda new, old: bool(new.get(key, 0) >= old.get(key, 0)),
    )
