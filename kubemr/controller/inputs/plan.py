"""Write a split plan: the inputs of all map tasks, in their order, to the job's storage in chunks of tasks.

A plan is written once, under a unique name, and is not read before the job's status names it.
Its writer deletes a plan that it did not finish, or that another operator's preceded; otherwise it goes with the job.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Final

from kubemr.controller.inputs.access import Access, InputsError
from kubemr.controller.inputs.sources import InputFile, find_files
from kubemr.controller.inputs.splitting import SplitSettings, task_inputs
from kubemr.coordination import names
from kubemr.coordination.object_store import Store
from kubemr.locks.effects import Json
from kubemr.resources.definitions.status import MAX_BYTES
from kubemr.tasks.shard import TASKS_PER_SHARD

MAX_TASKS: Final = 1_000_000
TASKS_PER_CHUNK: Final = 1024
"""For tasks whose input is an address."""
SPLITS_PER_CHUNK: Final = TASKS_PER_SHARD
"""For tasks whose input may be a long list of small files."""
SLICE_SECONDS: Final = 1.0
_CLOCK_EVERY: Final = 64


class SplitPlan:
    """Call `step` until it returns True.  In memory are one chunk, and one page of a listing."""

    def __init__(
        self,
        name: str,
        spec: Json,
        access: Access,
        store: Store,
        job_prefix: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        cuts = SplitSettings.of(spec)
        self.tasks_per_chunk = TASKS_PER_CHUNK if cuts is None else SPLITS_PER_CHUNK
        self.tasks = self.files = self.bytes = 0
        self._store = store
        self._job_prefix = job_prefix
        self._clock = clock
        self._chunk: list[str] = []
        self._inputs = task_inputs(self._counted(find_files(spec["inputsFrom"], access, sizes=cuts is not None)), cuts)
        self._split = cuts is not None

    @property
    def prefix(self) -> str:
        """The prefix of the plan's keys in storage."""
        return names.plan_prefix(self._job_prefix, self.name)

    def step(self) -> bool:
        """Continue for about a second, and return True when the whole plan is written.

        Raises `InputsError` and `StorageError`.
        """
        until = self._clock() + SLICE_SECONDS
        for count, text in enumerate(self._inputs, start=1):
            if text is not None:
                self._add(text)
            if (text is None or count % _CLOCK_EVERY == 0) and self._clock() >= until:
                return False
        if self._chunk:
            self._write()
        return True

    def status(self) -> Json:
        """Return the plan's `status.inputs`."""
        return {
            "plan": self.name,
            "tasks": self.tasks,
            "tasksPerChunk": self.tasks_per_chunk,
            "files": self.files,
            "bytes": self.bytes,
        }

    def _counted(self, files: Iterator[InputFile | None]) -> Iterator[InputFile | None]:
        for found in files:
            if found is not None:
                self.files += 1
                self.bytes += found.size or 0
                if self.bytes > MAX_BYTES:
                    message = f"leads to files of more than {MAX_BYTES:,} bytes together"
                    remedy = "correct the sizes in the manifests, or make several jobs of it"
                    raise InputsError("spec.inputsFrom", None, message, remedy)
            yield found

    def _add(self, text: str) -> None:
        if self.tasks == MAX_TASKS:
            remedy = "raise split.size" if self._split else "pack several files into a task by split"
            message = f"leads to more than {MAX_TASKS:,} map tasks"
            raise InputsError("spec.inputsFrom", None, message, f"{remedy}, or make several jobs of it")
        self._chunk.append(text)
        self.tasks += 1
        if len(self._chunk) == self.tasks_per_chunk:
            self._write()

    def _write(self) -> None:
        number = (self.tasks - 1) // self.tasks_per_chunk
        data = json.dumps(self._chunk, ensure_ascii=False, separators=(",", ":")).encode()
        self._store.put(names.inputs_chunk(self._job_prefix, self.name, number), data)
        self._chunk = []
