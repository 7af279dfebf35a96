"""What an output keeps: a recipe that loads as what was trained, keys that differ by name, and where lanes stood after a kill."""

import dataclasses
from pathlib import Path

import pytest
import torch
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.trainer import provenance
from starmill.trainer.config import TrainRecipe, load
from starmill.trainer.data.corpus import Position
from starmill.trainer.data.inputs import open_inputs
from starmill.trainer.parallel import Ranks

ALONE = Ranks(torch.device("cpu"))


@pytest.fixture
def options(tmp_path: Path) -> TrainRecipe:
    build(tmp_path / "w")
    (tmp_path / "model").mkdir()
    values = {**RECIPE, "workspace": str(tmp_path / "w"), "output": str(tmp_path / "model")}
    return recipe.build(TrainRecipe, recipe.override(values, ["data.mixture.caps.Java=1e9", "data.fim.kinds.issue.rate=0.1"]))


def test_the_kept_recipe_is_what_was_trained(options: TrainRecipe) -> None:
    provenance.keep(options, open_inputs(options), ALONE, 0)
    kept = load(options.output, [])
    assert kept == options and kept.identity() == options.identity()
    assert provenance.changed(kept) == []
    model = dataclasses.replace(options.model, rope_theta=1e6)
    other = dataclasses.replace(options, model=model, optimizer=dataclasses.replace(options.optimizer, lr=0.1), log_every=1)
    assert provenance.changed(other) == ["model.rope_theta: 100000.0 -> 1000000.0", "optimizer.lr: 0.003 -> 0.1"]


def test_relative_places_are_found_from_anywhere(options: TrainRecipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(options.workspace).parent)
    found = open_inputs(options)
    provenance.keep(dataclasses.replace(options, workspace="w", cache="s3://bucket/x"), found, ALONE, 0)
    kept = load(options.output, [])
    assert kept.workspace == options.workspace and kept.cache == "s3://bucket/x"


def test_the_last_note_before_a_step(tmp_path: Path) -> None:
    assert provenance.noted(tmp_path, 9) == (0, ())
    for step in (3, 6, 9):
        provenance.note(tmp_path, ALONE, step, [Position(0, step, 1), Position(1, step, 2)])
    with open(tmp_path / provenance.POSITIONS, "a") as file:
        file.write('{"step": 8, "lan')
    assert provenance.noted(tmp_path, 9) == (6, (Position(0, 6, 1), Position(1, 6, 2)))
    assert provenance.noted(tmp_path, 10)[0] == 9 and provenance.noted(tmp_path, 3) == (0, ())
