"""What steps did: traces for chrome://tracing or Perfetto, a GPU's allocations for pytorch.org/memory_viz; a file for each rank."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from starmill.core.errors import UsageError
from starmill.trainer.parallel import Ranks

ENTRIES = 1_000_000  # allocations and releases that are remembered, the newest


class Profiler:
    """Records the steps [first, last] of `span`, and writes output/profile/rank-N.json behind the last one."""

    def __init__(self, span: tuple[int, int] | None, output: Path, ranks: Ranks) -> None:
        """Name the steps; nothing is recorded."""
        self._span, self._place = span, output / "profile" / f"rank-{ranks.rank}.json"
        self._running: Any = None

    def begin(self, step: int) -> None:
        """Begin to record with the first of the steps that is taken."""
        if self._span and self._running is None and self._span[0] <= step <= self._span[1]:
            self._running = torch.profiler.profile(record_shapes=True)
            self._running.start()

    def end(self, step: int) -> None:
        """Write the trace, if this was the last step."""
        if self._running is not None and self._span and step == self._span[1]:
            self._running.stop()
            self._place.parent.mkdir(parents=True, exist_ok=True)
            self._running.export_chrome_trace(str(self._place))
            self._running = None


class MemorySnapshot:
    """Records what is allocated in the steps [first, last] of `span`, and writes output/profile/memory-rank-N.pickle behind the last one.

    It is written before, too, where memory runs out. Raises UsageError on a CPU, whose allocations PyTorch does not record.
    """

    def __init__(self, span: tuple[int, int] | None, output: Path, ranks: Ranks) -> None:
        """Name the steps; nothing is recorded."""
        if span and ranks.device.type != "cuda":
            raise UsageError(
                f"memory_snapshot={list(span)}: only a GPU's memory is recorded; leave it out on {ranks.device.type}"
            )
        self._span, self._place, self._records = span, output / "profile" / f"memory-rank-{ranks.rank}.pickle", False

    @contextmanager
    def of(self, step: int) -> Iterator[None]:
        """Record a step, if it is one of the span."""
        if self._span and not self._records and self._span[0] <= step <= self._span[1]:
            self._records = True
            torch.cuda.memory._record_memory_history(max_entries=ENTRIES)
        try:
            yield
        except torch.OutOfMemoryError:
            self._write()
            raise
        if self._span and step == self._span[1]:
            self._write()

    def _write(self) -> None:
        if self._records:
            self._records = False
            self._place.parent.mkdir(parents=True, exist_ok=True)
            torch.cuda.memory._dump_snapshot(str(self._place))
            torch.cuda.memory._record_memory_history(enabled=None)
