"""The types of decoded JSON and of schemas, shared by the whole package."""

from __future__ import annotations

from typing import Any, TypeAlias

Json: TypeAlias = Any
"""A decoded JSON document."""

Schema: TypeAlias = dict[str, Any]
"""A structural schema of `apiextensions.k8s.io/v1`, as nested dicts."""
