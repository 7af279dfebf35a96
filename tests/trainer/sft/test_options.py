"""Sections of fine-tuning that do not fit the rest of a recipe are refused, with what to set; without them a run is the one it was."""

from typing import Any

import pytest

from starmill.core.recipe import RecipeError, build
from starmill.trainer.config import TrainRecipe, load, with_preset

PLAIN: dict[str, Any] = {
    "workspace": "w",
    "output": "o",
    "weights": "base",
    "steps": 10,
    "model": with_preset("tiny-starcoder2"),
    "data": {"sequence_length": 64, "batch": 2, "micro_batch": 2},
    "optimizer": {"lr": 1e-3, "min_lr": 0.0, "warmup_steps": 1},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sft": {}, "weights": None}, "weights=None; give the folder of a decoder"),
        ({"sft": {"packing": True}}, "set data.mask_documents=true"),
        ({"sft": {"folder": "a/b"}}, "expected the name of a folder"),
        ({"dpo": {}, "weights": None}, "dpo: weights=None; give the folder of a decoder"),
        ({"lora": {}, "weights": None}, "lora: give the `weights`"),
        ({"lora": {}, "model": with_preset("tiny-starcoder")}, "lora: give the `weights` of a decoder with RoPE"),
        ({"lora": {"targets": ["head"]}}, "'head' is not one of query"),
    ],
)
def test_misfits(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build(TrainRecipe, PLAIN | change)


def test_other_runs_stay_what_they_were() -> None:
    plain, tuned = build(TrainRecipe, PLAIN), build(TrainRecipe, PLAIN | {"sft": {}, "lora": {}})
    assert not {"sft", "dpo", "lora"} & plain.learned().keys() and plain.identity() != tuned.identity()


def test_the_recipe_is_starcoder2_instructs() -> None:
    found = load("sft", [])
    assert (found.data.sequence_length, found.data.batch, found.optimizer.lr) == (1280, 64, 1e-5)
    assert (found.optimizer.decay, found.optimizer.clip, found.model.dropout, found.data.fim.rate) == ("linear", 0.0, 0.0, 0.0)
    assert found.steps == 50_661 * 4 // 64 and found.optimizer.warmup_steps == round(0.05 * found.steps)
    assert found.sft is not None and not found.sft.packing
