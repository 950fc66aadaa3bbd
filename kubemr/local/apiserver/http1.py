"""Read HTTP/1.1 requests from a buffer, and write answers as bytes.

It supports what one client per connection needs on loopback: keep-alive, `Content-Length` or chunked bodies, chunked
streams.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from attr import frozen

from kubemr.locks.effects import Json

MAX_HEADERS: Final = 64 * 1024
MAX_BODY: Final = 64 * 1024 * 1024
"""A larger body is not read at all.  Up to here the body is read, and the apiserver rejects it above 3 MiB."""

_REASONS: Final = {
    **{200: "OK", 201: "Created", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"},
    **{405: "Method Not Allowed", 406: "Not Acceptable", 409: "Conflict", 410: "Gone", 413: "Request Entity Too Large"},
    **{
        415: "Unsupported Media Type",
        422: "Unprocessable Entity",
        500: "Internal Server Error",
        504: "Gateway Timeout",
    },
}


class MalformedRequestError(Exception):
    """The bytes are not an HTTP request that this server supports; the connection is closed."""


@frozen
class HttpRequest:
    """An HTTP request; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def keep_alive(self) -> bool:
        """Whether the client will send more requests on this connection."""
        return self.headers.get("connection", "").lower() != "close"


def take_request(buffer: bytearray) -> HttpRequest | None:
    """Remove the first complete request from `buffer` and return it; None if it is not complete yet."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        if len(buffer) > MAX_HEADERS:
            raise MalformedRequestError(f"no end of the headers in {len(buffer)} bytes")
        return None
    lines = buffer[:end].decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise MalformedRequestError(f"{lines[0]!r} is not an HTTP/1 request line")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    start = end + 4
    if headers.get("transfer-encoding", "").lower() == "chunked":
        taken = _take_chunks(buffer, start)
        if taken is None:
            return None
        body, after = taken
    else:
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > MAX_BODY:
            raise MalformedRequestError(f"Content-Length {length!r}; a number up to {MAX_BODY} is expected")
        after = start + int(length)
        if len(buffer) < after:
            return None
        body = bytes(buffer[start:after])
    del buffer[:after]
    return HttpRequest(words[0], words[1], headers, body)


def _take_chunks(buffer: bytearray, at: int) -> tuple[bytes, int] | None:
    parts: list[bytes] = []
    total = 0
    while True:
        end = buffer.find(b"\r\n", at)
        if end < 0:
            return None
        try:
            size = int(bytes(buffer[at:end]).partition(b";")[0], 16)
        except ValueError:
            raise MalformedRequestError(f"{bytes(buffer[at:end])!r} is not the size of a chunk") from None
        total += size
        if total > MAX_BODY:
            raise MalformedRequestError(f"a body of more than {MAX_BODY} bytes")
        if len(buffer) < end + 2 + size + 2:
            return None
        if size == 0:
            return b"".join(parts), end + 4
        parts.append(bytes(buffer[end + 2 : end + 2 + size]))
        at = end + 2 + size + 2


def wants_continue(buffer: bytearray) -> bool:
    """Decide whether the client waits for a `100 Continue` before it sends its body."""
    end = buffer.find(b"\r\n\r\n")
    return end >= 0 and b"100-continue" in bytes(buffer[:end]).lower()


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def json_bytes(body: Json) -> bytes:
    """Return a document as the client receives it."""
    return _encode(body).encode("utf-8", "surrogatepass")


def answer_bytes(status: int, body: bytes, content_type: str = "application/json", extra: str = "") -> bytes:
    """Return a whole answer."""
    reason = _REASONS.get(status, "Status")
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode("latin-1") + body


def stream_head(content_type: str = "application/json") -> bytes:
    """Return the head of a chunked answer."""
    return f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode("latin-1")


STREAM_END: Final = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """Return one chunk of a chunked answer."""
    return b"%x\r\n%b\r\n" % (len(data), data)
