"""Regular expressions of names and addresses, each used by several fields."""

from __future__ import annotations

DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""A name of a Kubernetes object, at most 253 characters (RFC 1123)."""

CONFIG_KEY = r"^[-._a-zA-Z0-9]+$"
"""A key of a ConfigMap or Secret."""

FILE_NAME = r"^[A-Za-z0-9_][-._A-Za-z0-9]*$"
"""A file's name without folders, and not hidden."""

IMAGE = r"^\S+$"
BUCKET = r"^[a-z0-9][-.a-z0-9]*[a-z0-9]$"
PREFIX = r"^([-A-Za-z0-9!_.*'()]+/?)*$"
ENDPOINT = r"^https?://[^\s/?#]+/?$"
REGION = r"^[-a-z0-9]+$"

READABLE_URL = r"^(s3|file|https?)://\S+$"
"""Where inputs may lie."""

WRITABLE_URL = r"^(s3|file)://\S+$"
"""Where results may go."""

HTTP_URL = r"^https?://\S+$"
SHA256 = r"^[0-9a-f]{64}$"
STEP_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
ENTRYPOINT = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"

QUANTITY = r"^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?$"
"""Kubernetes' own expression of a quantity."""

BYTES = r"^[0-9]+(\.[0-9]+)?([KMGTPE]i|[kMGTPE])?$"
"""A quantity of bytes: not negative, no parts of a byte."""
