"""A trace has the operators of the steps that it is of, and comes from the rank that it names."""

import json
from pathlib import Path

import pytest
import torch

from starmill.core.errors import UsageError
from starmill.trainer.parallel import Ranks
from starmill.trainer.profiler import MemorySnapshot, Profiler


def test_the_steps_of_a_span_are_traced(tmp_path: Path) -> None:
    profiler = Profiler((2, 3), tmp_path, Ranks(torch.device("cpu"), rank=5, world=6))
    for step in range(1, 5):
        profiler.begin(step)
        with torch.profiler.record_function(f"step {step}"):
            torch.ones(3, 3) @ torch.ones(3, 3)
        profiler.end(step)
    names = {event.get("name") for event in json.loads((tmp_path / "profile/rank-5.json").read_text())["traceEvents"]}
    assert {"step 2", "step 3", "aten::mm"} <= names and not {"step 1", "step 4"} & names


def test_no_span_writes_nothing(tmp_path: Path) -> None:
    profiler = Profiler(None, tmp_path, Ranks(torch.device("cpu")))
    profiler.begin(1)
    profiler.end(1)
    assert not list(tmp_path.iterdir())


def test_memory_on_a_cpu_is_refused(tmp_path: Path) -> None:
    alone = Ranks(torch.device("cpu"))
    with pytest.raises(UsageError, match=r"memory_snapshot=\[2, 3\]: only a GPU's memory"):
        MemorySnapshot((2, 3), tmp_path, alone)
    with MemorySnapshot(None, tmp_path, alone).of(1):
        pass
    assert not list(tmp_path.iterdir())


def test_allocations_of_a_gpu(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("NOT RUN: a GPU, whose allocations are recorded, is not here")
    snapshot = MemorySnapshot((2, 3), tmp_path, Ranks(torch.device("cuda")))
    for step in range(1, 5):
        with snapshot.of(step):
            torch.ones(1 << 20, device="cuda")
    assert (tmp_path / "profile/memory-rank-0.pickle").stat().st_size > 100
