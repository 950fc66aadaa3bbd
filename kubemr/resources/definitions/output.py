"""Where results and intermediate files are stored."""

# ruff: noqa: RUF009  (`prop` is attrs.field)

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import frozen

from kubemr.resources import patterns
from kubemr.resources.cel_rule import Rule
from kubemr.resources.definitions.inputs import MAX_URL
from kubemr.resources.fields import Quantity, prop


@frozen(kw_only=True)
class Output:
    """Where the results of steps and programs are published."""

    url: str = prop(
        "The address below which the results are written.",
        required=True,
        min_length=1,
        max_length=MAX_URL,
        pattern=patterns.WRITABLE_URL,
    )
    if_exists: Literal["Fail", "Replace"] = prop("What to do if the address has objects already.", default="Fail")
    compression: Literal["None", "Gzip", "Zstd"] = prop("How result files are compressed.", default="None")


@frozen(kw_only=True)
class SecretRef:
    """A Secret in the job's namespace."""

    name: str = prop(
        "The name of the Secret.", required=True, min_length=1, max_length=253, pattern=patterns.DNS_SUBDOMAIN
    )


@frozen(kw_only=True)
class S3:
    """An S3 bucket and the keys to it."""

    endpoint: str | None = prop(
        "The address of the S3 service, e.g. `http://minio:9000`.",
        unset="the operator's endpoint, or else Amazon's for the region",
        max_length=512,
        pattern=patterns.ENDPOINT,
    )
    region: str | None = prop(
        "The bucket's region.",
        unset="the operator's region if its endpoint is used, or else us-east-1",
        max_length=64,
        pattern=patterns.REGION,
    )
    bucket: str = prop(
        "The name of the bucket, which must exist.", required=True, min_length=3, max_length=63, pattern=patterns.BUCKET
    )
    prefix: str | None = prop(
        "The prefix of all keys that kubemr writes.", unset="no prefix", max_length=512, pattern=patterns.PREFIX
    )
    secret_ref: SecretRef | None = prop(
        "A Secret in the job's namespace with the keys `accessKeyId` and `secretAccessKey`.",
        unset="the identity of the pods; or, at the operator's endpoint, its keys if an administrator lends them",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="!has(self.prefix) || !self.prefix.split('/').exists(part, part == '.' || part == '..')",
            message="prefix must not have . or .. as a part",
            remedy="give the prefix without them",
            field="prefix",
            holds=lambda value: not {".", ".."} & set(value.get("prefix", "").split("/")),
        ),
    )


@frozen(kw_only=True)
class Storage:
    """Where the outputs of tasks are stored."""

    s3: S3 | None = prop("An S3 bucket.", unset="the operator's bucket, if an administrator allows it")
    retention_policy: Literal["None", "Results", "All"] = prop(
        "What stays in storage when the job is over.  `None`: nothing.  `Results`: the results, and the logs and errors"
        " of all attempts.  `All`: also the intermediate files.  If the job has failed, everything stays unless the"
        " policy is `None`.  Deleting the job removes everything.",
        default="Results",
    )


@frozen(kw_only=True)
class Resources:
    """The resources of each worker's container, as in any pod."""

    requests: dict[str, Quantity] | None = prop(
        "The amounts that are reserved, e.g. of `cpu` and `memory`.",
        max_properties=16,
        items={"maxLength": 32, "pattern": patterns.QUANTITY},
    )
    limits: dict[str, Quantity] | None = prop(
        "The amounts that the container must not exceed.",
        max_properties=16,
        items={"maxLength": 32, "pattern": patterns.QUANTITY},
    )
