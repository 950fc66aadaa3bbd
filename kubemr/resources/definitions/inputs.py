"""The sources of a job's inputs, their format, and how they are split."""

# ruff: noqa: RUF009  (`prop` is attrs.field)

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import frozen

from kubemr.resources import patterns
from kubemr.resources.cel_rule import Rule, exactly_one
from kubemr.resources.fields import Quantity, prop

MAX_URL = 1024


@frozen(kw_only=True)
class InputSource:
    """A place with many inputs, at least one.  Give exactly one of its members."""

    prefix: str | None = prop(
        "All files and objects whose address begins with this text, e.g. `s3://corpus/2025/`.",
        min_length=1,
        max_length=MAX_URL,
        pattern=patterns.READABLE_URL,
    )
    glob: str | None = prop(
        "All files and objects whose address matches, e.g. `s3://logs/2025/**/*.gz`.  `*` and `?` match within one"
        " folder, `**` across folders, `[a-z]` one of these characters.",
        min_length=1,
        max_length=MAX_URL,
        pattern=patterns.READABLE_URL,
    )
    manifest: str | None = prop(
        "The address of an object that lists the addresses of the inputs, one per line.  A tab and the size in bytes"
        " may follow.  A file that is split must have that size.",
        min_length=1,
        max_length=MAX_URL,
        pattern=patterns.READABLE_URL,
    )

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one("prefix", "glob", "manifest"),)


@frozen(kw_only=True)
class InputFormat:
    """How the bytes of the inputs become records."""

    type: Literal["Lines"] = prop(
        "The format of records.  `Lines`: a record is a line without its line end.", default="Lines"
    )
    compression: Literal["Auto", "None", "Gzip", "Bzip2", "Xz", "Zstd"] = prop(
        "How the inputs are compressed.  `Auto` decides by the end of the file name.", default="Auto"
    )
    max_bad_records: int = prop(
        "The number of records that the job may skip because they cannot be decoded.  If there are more, it fails.",
        default=0,
        minimum=0,
        maximum=2**53,
    )


@frozen(kw_only=True)
class Split:
    """How files become map tasks: large files are split, small files are combined."""

    size: Quantity | None = prop(
        "The bytes that one map task reads.  A task reads more if a file cannot be split, as compressed files cannot.",
        default="64Mi",
        max_length=32,
        pattern=patterns.BYTES,
    )
    max_files: int = prop(
        "The largest number of files that one map task reads.", default=1000, minimum=1, maximum=100_000
    )


@frozen(kw_only=True)
class KeyRef:
    """One key of a ConfigMap in the job's namespace."""

    name: str = prop(
        "The name of the ConfigMap.", required=True, min_length=1, max_length=253, pattern=patterns.DNS_SUBDOMAIN
    )
    key: str = prop(
        "The key in the ConfigMap.", required=True, min_length=1, max_length=253, pattern=patterns.CONFIG_KEY
    )


SOURCE_RULES = (
    exactly_one("configMapKeyRef", "url"),
    Rule(
        cel="has(self.url) == has(self.sha256)",
        message="url and sha256 must be given together",
        remedy="give the SHA-256 of what the url serves",
        holds=lambda value: ("url" in value) == ("sha256" in value),
    ),
)
"""The rules for a file that is named by ConfigMap or by url."""


@frozen(kw_only=True)
class JobFile:
    """A small file in the working directory of every task.  Give `configMapKeyRef` or `url`."""

    name: str = prop(
        "The file's name, without a folder.",
        required=True,
        min_length=1,
        max_length=253,
        pattern=patterns.FILE_NAME,
    )
    config_map_key_ref: KeyRef | None = prop("The key of a ConfigMap that holds the file.")
    url: str | None = prop("The address of the file.", max_length=MAX_URL, pattern=patterns.READABLE_URL)
    sha256: str | None = prop("The SHA-256 of the file at `url`.", max_length=64, pattern=patterns.SHA256)

    RULES: ClassVar[tuple[Rule, ...]] = SOURCE_RULES
