"""Where a step's time goes: data, forward, backward, optimizer and sums over ranks, on a GPU by events of its stream."""

import time
from typing import Any

import torch


class Clock:
    """Adds up the seconds between marks, each under the name of what came before it. Nothing waits for a GPU until `seconds`.

    >>> clock = Clock(torch.device("cpu"))
    >>> clock.mark("data"); clock.mark("forward"); clock.mark("data")
    >>> list(clock.seconds())
    ['data', 'forward']
    """

    def __init__(self, device: torch.device) -> None:
        """Start."""
        self._is_cuda = device.type == "cuda"
        self._marks: list[tuple[str, Any]] = []
        self.mark("")

    def mark(self, name: str) -> None:
        """Count the time since the last mark as that of `name`."""
        if self._is_cuda:
            now: Any = torch.cuda.Event(enable_timing=True)
            now.record()
        else:
            now = time.monotonic()
        self._marks.append((name, now))

    def seconds(self) -> dict[str, float]:
        """Return the seconds of each name."""
        if self._is_cuda:
            torch.cuda.synchronize()
        found: dict[str, float] = {}
        for (_, before), (name, now) in zip(self._marks, self._marks[1:], strict=False):
            taken = before.elapsed_time(now) / 1000 if self._is_cuda else now - before
            found[name] = found.get(name, 0.0) + taken
        return {name: round(taken, 4) for name, taken in found.items()}
