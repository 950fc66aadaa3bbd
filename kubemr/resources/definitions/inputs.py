"""Where a job's inputs come from, and how they are read and cut."""

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
    """A place with many inputs, of which there must be one at least.  Exactly one of its members is given."""

    prefix: str | None = prop(
        "Everything whose address begins like this, e.g. `s3://corpus/2025/`.",
        min_length=1,
        max_length=MAX_URL,
        pattern=patterns.READABLE_URL,
    )
    glob: str | None = prop(
        "Everything whose address matches, e.g. `s3://logs/2025/**/*.gz`: `*` and `?` within one folder,"
        " `**` across folders, `[a-z]` one of these characters.",
        min_length=1,
        max_length=MAX_URL,
        pattern=patterns.READABLE_URL,
    )
    manifest: str | None = prop(
        "An object that lists the addresses of the inputs, one per line; a tab and the size in bytes may follow."
        " A file that is cut must have that size.",
        min_length=1,
        max_length=MAX_URL,
        pattern=patterns.READABLE_URL,
    )

    RULES: ClassVar[tuple[Rule, ...]] = (exactly_one("prefix", "glob", "manifest"),)


@frozen(kw_only=True)
class InputFormat:
    """How the bytes of the inputs become records."""

    type: Literal["Lines"] = prop("`Lines`: a record is a line without its end.", default="Lines")
    compression: Literal["Auto", "None", "Gzip", "Bzip2", "Xz", "Zstd"] = prop(
        "`Auto` goes by the ending of the name.", default="Auto"
    )
    max_bad_records: int = prop(
        "How many records of the whole job may be left out because they cannot be decoded, before it fails.",
        default=0,
        minimum=0,
        maximum=2**53,
    )


@frozen(kw_only=True)
class Split:
    """How files become map tasks: large ones are cut, small ones packed."""

    size: Quantity | None = prop(
        "Bytes of one map task, as far as files can be cut: compressed ones cannot.",
        default="64Mi",
        max_length=32,
        pattern=patterns.BYTES,
    )
    max_files: int = prop("The most files of one map task.", default=1000, minimum=1, maximum=100_000)


@frozen(kw_only=True)
class KeyRef:
    """One key of a ConfigMap in the job's namespace."""

    name: str = prop(
        "The name of the ConfigMap.", required=True, min_length=1, max_length=253, pattern=patterns.DNS_SUBDOMAIN
    )
    key: str = prop("The key.", required=True, min_length=1, max_length=253, pattern=patterns.CONFIG_KEY)


SOURCE_RULES = (
    exactly_one("configMapKeyRef", "url"),
    Rule(
        cel="has(self.url) == has(self.sha256)",
        message="url and sha256 must be given together",
        remedy="give the SHA-256 of what the url serves",
        holds=lambda value: ("url" in value) == ("sha256" in value),
    ),
)
"""What holds for everything that names a file by ConfigMap or by url."""


@frozen(kw_only=True)
class JobFile:
    """A small file that every task finds in its working directory.  `configMapKeyRef` or `url` is given."""

    name: str = prop(
        "The file's name, without a folder.",
        required=True,
        min_length=1,
        max_length=253,
        pattern=patterns.FILE_NAME,
    )
    config_map_key_ref: KeyRef | None = prop("The file is a key of a ConfigMap.")
    url: str | None = prop("The file is fetched from here.", max_length=MAX_URL, pattern=patterns.READABLE_URL)
    sha256: str | None = prop("The SHA-256 of the file at `url`.", max_length=64, pattern=patterns.SHA256)

    RULES: ClassVar[tuple[Rule, ...]] = SOURCE_RULES
