"""Parse and check the query parameters and `DeleteOptions` of a request."""

from __future__ import annotations

from collections.abc import Mapping

from attr import frozen

from kubemr.local.apiserver.errors import Cause, bad_request, invalid, server_error
from kubemr.local.apiserver.go_json import spell_str
from kubemr.locks.effects import Json

TRUE = frozenset(("true", "1", "True", "TRUE", "t", "T"))


def _options_invalid(what: str, *causes: Cause) -> Exception:
    return invalid("meta.k8s.io", what, "", causes)


def number(query: Mapping[str, str], key: str) -> int:
    """Return an integer parameter; 0 if it is not given."""
    text = query.get(key, "")
    try:
        return int(text or 0)
    except ValueError:
        raise bad_request(f"strconv.ParseInt: parsing {spell_str(text)}: invalid syntax") from None


def flag(query: Mapping[str, str], key: str) -> bool:
    """Return a boolean parameter."""
    return query.get(key, "") in TRUE


def dry_run(query: Mapping[str, str]) -> bool:
    """Decide whether the request must store nothing."""
    return bool(query.get("dryRun"))


_MATCHES = ("Exact", "NotOlderThan", "")


def check_list_query(query: Mapping[str, str], watch: bool) -> None:
    """Reject combinations of list parameters that the real server rejects."""
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    initial = query.get("sendInitialEvents", "")

    def forbid(field: str, why: str) -> None:
        raise _options_invalid("ListOptions", Cause("FieldValueForbidden", f"Forbidden: {why}", field))

    if watch and initial:
        if match != "NotOlderThan":
            why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            causes = [Cause("FieldValueForbidden", why, "resourceVersionMatch")]
            if match:
                why = f'Unsupported value: {spell_str(match)}: supported values: "NotOlderThan"'
                causes.append(Cause("FieldValueNotSupported", why, "resourceVersionMatch"))
            raise _options_invalid("ListOptions", *causes)
        return
    if initial:
        forbid("sendInitialEvents", "sendInitialEvents is forbidden for list")
    if not match:
        return
    if watch:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        forbid("resourceVersionMatch", why)
    if not version:
        forbid("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
    if query.get("continue"):
        forbid("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided")
    if match not in _MATCHES:
        supported = ", ".join(map(spell_str, _MATCHES))
        why = f"Unsupported value: {spell_str(match)}: supported values: {supported}"
        raise _options_invalid("ListOptions", Cause("FieldValueNotSupported", why, "resourceVersionMatch"))
    if match == "Exact" and version == "0":
        forbid("resourceVersionMatch", 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')


def resource_version(text: str, watch: bool = False) -> int | None:
    """Return a resourceVersion parameter; None if it is not given."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    shown = spell_str(text)
    why = f"resourceVersion: Invalid value: {shown}: strconv.ParseUint: parsing {shown}: invalid syntax"
    if watch:
        raise server_error(why)
    raise bad_request(f"invalid resource version: {why}")


@frozen
class DeleteOptions:
    """How to delete; `uid` and `version` are preconditions, `policy` is empty if it is not given."""

    policy: str = ""
    uid: str | None = None
    version: str | None = None
    grace: int | None = None
    dry_run: bool = False


_POLICIES = ("Foreground", "Background", "Orphan")


def delete_options(body: Json, query: Mapping[str, str]) -> DeleteOptions:
    """Parse the options from the body, or from the query if there is no body."""
    given: Mapping[str, Json] = body or query
    policy = given.get("propagationPolicy") or ""
    orphan = given.get("orphanDependents")
    if orphan is not None and policy:
        why = f"Invalid value: {spell_str(policy)}: orphanDependents and deletionPropagation cannot be both set"
        raise _options_invalid("DeleteOptions", Cause("FieldValueInvalid", why, "propagationPolicy"))
    if policy and policy not in _POLICIES:
        supported = ", ".join(map(spell_str, (*_POLICIES, "nil")))
        why = f"Unsupported value: {spell_str(policy)}: supported values: {supported}"
        raise _options_invalid("DeleteOptions", Cause("FieldValueNotSupported", why, "propagationPolicy"))
    if orphan is not None:
        policy = "Orphan" if orphan in (True, *TRUE) else "Background"
    conditions = given.get("preconditions") or {}
    grace = given.get("gracePeriodSeconds")
    return DeleteOptions(
        policy,
        conditions.get("uid"),
        conditions.get("resourceVersion"),
        None if grace is None else int(grace),
        bool(given.get("dryRun") or query.get("dryRun")),
    )
