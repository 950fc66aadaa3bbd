"""Answers of a scripted S3 server when something goes wrong, and how the store handles them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest

from kubemr.storage import (
    AccessDeniedError,
    InvalidKeyError,
    NoSuchBucketError,
    NoSuchKeyError,
    ObjectChangedError,
    Retrier,
    S3Store,
    StorageError,
    StorageFullError,
    TransientError,
)
from kubemr.storage.s3_upload import Upload
from support.webservers import (
    Exchange,
    ScriptedServer,
    Step,
    etag,
    reset,
    respond,
    s3_error,
    serving,
)


class Time(Protocol):
    """The fixture of that name."""

    slept: list[float]


Start = Callable[..., tuple[S3Store, ScriptedServer]]
DATA = bytes(range(256)) * 4096
PART = 5 * 1024 * 1024


def created(exchange: Exchange) -> None:
    """The answer to beginning a multipart upload."""
    body = b"<InitiateMultipartUploadResult><UploadId>U1</UploadId></InitiateMultipartUploadResult>"
    exchange.answer(200, body, {"Content-Type": "application/xml"})


def took_part(exchange: Exchange) -> None:
    """The answer to a part."""
    exchange.answer(200, b"", {"ETag": etag(exchange.sent_body)})


COMPLETED = respond(
    200,
    b'<CompleteMultipartUploadResult><ETag>"x-2"</ETag></CompleteMultipartUploadResult>',
    {"Content-Type": "application/xml"},
)


@pytest.mark.parametrize(
    "fault",
    [
        s3_error(500, "InternalError"),
        s3_error(503, "SlowDown"),
        s3_error(503, "ServiceUnavailable"),
        s3_error(400, "RequestTimeout"),
        s3_error(409, "OperationAborted"),
        s3_error(429, "SomethingUnheardOf"),
        s3_error(503, "SomethingUnheardOf"),
        respond(502, b"<html>bad gateway</html>", {"Content-Type": "text/html"}),
        respond(503),
        respond(504, b"late", {"Content-Type": "text/plain"}),
        reset,
    ],
)
def test_what_may_pass_is_tried_again(scripted_s3: Start, fault: Step) -> None:
    """Each operation succeeds at the second attempt, by exactly one request more."""
    store, server = scripted_s3(fault, serving(DATA), fault, respond(200), fault, respond(204), fault, serving(DATA))
    assert store.get("k") == DATA
    store.put("k", b"x")
    store.delete("k")
    with store.reader("k", 5) as stream:
        assert stream.read() == DATA[5:]
    assert len(server.requests) == 8
    assert server.left == 0


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (s3_error(403, "AccessDenied"), AccessDeniedError, "check the access keys"),
        (s3_error(403, "SignatureDoesNotMatch"), AccessDeniedError, "SignatureDoesNotMatch"),
        (s3_error(403, "InvalidAccessKeyId"), AccessDeniedError, "InvalidAccessKeyId"),
        (s3_error(403, "SomethingUnheardOf"), AccessDeniedError, "SomethingUnheardOf"),
        (s3_error(403, "RequestTimeTooSkewed"), AccessDeniedError, "clock"),
        (s3_error(404, "NoSuchBucket"), NoSuchBucketError, "create the bucket"),
        (s3_error(404, "NoSuchKey"), NoSuchKeyError, "check the key"),
        (s3_error(507, "XMinioStorageFull"), StorageFullError, "make room"),
        (s3_error(507, "SomethingUnheardOf"), StorageFullError, "make room"),
        (respond(507), StorageFullError, "make room"),
        (s3_error(400, "XMinioParentIsObject"), InvalidKeyError, "choose another key"),
        (s3_error(400, "SomethingUnheardOf"), StorageError, "SomethingUnheardOf"),
        (s3_error(301, "PermanentRedirect"), StorageError, "region"),
        (respond(400, b"<not xml", {"Content-Type": "application/xml"}), StorageError, "is an S3 service"),
        (respond(400, b"\xff\xfe", {"Content-Type": "application/xml"}), StorageError, "is an S3 service"),
        (respond(409, b"", {"Content-Type": "application/xml"}), StorageError, "409"),
        (respond(404, b"<html>", {"Content-Type": "text/html"}), StorageError, "404"),
    ],
)
def test_what_will_not_pass_is_an_error_at_once(
    scripted_s3: Start, fault: Step, kind: type[StorageError], said: str
) -> None:
    """After one request, and the error names operation, store, key and remedy."""
    for operation in ("put", "get"):
        store, server = scripted_s3(fault)
        with pytest.raises(kind, match=said) as raised:
            store.put("some/key", b"x") if operation == "put" else store.get("some/key")
        assert type(raised.value) is kind
        assert f"{operation} 'some/key' in s3://bucket at 127.0.0.1" in str(raised.value)
        assert len(server.requests) == 1


def test_retries_are_not_doubled(scripted_s3: Start) -> None:
    """The libraries below make one request per attempt, and the last error tells the number of attempts."""
    store, server = scripted_s3(*[s3_error(503, "SlowDown")] * 30)
    with pytest.raises(TransientError, match=r"gave up after 12 attempts in .* s: SlowDown"):
        store.get("k")
    assert len(server.requests) == 12


def test_retry_after_is_kept(scripted_s3: Start, time: Time) -> None:
    """The wait that the server asks for has priority over the backoff."""
    store, _ = scripted_s3(s3_error(503, "SlowDown", {"Retry-After": "9"}), serving(b"x"))
    assert store.get("k") == b"x"
    assert time.slept == [9.05]


def test_nobody_listening_is_tried_again_and_then_told(scripted_s3: Start) -> None:
    """A refused connection names the cause and what to check."""
    store, server = scripted_s3()
    server.__exit__(None, None, None)
    try:
        with pytest.raises(TransientError, match=r"12 attempts.*refused.*check that the store is up"):
            store.check()
    finally:
        server.__init__()  # type: ignore[misc]  # so that its own end finds something to end
        server.__enter__()


def test_a_read_that_breaks_off_goes_on_by_range(scripted_s3: Start) -> None:
    """The rest is asked for in the same version, as often as it takes, and the bytes are exact."""
    store, server = scripted_s3(
        serving(DATA, 300_000), s3_error(503, "SlowDown"), serving(DATA, 200_000), serving(DATA)
    )
    with store.reader("k") as stream:
        assert stream.read() == DATA
    ranges = [(headers.get("Range"), headers.get("If-Match")) for _, _, headers in server.requests]
    assert ranges[0] == (None, None)
    assert all(match == etag(DATA) for _, match in ranges[1:])
    assert [int(asked.removeprefix("bytes=").rstrip("-")) for asked, _ in ranges[1:] if asked] == sorted(
        int(asked.removeprefix("bytes=").rstrip("-")) for asked, _ in ranges[1:] if asked
    )


def test_a_read_from_an_offset_that_breaks_off_goes_on_where_it_should(scripted_s3: Start) -> None:
    """The rest is counted from the object's beginning, not from where the read began."""
    store, server = scripted_s3(serving(DATA, 1000), serving(DATA))
    with store.reader("k", 5000) as stream:
        assert stream.read() == DATA[5000:]
    first, second = (headers["Range"] for _, _, headers in server.requests)
    assert first == "bytes=5000-"
    assert 5000 <= int(second.removeprefix("bytes=").removesuffix("-")) <= 6000


def test_versions_are_never_mixed(scripted_s3: Start) -> None:
    """An object that was replaced in the middle of a read is an error, whatever the new one holds."""
    store, _ = scripted_s3(serving(DATA, 300_000), serving(DATA[::-1]))
    with pytest.raises(ObjectChangedError, match="from the start"), store.reader("k") as stream:
        stream.read()


def test_a_body_that_never_comes_whole_is_given_up(scripted_s3: Start) -> None:
    """A server that breaks off without a single byte uses up the attempts."""
    store, server = scripted_s3(*[serving(DATA, 0)] * 30)
    with pytest.raises(TransientError, match="gave up after 12 attempts"):
        store.get("k")
    assert 12 <= len(server.requests) <= 13


def test_a_file_that_breaks_off_is_not_left(scripted_s3: Start, tmp_path: Path) -> None:
    """What was there before stays, and nothing lies beside it."""
    target = tmp_path / "file"
    target.write_text("old")
    store, _ = scripted_s3(serving(DATA, 600_000), s3_error(403, "AccessDenied"))
    with pytest.raises(AccessDeniedError):
        store.get_file("k", target)
    assert [(path, path.read_text()) for path in tmp_path.iterdir()] == [(target, "old")]


def test_each_part_is_tried_again(scripted_s3: Start) -> None:
    """Beginning, parts and completion of a multipart upload, each by itself."""
    slow = s3_error(503, "SlowDown")
    store, server = scripted_s3(slow, created, reset, took_part, slow, took_part, slow, COMPLETED)
    store.put("k", b"x" * (PART + 1))
    assert server.left == 0
    numbers = [path for method, path, _ in server.requests if "partNumber" in path]
    assert ["partNumber=1" in path for path in numbers] == [True, True, False, False]


def test_a_completion_whose_answer_is_lost_is_recognized(scripted_s3: Start) -> None:
    """For a repeated request there is no such upload, as it has become the object: its ETag proves it."""
    digests = b"".join(hashlib.md5(part).digest() for part in (b"x" * PART, b"x"))
    made = f'"{hashlib.md5(digests).hexdigest()}-2"'
    store, server = scripted_s3(
        created, took_part, took_part, reset, s3_error(404, "NoSuchUpload"), respond(200, b"", {"ETag": made})
    )
    store.put("k", b"x" * (PART + 1))
    assert server.left == 0


def test_an_upload_that_somebody_removed_is_an_error(scripted_s3: Start) -> None:
    """There is no such upload and no such object either."""
    store, _ = scripted_s3(created, took_part, took_part, s3_error(404, "NoSuchUpload"), respond(204))
    with pytest.raises(StorageError, match=r"NoSuchUpload.*do not delete a prefix while it is in use"):
        store.put("k", b"x" * (PART + 1))


def test_a_completion_that_fails_with_200_is_tried_again(scripted_s3: Start) -> None:
    """S3 sends its status before it knows the outcome."""
    failed = respond(200, b"<Error><Code>InternalError</Code></Error>", {"Content-Type": "application/xml"})
    store, server = scripted_s3(created, took_part, took_part, failed, COMPLETED)
    store.put("k", b"x" * (PART + 1))
    assert server.left == 0


def test_a_full_store_aborts_the_upload(scripted_s3: Start) -> None:
    """The error is the first one; the parts are removed."""
    store, server = scripted_s3(created, took_part, s3_error(507, "XMinioStorageFull"), respond(204))
    with pytest.raises(StorageFullError, match="writer 'k'"), store.writer("k") as stream:  # noqa: PT012
        for _ in range(3 * PART // 1_000_000 + 1):
            stream.write(b"x" * 1_000_000)
    assert server.requests[-1][0] == "DELETE"
    assert "uploadId=U1" in server.requests[-1][1]
    assert server.left == 0


def test_an_abort_that_fails_is_noted(scripted_s3: Start) -> None:
    """The user's exception is raised, with a note that the upload is left."""
    store, _ = scripted_s3(created, took_part, s3_error(403, "AccessDenied"))
    with pytest.raises(RuntimeError, match="user's") as raised, store.writer("k") as stream:  # noqa: PT012
        stream.write(b"x" * (PART + 1_000_000))
        raise RuntimeError("user's")
    assert "unfinished upload U1 is still there" in raised.value.__notes__[0]


def test_a_write_whose_error_was_passed_over_makes_no_object(scripted_s3: Start) -> None:
    """A part is missing then, whatever was written after it."""
    store, _ = scripted_s3(created, s3_error(507, "XMinioStorageFull"), respond(204))
    with pytest.raises(StorageFullError), store.writer("k") as stream:  # noqa: PT012
        try:
            stream.write(b"x" * (PART + 1_000_000))
        except StorageFullError:
            stream.write(b"y")


def test_a_missing_bucket_is_told_from_a_missing_object(scripted_s3: Start) -> None:
    """The answer to HEAD does not tell them apart; one more request does, once."""
    store, _ = scripted_s3(respond(404), respond(404))
    with pytest.raises(NoSuchBucketError, match="'bucket'"):
        store.stat("k")
    store, server = scripted_s3(respond(404), respond(200), respond(404))
    assert store.stat("k") is None
    assert store.stat("k") is None
    assert server.left == 0


def test_a_refused_deletion_names_the_object(scripted_s3: Start) -> None:
    """S3 answers 200 to deleting many, with the errors in the body; those that may pass are tried again."""

    def listing(*keys: str) -> Step:
        contents = "".join(f"<Contents><Key>{key}</Key><Size>1</Size></Contents>" for key in keys)
        return xml(
            f"<ListBucketResult><Name>bucket</Name><IsTruncated>false</IsTruncated>{contents}</ListBucketResult>"
        )

    def refused(key: str, code: str) -> Step:
        return xml(f"<DeleteResult><Error><Key>{key}</Key><Code>{code}</Code></Error></DeleteResult>")

    def xml(text: str) -> Step:
        return respond(200, text.encode(), {"Content-Type": "application/xml"})

    none = xml("<ListMultipartUploadsResult/>")
    store, server = scripted_s3(
        none, none, listing("j/a", "j/b"), refused("j/a", "SlowDown"), refused("j/b", "NoSuchKey"), listing()
    )
    assert store.delete_prefix("j") == 2
    assert server.left == 0
    store, _ = scripted_s3(none, none, listing("j/a", "j/b"), refused("j/b", "AccessDenied"))
    with pytest.raises(AccessDeniedError, match="delete_prefix 'j/b'"):
        store.delete_prefix("j")


def test_parts_grow_so_that_ten_thousand_are_enough() -> None:
    """The size doubles after each thousand, and nothing is lost at the seams."""
    sizes: list[int] = []

    class Recording:
        def put_whole(self, data: bytes) -> None:
            raise AssertionError("it is longer than a part")

        def create(self) -> str:
            return "U"

        def put_part(self, upload: str, number: int, data: bytes) -> str:
            sizes.append(len(data))
            return "0" * 32

        def complete(self, upload: str, parts: object) -> None:
            sizes.append(0)

        def is_complete(self, etag: str) -> bool:
            return True

        def abort(self, upload: str) -> None:
            raise AssertionError("nothing failed")

    upload = Upload(Recording(), Retrier(), part_size=4)
    for _ in range(9_333):
        upload.write(b"x" * 3)
    upload.commit()
    assert sum(sizes) == 27_999
    assert sizes[:1000] == [4] * 1000
    assert sizes[1000:2000] == [8] * 1000
    assert set(sizes[2000:-2]) == {16}
    with pytest.raises(ValueError, match="the object is complete already"):
        upload.write(b"late")
