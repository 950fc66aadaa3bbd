"""Cost per task against job size: `plot.py RESULTS FOLDER` writes `coordination.png` and `.svg`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
from matplotlib import pyplot

OURS, OTHERS = "#0b6e4f", "#6b6b6b"


def series(results: list[dict[str, Any]], name: str) -> tuple[list[int], list[float]]:
    """Numbers of tasks, and what was measured at each."""
    found = sorted((each["tasks"], each["value"]) for each in results if each["name"] == name)
    return [tasks for tasks, _ in found], [value for _, value in found]


def draw(results: list[dict[str, Any]], folder: Path) -> None:
    """Two panels: what a task costs the servers, and how many are done in a second beside others."""
    figure, (cost, rate) = pyplot.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
    sizes, values = series(results, "server CPU per task")
    cost.plot(sizes, values, "o-", color=OURS, label="kubemr")
    for each in results:
        if each["name"].startswith("server CPU per task against"):
            cost.plot([each["peer_tasks"]], [each["peer_value"]], "s", color=OTHERS, label=each["peer"])
    cost.set(ylabel="CPU of kube-apiserver and etcd per task, ms", yscale="log", title="What a task costs")
    sizes, values = series(results, "rate")
    rate.plot(sizes, values, "o-", color=OURS, label="kubemr")
    peers: dict[str, dict[int, float]] = {}
    for each in results:
        if each["name"].startswith("rate against"):
            peers.setdefault(each["peer"], {})[each["peer_tasks"]] = each["peer_value"]
    for mark, (title, rates) in zip("sDv^PX*", peers.items(), strict=False):
        rate.plot(list(rates), list(rates.values()), f"{mark}:", color=OTHERS, label=title)
    rate.set(ylabel="empty tasks per second", yscale="log", title="How many are done")
    for axes in (cost, rate):
        axes.set(xlabel="tasks of the job", xscale="log")
        axes.grid(True, which="major", color="#dddddd")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    for suffix in ("png", "svg"):
        figure.savefig(folder / f"coordination.{suffix}", dpi=110, metadata={"Date": None} if suffix == "svg" else None)


if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "kubemr"  # the same picture, the same bytes
    draw(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
