"""Refusals: the `Status` documents that the apiserver answers with, one function each.

A refusal travels through the core as an `ApiError` and becomes an `Answer` in `ApiServer.handle`.
Texts are the real server's (Kubernetes 1.36, `apimachinery/pkg/api/errors`).
"""

from __future__ import annotations

from collections.abc import Sequence

from attr import frozen

from kubemr.locks.effects import Answer, Json


class ApiError(Exception):
    """A refused request; `status` is the HTTP status and `body` the `Status` document."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(body["message"])
        self.status = status
        self.body = body

    def answer(self) -> Answer:
        """The refusal as what the client receives."""
        retry = self.body.get("details", {}).get("retryAfterSeconds")
        return Answer(self.status, self.body, retry_after=float(retry) if retry else None)


@frozen
class Cause:
    """One entry of `details.causes`: `reason` (e.g. `FieldValueInvalid`), `message` without the field, `field`."""

    reason: str
    message: str
    field: str


def _api_error(code: int, reason: str, message: str, details: Json = None, **metadata: str) -> ApiError:
    body: Json = {"kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure", "message": message}
    if reason:
        body["reason"] = reason
    if details is not None:
        body["details"] = details
    body["code"] = code
    return ApiError(code, body)


def _details(name: str, group: str, kind: str, **more: Json) -> Json:
    details = {"name": name, "group": group, "kind": kind, **more}
    return {key: value for key, value in details.items() if value}


def qualified(group: str, plural: str) -> str:
    """`plural.group`, as messages name a resource; the plural alone in the core group."""
    return f"{plural}.{group}" if group else plural


def bad_request(message: str) -> ApiError:
    """400: the request makes no sense, whatever is stored."""
    return _api_error(400, "BadRequest", message)


def not_found(group: str, plural: str, name: str) -> ApiError:
    """404: no object of that name."""
    return _api_error(404, "NotFound", f'{qualified(group, plural)} "{name}" not found', _details(name, group, plural))


def already_exists(group: str, plural: str, name: str, being_deleted: bool) -> ApiError:
    """409 to a create: the name is taken, perhaps by an object that is `being_deleted`."""
    message = (
        f'{"object is being deleted: " if being_deleted else ""}{qualified(group, plural)} "{name}" already exists'
    )
    return _api_error(409, "AlreadyExists", message, _details(name, group, plural))


def conflict(group: str, plural: str, name: str, why: str) -> ApiError:
    """409 to a write: a version or a uid is not the one that is stored."""
    message = f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}'
    return _api_error(409, "Conflict", message, _details(name, group, plural))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def forbidden(group: str, plural: str, name: str, why: str, causes: Sequence[Cause] = ()) -> ApiError:
    """403: an admission rule refuses."""
    message = f'{qualified(group, plural)} "{name}" is forbidden: {why}'
    return _api_error(403, "Forbidden", message, _details(name, group, plural, causes=_cause_documents(causes)))


def _cause_documents(causes: Sequence[Cause]) -> list[Json]:
    return [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422: the object breaks rules; every broken rule is a cause.  Repeated texts appear once in the message."""
    texts = list(dict.fromkeys(f"{c.field}: {c.message}" for c in causes))
    listed = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    message = f'{qualified(group, kind)} "{name}" is invalid: {listed}'
    return _api_error(422, "Invalid", message, _details(name, group, kind, causes=_cause_documents(causes)))


def patch_failed() -> ApiError:
    """422: a JSON Patch does not apply.  The server does not say which operation, nor that it was a `test`."""
    return _api_error(422, "Invalid", "the server rejected our request due to an error in our request", {})


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """415: a body of a type that this verb does not take."""
    message = "the body of the request was in an unknown format - accepted media types include: "
    return _api_error(415, "UnsupportedMediaType", message + ", ".join(accepted))


def method_not_allowed(verb: str) -> ApiError:
    """405: the resource has no such verb."""
    what = "the server does not allow this method on the requested resource"
    return _api_error(405, "MethodNotAllowed", what, {})


def too_large(why: str) -> ApiError:
    """413: too many operations or bytes."""
    return _api_error(413, "RequestEntityTooLarge", f"Request entity too large: {why}")


def server_error(message: str) -> ApiError:
    """500 without a reason: what the real server answers to some malformed requests."""
    return _api_error(500, "", message)


def internal_error(message: str) -> ApiError:
    """500 with the reason InternalError."""
    return _api_error(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def expired(message: str, continuation: str = "") -> ApiError:
    """410: a resourceVersion or continue token is older than the history that is kept."""
    return _api_error(410, "Expired", message, **({"continue": continuation} if continuation else {}))


def too_new(requested: int, current: int) -> ApiError:
    """504: a resourceVersion that this server has not reached."""
    message = f"Timeout: Too large resource version: {requested}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return _api_error(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})


def unauthorized() -> ApiError:
    """401: no bearer token, or another one."""
    return _api_error(401, "Unauthorized", "Unauthorized")


def no_such_resource() -> ApiError:
    """404 for a URL that names no resource (the real server sends plain text; see `plain_text`)."""
    return _api_error(404, "NotFound", PAGE_NOT_FOUND)


PAGE_NOT_FOUND = "404 page not found"


def no_such_subresource() -> ApiError:
    """404 for a subresource that a built-in kind does not have."""
    return _api_error(404, "NotFound", "the server could not find the requested resource", {})
