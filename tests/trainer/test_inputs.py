"""What a run reads: training and held-out repositories apart, the second without FIM, and a word for what is missing."""

from pathlib import Path

import pytest
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.core.shards import ShardError
from starmill.trainer.config import TrainRecipe
from starmill.trainer.inputs import open_inputs


def test_a_workspace(tmp_path: Path) -> None:
    build(tmp_path)
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": str(tmp_path), "output": "o"})
    found = open_inputs(options)
    assert found.config.vocab_size == found.tokenizer.vocab_size
    assert len(found.train.units) + len(found.held_out.units) == 30 and len(found.held_out.units)
    assert (found.train.options.fim.rate, found.held_out.options.fim.rate) == (0.5, 0.0)
    assert open_inputs(options).digest == found.digest


def test_no_workspace(tmp_path: Path) -> None:
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": str(tmp_path / "none"), "output": "o"})
    with pytest.raises(ShardError, match="run `starmill run` first"):
        open_inputs(options)
