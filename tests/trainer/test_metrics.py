"""metrics.jsonl: a line a step, and a continued run writes over what came after its checkpoint."""

import contextlib
import itertools
import json
import os
import pty
import re
import sys
import tty
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small_workspace import RECIPE

from starmill.core import recipe
from starmill.trainer.config import Hardware, TrainRecipe
from starmill.trainer.metrics import Metrics
from starmill.trainer.parallel import Ranks
from starmill.trainer.plan import flops_per_token
from starmill.trainer.step import HeldOut, Taken

OPTIONS = recipe.build(TrainRecipe, {**RECIPE, "workspace": "w", "output": "o", "steps": 6, "log_every": 2})
CONFIG = OPTIONS.model.config(300)
FIRST, SECOND = (Ranks(torch.device("cpu"), rank=rank, world=2) for rank in range(2))


def rows(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_lines_and_continuation(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Metrics(tmp_path, 0, OPTIONS, CONFIG, FIRST) as metrics:
        for step in range(1, 6):
            metrics.step(step, 1e-3, 0.5, Taken(5.0 - step / 10, 1.0, (), {"data": 0.25}, False))
        metrics.held_out(5, HeldOut(4.2, {"Go": 4.0, "Python": 4.5}))
    assert rows(tmp_path)[-1] == {
        "step": 5,
        "held_out_loss": 4.2,
        "held_out_loss_by_language": {"Go": 4.0, "Python": 4.5},
    }
    with open(tmp_path / "metrics.jsonl", "ab") as file:  # a kill, a power cut, a disk
        file.write(b'\xff\0\0\nnull\n[]\n{"step": 1e999}\n{"step": [2]}\n' + b"[" * 100_000 + b'\n{"step": 6, "lo')
    with Metrics(tmp_path, 3, OPTIONS, CONFIG, FIRST) as metrics:
        metrics.step(4, 1e-3, 0.5, Taken(4.6, 1.0, (), {"data": 0.25}, False))
    found = rows(tmp_path)
    assert [(r["step"], r["loss"]) for r in found] == [(1, 4.9), (2, 4.8), (3, 4.7), (4, 4.6)]
    assert (
        found[0]["tokens"] == 128
        and found[0]["seconds"] == {"data": 0.25}
        and found[0]["epoch"] == 0.5
        and found[0]["memory_gb"] > 0.05
    )
    assert "mfu" not in found[0], "nobody said what the device can do"
    shown = capfd.readouterr().err
    assert "step 4/6  loss 4.6000" in shown and "step 3/6" not in shown
    assert "held-out loss 4.2000 after 5 steps: Go 4.000  Python 4.500" in shown


def test_the_end_is_told_in_plain_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Metrics(tmp_path, 0, OPTIONS, CONFIG, FIRST) as metrics:
        metrics.held_out(0, HeldOut(8.0, {}))
    with Metrics(tmp_path, 3, OPTIONS, CONFIG, FIRST) as metrics:  # what came before a kill counts
        metrics.held_out(6, HeldOut(5.0, {}))
        metrics.conclude(6)
    shown = capfd.readouterr().err
    assert "held-out loss 8.00 before training, 5.00 after" in shown and "a perplexity of 2,981 before and 148 now" in shown
    assert f"the model saw {6 * OPTIONS.tokens_per_step:,} tokens; StarCoderBase saw a trillion" in shown


def test_mfu_is_of_all_ranks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options = replace(OPTIONS, hardware=Hardware(peak_tflops=1e-6))
    with Metrics(tmp_path, 0, options, CONFIG, FIRST) as metrics:
        metrics.step(1, 1e-3, 0.5, Taken(5.0, 1.0, (), {"data": 0.0}, False))
    (row,) = rows(tmp_path)
    # 1e-6 TFLOP/s is 1e6 FLOP/s, on each of two ranks
    assert row["mfu"] == pytest.approx(row["tokens_per_second"] * flops_per_token(CONFIG, 32) / 2e6, rel=1e-3)
    assert "% MFU" in capfd.readouterr().err


def test_tensorboard_gets_the_same_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.summary.writer import event_file_writer

    # TensorBoard reads files by their names: in one second, and in one process, that is the number of the writer, where 10 is before 9.
    monkeypatch.setattr(event_file_writer, "_global_uid", SimpleNamespace(get=itertools.count(100).__next__))

    for first in (0, 2):  # the second continues after step 2, and takes back step 3
        with Metrics(tmp_path, first, OPTIONS, CONFIG, FIRST) as metrics:
            for step in range(first + 1, 4):
                metrics.step(step, 1e-3, 0.5, Taken(first + step / 10, 1.0, (), {"data": 0.0}, False))
            metrics.held_out(3, HeldOut(4.2, {"Go": 4.0}))
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, round(e.value, 3)) for e in events.Scalars("loss")] == [(1, 0.1), (2, 0.2), (3, 2.3)]
    assert [(e.step, e.value) for e in events.Scalars("held_out_loss_by_language/Go")] == [(3, 4.0)]


def test_a_fresh_run_starts_a_fresh_file(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n')
    with Metrics(tmp_path, 0, OPTIONS, CONFIG, FIRST):
        pass
    assert rows(tmp_path) == []


def test_lines_stand_above_a_bar_on_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there, here = pty.openpty()
    tty.setraw(here)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    read = list[bytes]()

    def look() -> None:  # all of it, however much a slow machine draws: one read gets 4 kB, and a full terminal waits
        with contextlib.suppress(OSError):  # the other end is closed
            while data := os.read(there, 1 << 16):
                read.append(data)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        with open(here, "w") as terminal:
            monkeypatch.setattr(sys, "stderr", terminal)
            with Metrics(tmp_path, 0, OPTIONS, CONFIG, FIRST) as metrics:
                metrics.say("a notice, [bracketed]")
                metrics.step(1, 1e-3, 0.5, Taken(4.75, 1.0, (), {"data": 0.0}, False))
                metrics.say("another")
        looking.result(60)
    said = b"".join(read).decode()
    os.close(there)
    # What is left on the screen: a line is what stands since the bar was last wiped.
    lines = [re.split(r"\x1b\[2K|\r", line)[-1] for line in said.split("\n")]
    shown = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line).rstrip() for line in lines]
    assert [line for line in shown if line in ("a notice, [bracketed]", "another")] == ["a notice, [bracketed]", "another"]
    assert "1/6" in said and "loss 4.7500" in said


def test_only_one_rank_speaks(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with Metrics(tmp_path, 0, OPTIONS, CONFIG, SECOND) as metrics:
        metrics.step(6, 1e-3, 0.5, Taken(4.6, 1.0, (), {"data": 0.0}, False))
        metrics.held_out(6, HeldOut(4.6, {}))
        metrics.say("something")
    assert not list(tmp_path.iterdir()) and capfd.readouterr() == ("", "")
