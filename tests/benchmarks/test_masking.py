"""The comparison of attention that crosses documents with attention that does not: both are trained, and each is read in both ways."""

from pathlib import Path

import masking
import pytest
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.trainer.config import TrainRecipe


def test_each_model_is_read_in_both_ways(tmp_path: Path) -> None:
    values = {**RECIPE, "workspace": str(build(tmp_path / "w")), "output": str(tmp_path / "model")}
    options = recipe.build(TrainRecipe, recipe.override(values, ["data.unit_tokens=1", "steps=3", "checkpoint_every=3"]))
    losses = masking.compare(options)
    assert len(losses) == 4 == len({*losses.values()}), "files are shorter than a window: what crosses tells"
    assert not (tmp_path / "model").exists()
    lines = masking.table({0: losses, 1: losses})
    assert lines[0].startswith("| seed | crossing, read crossing |") and lines[-1].startswith("| mean |")
    assert lines[-1].split("|")[2:] == lines[-2].split("|")[2:]


def test_nothing_held_out_is_said(tmp_path: Path) -> None:
    values = {**RECIPE, "workspace": str(build(tmp_path / "w")), "output": str(tmp_path / "model")}
    options = recipe.build(TrainRecipe, recipe.override(values, ["data.held_out=0", "steps=3", "checkpoint_every=3"]))
    with pytest.raises(ValueError, match="no held-out repositories"):
        masking.compare(options)
