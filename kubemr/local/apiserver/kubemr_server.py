"""Make the server for local mode and the simulation: with kubemr's kinds and their rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from kubemr.local.apiserver.core import HISTORY, ApiServer
from kubemr.local.apiserver.errors import Cause
from kubemr.local.apiserver.http import new_server
from kubemr.locks.effects import Json
from kubemr.resources import GROUP, MapReduceJob, MapReduceTaskShard, crd
from kubemr.resources.cel_evaluation import check_rules

KINDS: Final = (MapReduceJob.__name__, MapReduceTaskShard.__name__)


def definitions() -> list[Json]:
    """Return the CustomResourceDefinitions of kubemr."""
    return [crd(kind) for kind in KINDS]


def _rules(kind: str) -> Callable[[Json, Json], Sequence[Cause]]:
    def check(obj: Json, old: Json) -> Sequence[Cause]:
        return [Cause(error.kind, error.detail, error.path) for error in check_rules(obj, kind, old)]

    return check


def rules() -> dict[tuple[str, str], Callable[[Json, Json], Sequence[Cause]]]:
    """Return what the CEL rules of kubemr's schemas reject, by group and kind."""
    return {(GROUP, kind): _rules(kind) for kind in KINDS}


def kubemr_server(history: int = HISTORY) -> ApiServer:
    """Return a core with the machine's clock, random names and kubemr's kinds."""
    return new_server(definitions(), rules(), history)
