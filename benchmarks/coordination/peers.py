"""Other schedulers with the same empty tasks: `peers.py dask|spark-python|spark-jvm TASKS WORKERS` prints the seconds.

It runs in a venv of its own (`requirements/bench.txt`) and imports nothing of kubemr.  Each scheduler is warm when the
clock starts: its workers run, and have done so many tasks that it gets no quicker (the JVM compiles as it goes).
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

WARM = {"dask": 1000, "spark-python": 50, "spark-jvm": 10_000}
"""Tasks before the clock starts."""


def empty(_: object) -> None:
    """Do nothing."""


def dask(tasks: int, workers: int) -> float:
    """Worker processes of one thread each, as many as asked for."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):

        def run(count: int) -> None:
            client.gather(client.map(empty, range(count), pure=False))

        return _timed(run, tasks, WARM["dask"])


def spark_python(tasks: int, workers: int) -> float:
    """An RDD with a partition for each task; Spark keeps its Python workers from task to task."""
    with _spark(workers) as session:
        context = session.sparkContext
        return _timed(
            lambda count: context.parallelize(range(count), count).foreach(empty), tasks, WARM["spark-python"]
        )


def spark_jvm(tasks: int, workers: int) -> float:
    """A DataFrame with a partition for each task, written to nowhere: no Python and no shuffle."""
    with _spark(workers) as session:
        return _timed(
            lambda count: session.range(0, count, 1, count).write.format("noop").mode("overwrite").save(),
            tasks,
            WARM["spark-jvm"],
        )


def _spark(workers: int):  # type: ignore[no-untyped-def]  # this venv's mypy does not know Spark
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(f"local[{workers}]").config("spark.ui.enabled", "false")
    return builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()


def _timed(run: Callable[[int], object], tasks: int, warm: int) -> float:
    run(warm)
    began = time.perf_counter()
    run(tasks)
    return time.perf_counter() - began


PEERS = {"dask": dask, "spark-python": spark_python, "spark-jvm": spark_jvm}

if __name__ == "__main__":
    seconds = PEERS[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3]))
    print(json.dumps({"seconds": seconds}))
