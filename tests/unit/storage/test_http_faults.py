"""What web servers do, and what is made of it."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest

from kubemr.storage import (
    AccessDeniedError,
    HttpStore,
    NoSuchKeyError,
    NotSupportedError,
    ObjectChangedError,
    ReadOnlyError,
    Retrier,
    StorageError,
    TransientError,
    fetch,
    open_input,
)
from support.webservers import Exchange, ScriptedServer, Step, etag, reset, respond, serve, serving

Start = Callable[..., ScriptedServer]
DATA = bytes(range(256)) * 4096


@pytest.mark.parametrize("fault", [respond(500), respond(502), respond(503), respond(504), respond(429), reset])
def test_what_may_pass_is_tried_again(scripted: Start, retrier: Retrier, fault: Step) -> None:
    """The second attempt succeeds."""
    server = scripted(fault, serving(DATA))
    assert HttpStore(server.url, retrier).get("k") == DATA


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, AccessDeniedError),
        (403, AccessDeniedError),
        (404, NoSuchKeyError),
        (410, NoSuchKeyError),
        (400, StorageError),
    ],
)
def test_what_will_not_pass_is_an_error_at_once(
    scripted: Start, retrier: Retrier, status: int, kind: type[StorageError]
) -> None:
    """After one request; the error names the server and the path, but no query, which may hold a signature."""
    server = scripted(respond(status))
    with pytest.raises(kind, match=f"open '/a/b' in {server.url}: HTTP {status}") as raised:
        fetch(f"{server.url}/a/b?signature=secret", retrier=retrier)
    assert type(raised.value) is kind
    assert "secret" not in str(raised.value)
    assert len(server.requests) == 1


def test_the_attempts_end(scripted: Start, retrier: Retrier) -> None:
    """The error says how many there were and how long they took."""
    server = scripted(*[respond(503)] * 30)
    with pytest.raises(TransientError, match=r"gave up after 12 attempts in 26\.3 s: HTTP 503"):
        HttpStore(server.url, retrier).get("k")


def test_redirects_are_followed_with_the_range(scripted: Start, retrier: Retrier) -> None:
    """To another path or server."""
    other = scripted(serving(DATA))
    server = scripted(respond(302, b"", {"Location": f"{other.url}/there"}))
    with HttpStore(server.url, retrier).reader("k", 7) as stream:
        assert stream.read() == DATA[7:]
    assert other.requests[0][1] == "/there"
    assert other.requests[0][2]["Range"] == "bytes=7-"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirects_stay_on_the_web(scripted: Start, retrier: Retrier, target: str) -> None:
    """A server must not make us read local files."""
    server = scripted(respond(302, b"", {"Location": target}))
    with pytest.raises(StorageError) as raised:
        HttpStore(server.url, retrier).get("k")
    assert not isinstance(raised.value, TransientError)


def test_redirects_in_a_circle_end(scripted: Start, retrier: Retrier) -> None:
    """They are an error, and no reason to try again."""
    server = scripted(*[respond(302, b"", {"Location": "/k"})] * 30)
    with pytest.raises(StorageError, match="HTTP 302"):
        HttpStore(server.url, retrier).get("k")


@pytest.mark.parametrize("version", [None, 'W/"weak"'])
def test_a_read_that_breaks_off_goes_on(scripted: Start, retrier: Retrier, version: str | None) -> None:
    """By range, in the same version, told apart by a strong ETag or a weak one."""
    headers = {"ETag": version} if version else {}
    server = scripted(serving(DATA, 600_000, headers), reset, serving(DATA, None, headers))
    assert HttpStore(server.url, retrier).get("k") == DATA
    assert server.requests[2][2]["Range"].startswith("bytes=")
    assert server.requests[2][2].get("If-Match") == (None if version else etag(DATA))


def test_a_date_tells_versions_apart_too(scripted: Start, retrier: Retrier) -> None:
    """Servers without ETags are resumed by Last-Modified, and a changed one is noticed."""
    dated = {"ETag": "", "Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT"}
    later = {"ETag": "", "Last-Modified": "Tue, 02 Jan 2024 00:00:00 GMT"}
    server = scripted(serving(DATA, 600_000, dated), serving(DATA, None, dated))
    assert HttpStore(server.url, retrier).get("k") == DATA
    server = scripted(serving(DATA, 600_000, dated), serving(DATA, None, later))
    with pytest.raises(ObjectChangedError, match="02 Jan"):
        HttpStore(server.url, retrier).get("k")


def test_versions_are_never_mixed(scripted: Start, retrier: Retrier) -> None:
    """An object that was replaced in the middle of a read is an error."""
    server = scripted(serving(DATA, 600_000), serving(DATA[::-1]))
    with pytest.raises(ObjectChangedError):
        HttpStore(server.url, retrier).get("k")


def test_without_a_version_nothing_is_resumed(scripted: Start, retrier: Retrier) -> None:
    """A stream that has given bytes away breaks with a reason; one that has not begins again."""
    nameless = {"ETag": ""}
    server = scripted(serving(DATA, 600_000, nameless), serving(DATA, None, nameless))
    with pytest.raises(TransientError, match="no version"), HttpStore(server.url, retrier).reader("k") as stream:  # noqa: PT012
        while stream.read(1000):
            pass
    server = scripted(serving(DATA, 0, nameless), serving(DATA, None, nameless))
    assert HttpStore(server.url, retrier).get("k") == DATA


def test_a_server_without_ranges_is_read_up_to_them(scripted: Start, retrier: Retrier) -> None:
    """It sends the whole object each time, with or without its length."""

    def whole(exchange: Exchange) -> None:
        exchange.answer(200, DATA, {"ETag": etag(DATA)})

    def unknown(exchange: Exchange) -> None:
        exchange.answer(200, DATA, {"Content-Length": ""})

    for step in (whole, unknown):
        for start in (0, 300_000, len(DATA) - 5, len(DATA), len(DATA) + 9):
            with HttpStore(scripted(step).url, retrier).reader("k", start) as stream:
                assert stream.read() == DATA[start:]

    def cut(exchange: Exchange) -> None:
        serve(exchange, DATA, 600_000)

    assert HttpStore(scripted(cut, whole).url, retrier).get("k") == DATA


def test_nothing_is_unpacked(scripted: Start, retrier: Retrier) -> None:
    """A file that a server calls gzip is read as it is stored, and the server is not asked to pack others."""
    packed = gzip.compress(DATA)
    server = scripted(serving(packed, None, {"Content-Encoding": "gzip"}))
    assert HttpStore(server.url, retrier).get("k") == packed
    assert server.requests[0][2]["Accept-Encoding"] == "identity"


def test_the_size_is_found_without_head(scripted: Start, retrier: Retrier) -> None:
    """Where HEAD is refused or tells no length, one byte is asked for; where that tells nothing, all is read."""
    chunked = {"Content-Length": ""}
    for first in (respond(405), respond(403), respond(200, b"", chunked)):
        info = HttpStore(scripted(first, serving(DATA)).url, retrier).stat("k")
        assert info is not None
        assert info.size == len(DATA)
    info = HttpStore(scripted(respond(405), respond(416)).url, retrier).stat("k")
    assert info is not None
    assert info.size == 0
    info = HttpStore(scripted(respond(405), respond(200, DATA, chunked)).url, retrier).stat("k")
    assert info is not None
    assert info.size == len(DATA)


def test_a_web_server_is_read_only(retrier: Retrier) -> None:
    """Every way of writing is refused without a request, and says where to write instead; it cannot be listed."""
    store = HttpStore("http://127.0.0.1:9/", retrier)
    writings: list[Callable[[str], object]] = [
        lambda key: store.put(key, b""),
        lambda key: store.put_file(key, "/dev/null"),
        store.writer,
        store.delete,
        store.delete_prefix,
    ]
    for write in writings:
        with pytest.raises(ReadOnlyError, match=r"'some/key'.*file://"):
            write("some/key")
    with pytest.raises(NotSupportedError, match="cannot be listed"):
        store.list("some/")


def test_check_wants_any_answer(scripted: Start, retrier: Retrier) -> None:
    """A page for the folder is not needed, a server is."""
    HttpStore(scripted(respond(404)).url, retrier).check()
    HttpStore(scripted(respond(200)).url, retrier).check()
    with pytest.raises(TransientError, match="12 attempts"):
        HttpStore(scripted(*[respond(503)] * 12).url, retrier).check()


def test_addresses_are_sent_as_they_are_meant(scripted: Start, retrier: Retrier) -> None:
    """What is quoted stays so, what has to be is, the query is kept and the fragment is not sent."""
    server = scripted(serving(b"x"))
    with open_input(f"{server.url}/a%20b/ü c?x=1&y=%2F#top", retrier=retrier) as stream:
        assert stream.read() == b"x"
    assert server.requests[0][1] == "/a%20b/%C3%BC%20c?x=1&y=%2F"


@pytest.mark.parametrize("base", ["ftp://host/", "https://", "http://host/?x=1", "http://host/#x"])
def test_what_cannot_be_a_base_is_refused(base: str) -> None:
    """With the address and what is wrong."""
    with pytest.raises(ValueError, match=r"http|query"):
        HttpStore(base)
