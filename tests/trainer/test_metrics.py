"""metrics.jsonl: a line a step, and a continued run writes over what came after its checkpoint."""

import json
from pathlib import Path

import pytest

from starmill.trainer.metrics import Metrics


def test_lines_and_continuation(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "metrics.jsonl"
    with Metrics(path, 0, 6, 2, 100) as metrics:
        for step in range(1, 6):
            metrics.step(step, 5.0 - step / 10, 1e-3, 1.0)
        metrics.held_out(5, 4.2)
    with open(path, "a") as file:
        file.write('{"step": 6, "lo')  # cut off by a kill
    with Metrics(path, 3, 6, 2, 100) as metrics:
        metrics.step(4, 4.6, 1e-3, 1.0)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(r["step"], r["loss"]) for r in rows] == [(1, 4.9), (2, 4.8), (3, 4.7), (4, 4.6)]
    assert rows[0]["tokens"] == 100
    shown = capfd.readouterr().err
    assert "step 4/6  loss 4.6000" in shown and "step 3/6" not in shown and "held-out loss 4.2000" in shown


def test_a_fresh_run_starts_a_fresh_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n')
    with Metrics(path, 0, 6, 2, 100):
        pass
    assert path.read_text() == ""
