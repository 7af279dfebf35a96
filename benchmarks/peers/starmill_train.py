"""`starmill train` on the recipe of benchmarks/train.py, as anybody runs it, with a clock at every step; prints one JSON line."""

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import Any

from starmill.cli.__main__ import main as command
from starmill.trainer import loop
from starmill.trainer.metrics import Metrics

place, precision, compiled = Path(sys.argv[1]), sys.argv[3], sys.argv[4] == "True"
seconds: list[float] = []
cpu: list[float] = []
losses: list[float] = []


class Clock(Metrics):
    """Notes when each step ended."""

    def step(self, step: int, loss: float, *rest: Any) -> None:
        seconds.append(time.perf_counter())
        cpu.append(time.process_time())
        losses.append(loss)
        super().step(step, loss, *rest)


loop.Metrics = Clock  # type: ignore[misc]
values = [f"parallel.compile={str(compiled).lower()}", f"parallel.precision={precision}"]
with contextlib.redirect_stdout(sys.stderr):
    status = command(
        [
            "train",
            str(place / "recipe.yaml"),
            "--output",
            str(place / "ours"),
            "--fresh",
            *(p for v in values for p in ("--set", v)),
        ]
    )
print(json.dumps({"seconds": seconds, "cpu": cpu, "losses": losses}))
sys.exit(status)
