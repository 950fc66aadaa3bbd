"""kubemr: MapReduce inside a Kubernetes cluster, without a master.

Importing this package costs next to nothing: the public names below are loaded when they are first used (PEP 562), so
that `import kubemr.locks` pulls in neither the worker runtime nor anything that it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kubemr.worker import JobWorker, serve

__version__ = "0.2.0.dev0"

__all__ = ["JobWorker", "__version__", "serve"]

_HOMES = {
    "JobWorker": "kubemr.worker",
    "serve": "kubemr.worker",
}
"""The module each lazy name comes from."""


def __getattr__(name: str) -> object:
    """Load a public name from its home on first use, and keep it."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it exports {', '.join(__all__)}")
    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the lazy names too, for completion in a shell."""
    return sorted(set(globals()) | set(_HOMES))
