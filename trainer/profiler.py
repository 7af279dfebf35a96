"""Traces of some steps for chrome://tracing or Perfetto, as torch.profiler writes them: one file for each rank."""

from pathlib import Path
from typing import Any

import torch

from starmill.trainer.parallel import Ranks


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
