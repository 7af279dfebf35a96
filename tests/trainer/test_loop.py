"""The loop: it learns by heart, and stops where nothing can be learned."""

import dataclasses
import json
from pathlib import Path

import pytest
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.trainer.config import TrainRecipe
from starmill.trainer.loop import train
from starmill.trainer.step import TrainingStopped


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> TrainRecipe:
    place = build(tmp_path_factory.mktemp("loop"))
    return recipe.build(TrainRecipe, {**RECIPE, "workspace": str(place), "output": str(place / "model")})


def changed(options: TrainRecipe, output: str, *changes: str) -> TrainRecipe:
    return recipe.build(TrainRecipe, {**recipe.override(dataclasses.asdict(options), changes), "output": output})


def test_it_learns_a_small_corpus_by_heart(options: TrainRecipe) -> None:
    quick = ("steps=150", "optimizer.lr=1e-2", "optimizer.weight_decay=0", "data.unit_tokens=64")
    heart = changed(options, options.output + "-heart", "data.fim.rate=0", "data.held_out=0", *quick)
    assert train(heart) == 0
    losses = [json.loads(line)["loss"] for line in (Path(heart.output) / "metrics.jsonl").read_text().splitlines()]
    assert losses[0] > 5 and losses[-1] < 0.5


def test_a_loss_that_is_no_number_names_the_files(options: TrainRecipe) -> None:
    burst = changed(options, options.output + "-nan", "optimizer.lr=1e30", "optimizer.warmup_steps=0")
    with pytest.raises(TrainingStopped, match=r"loss (nan|inf).*\n.*repo\d+:f\.py swh:1:cnt:"):
        train(burst)
