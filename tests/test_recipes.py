"""Every shipped recipe loads, strictly."""

from pathlib import Path

import pytest

from starmill.core import recipe

ROOT = Path(__file__).resolve().parent.parent
DATA = sorted(p for p in (ROOT / "recipes").glob("*.yaml") if not p.name.startswith("train-"))
TRAIN = sorted((ROOT / "recipes").glob("train-*.yaml"))


@pytest.mark.parametrize("path", DATA, ids=lambda p: p.stem)
def test_data_recipes_load(path: Path) -> None:
    from starmill.pipelines.mill import load

    assert load(str(path), [], [], None).workspace.startswith("runs/")
    assert load(path.stem, [], [], None) == load(str(path), [], [], None), "by name"


@pytest.mark.parametrize("path", TRAIN, ids=lambda p: p.stem)
def test_training_recipes_load(path: Path) -> None:
    from starmill.trainer.config import TrainRecipe

    recipe.load(TrainRecipe, str(path))


def test_there_are_recipes() -> None:
    assert {p.stem for p in DATA} >= {"smoke", "stack-v2"} and TRAIN
