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
"""An address from which inputs can be read."""

WRITABLE_URL = r"^(s3|file)://\S+$"
"""An address to which results can be written."""

SHA256 = r"^[0-9a-f]{64}$"
STEP_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
ENTRYPOINT = r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$"

QUANTITY = r"^[+-]?([0-9]+|[0-9]+\.[0-9]*|\.[0-9]+)(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]+))?$"
"""Kubernetes' expression of a quantity."""

BYTES = r"^[0-9]+(\.[0-9]+)?([KMGTPE]i|[kMGTPE])?$"
"""A quantity of bytes: not negative, no fractions of a byte."""

WORDS = {
    DNS_SUBDOMAIN: ("a name of lower-case letters, digits, - and .", "write it as `kubectl get` shows it"),
    CONFIG_KEY: ("a key of letters, digits, -, _ and .", "give the key as the ConfigMap has it"),
    FILE_NAME: ("a file's name without folders", "give a name such as stop.txt"),
    IMAGE: ("an image's name without spaces", "give a name such as registry.example/team/image:tag"),
    BUCKET: ("a bucket's name: lower-case letters, digits, - and .", "give the bucket alone, without s3:// and prefix"),
    PREFIX: ("a prefix without a leading slash or spaces", "give a prefix such as team/kubemr"),
    ENDPOINT: ("http:// or https:// and a host, no path", "give an address such as http://minio:9000"),
    REGION: ("a region's name: lower-case letters, digits and -", "give a region such as us-east-1"),
    READABLE_URL: ("an address that begins with s3://, file://, http:// or https://", "give the full address"),
    WRITABLE_URL: ("an address that begins with s3:// or file://", "give an address such as s3://bucket/results/"),
    SHA256: ("64 hexadecimal digits in lower case", "give the output of sha256sum"),
    STEP_NAME: ("a name of lower-case letters, digits and -", "give a name such as count-words"),
    ENTRYPOINT: ("a Python name", "give the name of the class, such as WordCount"),
    QUANTITY: ("a quantity", "write a number with a suffix, such as 500m, 1.5 or 1Gi"),
    BYTES: ("a quantity of bytes", "write a number with a suffix, such as 64Mi"),
}
"""What each pattern requires, in words, and the remedy."""
