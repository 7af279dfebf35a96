"""Checkpoints are whole or not there, and belong to one recipe and one set of data."""

from pathlib import Path

import pytest
import torch

from starmill.trainer import checkpoint
from starmill.trainer.checkpoint import CheckpointError, Meta
from starmill.trainer.data import Position


def meta(step: int) -> Meta:
    return Meta(step, (Position(1, 2, 3), Position(0, step, 0)), "recipe", "data")


def test_round_trip_and_how_many_stay(tmp_path: Path) -> None:
    for step in (5, 10, 100):
        checkpoint.save(tmp_path, meta(step), {"model": {"w": torch.tensor([step])}}, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]
    found = checkpoint.newest(tmp_path)
    assert found is not None and found[1] == meta(100)
    assert checkpoint.load(*found, "recipe", "data")["model"]["w"].tolist() == [100]


def test_a_half_written_one_is_not_there(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path / "none") is None
    checkpoint.save(tmp_path, meta(5), {}, keep=2)
    (tmp_path / ".tmp-step-00000010").mkdir()
    (tmp_path / ".tmp-step-00000010/state.pt").write_bytes(b"half")
    found = checkpoint.newest(tmp_path)
    assert found is not None and found[1].step == 5
    assert [p.name for p in tmp_path.iterdir()] == ["step-00000005"]


def test_of_another_run(tmp_path: Path) -> None:
    path = checkpoint.save(tmp_path, meta(5), {}, keep=2)
    with pytest.raises(CheckpointError, match=r"another recipe.*--fresh"):
        checkpoint.load(path, meta(5), "other", "data")
    with pytest.raises(CheckpointError, match="another data"):
        checkpoint.load(path, meta(5), "recipe", "other")


def test_pickled_code_is_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    path = checkpoint.save(tmp_path, meta(5), {}, keep=2)
    torch.save({"model": Evil()}, path / "state.pt")
    with pytest.raises(Exception, match=r"[Ww]eights"):
        checkpoint.load(path, meta(5), "recipe", "data")
