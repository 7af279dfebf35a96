"""Training recipes: what cannot be trained is refused with the key, the value and the fix."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from starmill.core import recipe
from starmill.model.presets import PRESETS
from starmill.trainer import config
from starmill.trainer.config import Model, TrainRecipe

GOOD = {
    "workspace": "w",
    "output": "o",
    "steps": 10,
    "model": {
        "layers": 1,
        "hidden_size": 8,
        "heads": 2,
        "kv_heads": 1,
        "mlp_size": 16,
        "positions": "rope",
        "max_positions": 64,
    },
    "data": {"sequence_length": 16, "batch": 4, "micro_batch": 2},
    "optimizer": {"lr": 1e-3, "min_lr": 1e-4, "warmup_steps": 2},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("optimizer.min_lr=1e-2", r"optimizer\.min_lr=0\.01 is above optimizer\.lr=0\.001"),
        ("optimizer.warmup_steps=10", r"warmup_steps=10 must be below steps=10, .* set optimizer\.warmup_steps=1"),
        ("parallel={tensor: 2, compile: true}", "parallel.tensor=2: gradients would be wrong"),
        ("parallel.sequence=true", r"parallel\.sequence=true .* set parallel\.tensor above 1"),
        ("parallel={tensor: 3, sequence: true}", r"parallel\.tensor=3 does not divide data\.sequence_length=16"),
        ("parallel.precision=fp8", "not one of auto, float32, bfloat16"),
        ("data.sequence_length=65", "sequence_length=65 is above model.max_positions=64"),
        ("milestone_every=1500", "milestone_every=1500 is no multiple of checkpoint_every=1000"),
        ("optimizer.learning_rate=3", "unknown key 'learning_rate'"),
        ("model.positions=alibi", "not one of rope, learned"),
    ],
)
def test_refused(change: str, message: str) -> None:
    assert recipe.build(TrainRecipe, GOOD).optimizer.lr == 1e-3
    with pytest.raises(recipe.RecipeError, match=message):
        recipe.build(TrainRecipe, recipe.override(GOOD, [change]))


def test_the_vocabulary_is_the_tokenizers_or_larger() -> None:
    model = recipe.build(Model, GOOD["model"])
    assert model.config(300).vocab_size == 300
    large = recipe.build(Model, {**GOOD["model"], "vocab_size": 512})
    assert large.config(300).vocab_size == 512
    with pytest.raises(ValueError, match=r"vocab_size=512 is smaller than the tokenizer's 600"):
        large.config(600)


@pytest.mark.parametrize(
    ("written", "changes", "change"),
    [
        ("starcoder2-3b", [], {}),
        ({"preset": "starcoder2-3b", "rope_theta": "1e5", "vocab_size": None}, [], {"rope_theta": 1e5, "vocab_size": None}),
        ("starcoder2-3b", ["model.max_positions=4096"], {"max_positions": 4096}),
        (GOOD["model"], ["model=starcoder2-3b"], {}),
    ],
)
def test_a_model_is_named_by_its_preset(tmp_path: Path, written: object, changes: list[str], change: dict) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**GOOD, "model": written}))
    preset = PRESETS["starcoder2-3b"]
    vocabulary = preset.vocab_size
    found = config.load(str(path), changes).model
    assert found.config(vocabulary) == dataclasses.replace(preset, **{**change, "vocab_size": vocabulary})
    assert found.vocab_size == change.get("vocab_size", vocabulary)
    path.write_text(yaml.safe_dump(config.values(str(path), changes)))
    assert config.load(str(path), []).model == found, "written out for a batch system"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("starcoder3", r"recipe\.yaml: model\.preset=starcoder3: no such preset; give one of .*starcoder2-15b"),
        ({"preset": "starcoder2-3b", "layer": 3}, "unknown key 'layer'"),
        ({"preset": "starcoder2-3b", "heads": 5}, "hidden_size=3072 is not a multiple of heads=5"),
        (3, "expected a section"),
    ],
)
def test_a_model_that_is_none_is_refused(tmp_path: Path, written: object, message: str) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**GOOD, "model": written}))
    with pytest.raises(recipe.RecipeError, match=message):
        config.load(str(tmp_path / "recipe.yaml"), [])


def test_a_batch_is_shared_out_evenly_or_refused() -> None:
    options = recipe.build(TrainRecipe, GOOD)
    assert options.tokens_per_step == 64
    assert [options.accumulation(n) for n in (1, 2)] == [2, 1]
    with pytest.raises(ValueError, match=r"data.batch=4 is no multiple of data.micro_batch=2 times 4 data ranks"):
        options.accumulation(4)


def test_identity_is_what_is_learned() -> None:
    def identity(change: str) -> str:
        return recipe.build(TrainRecipe, recipe.override(GOOD, [change])).identity()

    mine = recipe.build(TrainRecipe, GOOD).identity()
    for same in (
        "workspace=elsewhere",
        "data.micro_batch=1",
        "parallel.tensor=2",
        "parallel={tensor: 2, sequence: true}",
        "checkpoint_every=7",
        "milestone_every=5000",
        "evaluate_every=3",
        "device=cpu",
    ):
        assert identity(same) == mine
    for other in ("seed=1", "data.batch=8", "parallel.precision=bfloat16", "optimizer.z_loss=1e-4", "steps=11"):
        assert identity(other) != mine


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "data.fim.kinds={code: {rate: 0.5}}",
            r"data\.fim\.kinds\.code=.*: the rates of code are rate, file_rate and spm_rate beside",
        ),
        ("data.fim.kinds={notebook: {kinds: {}}}", "unknown key 'kinds'"),
    ],
)
def test_rates_and_factors_of_a_kind_are_checked(change: str, message: str) -> None:
    with pytest.raises(recipe.RecipeError, match=message):
        recipe.build(TrainRecipe, recipe.override(GOOD, [change]))


def test_precision_follows_the_device_unless_it_is_named() -> None:
    options = recipe.build(TrainRecipe, GOOD).parallel
    assert (options.precision_on("cuda"), options.precision_on("cpu")) == ("bfloat16", "float32")
