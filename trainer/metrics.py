"""What a run says: a JSON line a step, and lines or a bar for people. Only metrics.jsonl is meant for programs."""

import json
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Metrics:
    """Writes output/metrics.jsonl from `step` on, and shows every `log_every`th step. A context manager."""

    def __init__(self, path: Path, step: int, steps: int, log_every: int, tokens_per_step: int) -> None:
        """Drop what an interrupted run wrote after the checkpoint at `step`: those steps come again."""
        self._steps, self._log_every, self._tokens = steps, log_every, tokens_per_step
        lines = path.read_text().splitlines() if step and path.exists() else []
        kept = [line for line in lines if _step(line) <= step]
        temporary = path.with_suffix(".tmp")
        temporary.write_text("".join(f"{line}\n" for line in kept))
        os.replace(temporary, path)
        self._file = open(path, "a", buffering=1)  # noqa: SIM115 - closed by __exit__
        self._first, self._started = step, time.monotonic()
        self._bar = None
        if sys.stderr.isatty():
            columns = (
                TextColumn("train"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.description}"),
            )
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task("", total=steps, completed=step)

    def __enter__(self) -> "Metrics":
        """Start the bar."""
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the bar and close the file."""
        if self._bar:
            self._bar.stop()
        self._file.close()

    def step(self, step: int, loss: float, lr: float, norm: float) -> None:
        """Record one optimizer step."""
        seconds = time.monotonic() - self._started
        rate = (step - self._first) * self._tokens / max(seconds, 1e-9)
        self._write(
            step=step, loss=loss, lr=lr, gradient_norm=norm, tokens=step * self._tokens, tokens_per_second=round(rate, 1)
        )
        eta = (self._steps - step) * self._tokens / max(rate, 1e-9)
        said = f"loss {loss:.4f}  lr {lr:.2e}  {rate:,.0f} tokens/s"
        if self._bar:
            self._bar.update(self._task, completed=step, description=said)
        elif step % self._log_every == 0 or step in (1, self._steps):
            print(f"step {step}/{self._steps}  {said}  eta {int(eta // 60)}:{int(eta % 60):02d}", file=sys.stderr, flush=True)

    def held_out(self, step: int, loss: float) -> None:
        """Record the loss on repositories that are never trained on."""
        self._write(step=step, held_out_loss=loss)
        say(f"held-out loss {loss:.4f} after {step} steps")

    def _write(self, **values: Any) -> None:
        self._file.write(json.dumps(values) + "\n")


def say(line: str) -> None:
    """Print one line for people."""
    print(line, file=sys.stderr, flush=True)


def _step(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError):  # a line that a kill cut off
        return sys.maxsize
