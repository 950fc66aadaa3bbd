"""The address of an S3 service, and the credentials for it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from attr import field, frozen


@frozen
class S3Settings:
    """How to reach an S3 service.

    `endpoint` is `http://host:port` or `https://host`.  Without a scheme it is https; if it is empty, it is Amazon's
    for the region.  Without an access key, the credentials come from the environment (AWS_ACCESS_KEY_ID, …) or from the
    identity of the pod or machine.
    """

    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)

    @property
    def secure(self) -> bool:
        """Whether to use TLS."""
        return self._url.scheme == "https"

    @property
    def host(self) -> str:
        """Host and port."""
        return self._url.netloc

    @property
    def is_amazon(self) -> bool:
        """Whether this is Amazon's own service."""
        return self.host.endswith((".amazonaws.com", ".amazonaws.com.cn"))

    @property
    def _url(self) -> _Url:
        return _parse(self.endpoint or f"https://s3.{self.region}.amazonaws.com")

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> S3Settings:
        """Return the settings of the `KUBEMR_S3_*` variables.  Raises ValueError that names the wrong one."""
        access_key, secret_key = (
            environ.get(f"KUBEMR_S3_{name}", "") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
        )
        if bool(access_key) != bool(secret_key):
            missing = "KUBEMR_S3_SECRET_ACCESS_KEY" if access_key else "KUBEMR_S3_ACCESS_KEY_ID"
            raise ValueError(
                f"{missing} is not set but its counterpart is: set both, or neither to use the pod's identity"
            )
        endpoint = environ.get("KUBEMR_S3_ENDPOINT", "")
        try:
            if endpoint:
                _parse(endpoint)
        except ValueError as error:
            raise ValueError(f"KUBEMR_S3_ENDPOINT: {error}") from None
        return cls(endpoint, environ.get("KUBEMR_S3_REGION") or "us-east-1", access_key, secret_key)


@frozen
class _Url:
    scheme: str
    netloc: str


def _parse(endpoint: str) -> _Url:
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    wrong = (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or parts.path.rstrip("/")
        or parts.query
        or parts.fragment
        or parts.username is not None
    )
    if wrong:
        raise ValueError(
            f"{endpoint!r} is not an endpoint of an S3 service: write http://host:port or https://host, without a path"
        )
    return _Url(parts.scheme, parts.netloc)
