"""Build the `Status` documents of errors, one function for each.

An error is raised in the core as an `ApiError` and becomes an `Answer` in `ApiServer.handle`.
The texts are the real server's (Kubernetes 1.36, `apimachinery/pkg/api/errors`).
"""

from __future__ import annotations

from collections.abc import Sequence

from attr import frozen

from kubemr.locks.effects import Answer, Json


class ApiError(Exception):
    """A rejected request; `status` is the HTTP status and `body` the `Status` document."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(body["message"])
        self.status = status
        self.body = body

    def answer(self) -> Answer:
        """Return the error as the answer that the client gets."""
        retry = self.body.get("details", {}).get("retryAfterSeconds")
        return Answer(self.status, self.body, retry_after=float(retry) if retry else None)


@frozen
class Cause:
    """An entry of `details.causes`: `reason` (e.g. `FieldValueInvalid`), `message` without the field, `field`."""

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
    """Return `plural.group`, as messages name a resource; only the plural in the core group."""
    return f"{plural}.{group}" if group else plural


def bad_request(message: str) -> ApiError:
    """Return a 400: the request makes no sense, whatever is stored."""
    return _api_error(400, "BadRequest", message)


def not_found(group: str, plural: str, name: str) -> ApiError:
    """Return a 404: there is no object of that name."""
    return _api_error(404, "NotFound", f'{qualified(group, plural)} "{name}" not found', _details(name, group, plural))


def already_exists(group: str, plural: str, name: str, being_deleted: bool) -> ApiError:
    """Return a 409 for a create: an object has that name; it may be `being_deleted`."""
    message = (
        f'{"object is being deleted: " if being_deleted else ""}{qualified(group, plural)} "{name}" already exists'
    )
    return _api_error(409, "AlreadyExists", message, _details(name, group, plural))


def conflict(group: str, plural: str, name: str, why: str) -> ApiError:
    """Return a 409 for a write: a version or a uid differs from the stored one."""
    message = f'Operation cannot be fulfilled on {qualified(group, plural)} "{name}": {why}'
    return _api_error(409, "Conflict", message, _details(name, group, plural))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def forbidden(group: str, plural: str, name: str, why: str, causes: Sequence[Cause] = ()) -> ApiError:
    """Return a 403: an admission rule rejects the request."""
    message = f'{qualified(group, plural)} "{name}" is forbidden: {why}'
    return _api_error(403, "Forbidden", message, _details(name, group, plural, causes=_cause_documents(causes)))


def _cause_documents(causes: Sequence[Cause]) -> list[Json]:
    return [{"reason": c.reason, "message": c.message, "field": c.field} for c in causes]


def invalid(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """Return a 422: the object breaks rules.

    Every broken rule is a cause.  Repeated texts appear once in the message.
    """
    texts = list(dict.fromkeys(f"{c.field}: {c.message}" for c in causes))
    listed = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    message = f'{qualified(group, kind)} "{name}" is invalid: {listed}'
    return _api_error(422, "Invalid", message, _details(name, group, kind, causes=_cause_documents(causes)))


def patch_failed() -> ApiError:
    """Return a 422: a JSON Patch does not apply.

    The server does not say which operation failed, nor that it was a `test`.
    """
    return _api_error(422, "Invalid", "the server rejected our request due to an error in our request", {})


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    """Return a 415: the verb does not accept a body of this type."""
    message = "the body of the request was in an unknown format - accepted media types include: "
    return _api_error(415, "UnsupportedMediaType", message + ", ".join(accepted))


def method_not_allowed(verb: str) -> ApiError:
    """Return a 405: the resource has no such verb."""
    what = "the server does not allow this method on the requested resource"
    return _api_error(405, "MethodNotAllowed", what, {})


def too_large(why: str) -> ApiError:
    """Return a 413: there are too many operations or bytes."""
    return _api_error(413, "RequestEntityTooLarge", f"Request entity too large: {why}")


def server_error(message: str) -> ApiError:
    """Return a 500 without a reason, which the real server answers to some malformed requests."""
    return _api_error(500, "", message)


def internal_error(message: str) -> ApiError:
    """Return a 500 with the reason InternalError."""
    return _api_error(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def expired(message: str, continuation: str = "") -> ApiError:
    """Return a 410: a resourceVersion or continue token is older than the history that is kept."""
    return _api_error(410, "Expired", message, **({"continue": continuation} if continuation else {}))


def too_new(requested: int, current: int) -> ApiError:
    """Return a 504: this server has not reached the requested resourceVersion."""
    message = f"Timeout: Too large resource version: {requested}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return _api_error(504, "Timeout", message, {"causes": causes, "retryAfterSeconds": 1})


def unauthorized() -> ApiError:
    """Return a 401: the bearer token is missing or wrong."""
    return _api_error(401, "Unauthorized", "Unauthorized")


def no_such_resource() -> ApiError:
    """Return a 404: the URL names no resource.

    The real server sends plain text, see `kubemr.local.apiserver.discovery.page_not_found`.
    """
    return _api_error(404, "NotFound", PAGE_NOT_FOUND)


PAGE_NOT_FOUND = "404 page not found"


def no_such_subresource() -> ApiError:
    """Return a 404: the built-in kind does not have that subresource."""
    return _api_error(404, "NotFound", "the server could not find the requested resource", {})
