"""What a run reads: training and held-out repositories apart, the second without FIM, and a word for what is missing."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.core.shards import ShardError
from starmill.core.storage import Storage
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data.inputs import open_inputs


def test_a_workspace(tmp_path: Path) -> None:
    build(tmp_path)
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": str(tmp_path), "output": "o"})
    found = open_inputs(options)
    assert found.config.vocab_size == found.tokenizer.vocab_size
    assert len(found.train.units) + len(found.held_out.units) == 30 and len(found.held_out.units)
    assert (found.train.options.fim.rate, found.held_out.options.fim.rate) == (0.5, 0.0)
    assert open_inputs(options).digest == found.digest


def test_a_workspace_in_a_bucket_gives_the_same_batches(tmp_path: Path) -> None:
    url, place = "memory://inputs", build(tmp_path / "work")
    for path in place.rglob("*.*"):
        Storage(url).publish(str(path.relative_to(place)), path.read_bytes())
    local, remote = (
        recipe.build(TrainRecipe, {**RECIPE, "workspace": where, "output": "o", "cache": str(tmp_path / "cache")})
        for where in (str(place), url)
    )
    assert local.identity() == remote.identity()
    here, there = open_inputs(local), open_inputs(remote)
    assert there.digest == here.digest and there.tokenizer.sha256 == here.tokenizer.sha256
    assert not [*(tmp_path / "cache").rglob("part-*.bin")]
    there.fetch_ahead((), tokens=1, rank=0, ranks=1)
    for one, other in zip(itertools.islice(here.train.batches(), 9), there.train.batches(), strict=False):
        assert np.array_equal(one.tokens, other.tokens) and one.following == other.following
    assert len([*(tmp_path / "cache").rglob("part-*.bin")]) == 1


def test_no_workspace(tmp_path: Path) -> None:
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": str(tmp_path / "none"), "output": "o"})
    with pytest.raises(ShardError, match="run `starmill run` first"):
        open_inputs(options)
