"""`starmill train` with an encoder: both losses fall, a run is continued, and transformers loads what comes of it."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from small_workspace import RECIPE, build
from transformers import AutoTokenizer, BertForPreTraining

from starmill.core import recipe
from starmill.core.recipe import RecipeError
from starmill.model.encoder.encoder import Encoder
from starmill.trainer import export, plan
from starmill.trainer.config import TrainRecipe, load
from starmill.trainer.loop import train

MODEL = {
    **{"layers": 2, "hidden_size": 32, "heads": 4, "kv_heads": 4, "mlp_size": 64, "positions": "learned", "max_positions": 64},
    **{"attention": "bidirectional", "activation": "gelu", "norm_epsilon": 1e-12},
}
DATA = {**RECIPE["data"], "sequence_length": 64, "unit_tokens": 4096, "fim": {"rate": 0.0}}


def options(place: Path, output: str, **changes: object) -> TrainRecipe:
    values = {**RECIPE, "model": MODEL, "data": DATA, "workspace": str(place / "w"), "output": str(place / output), **changes}
    return recipe.build(TrainRecipe, values)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("encoder")
    build(place / "w", tuple(f"def f{i}(x):\n" + f"    y = {i} + x\n" * 30 for i in range(30)))
    return place


@pytest.fixture(scope="module")
def whole(place: Path) -> TrainRecipe:
    wanted = options(place, "whole", steps=60, checkpoint_every=20, optimizer={"lr": 5e-3, "min_lr": 1e-3, "warmup_steps": 5})
    assert train(wanted) == 0
    return wanted


def rows(wanted: TrainRecipe, name: str) -> dict[int, float]:
    lines = map(json.loads, (Path(wanted.output) / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line[name] for line in lines if name in line}


def test_the_loss_falls_and_the_held_out_loss_with_it(whole: TrainRecipe) -> None:
    held_out = rows(whole, "held_out_loss")
    assert held_out[60] < held_out[0] - 1
    assert rows(whole, "loss")[60] < rows(whole, "loss")[1] - 1


def test_a_run_of_other_micro_batches_goes_on_from_a_checkpoint(whole: TrainRecipe, place: Path) -> None:
    """Masks are those of the windows: only the means of rows, instead of all masked tokens, make another loss."""
    shutil.copytree(whole.output, place / "again")
    shutil.rmtree(place / "again/checkpoints/step-00000060")
    micro = options(
        place, "again", steps=60, optimizer=asdict(whole.optimizer), data={**DATA, "micro_batch": 1}, checkpoint_every=20
    )
    assert micro.identity() == whole.identity()
    assert train(micro) == 0
    wanted, found = rows(whole, "loss"), rows(micro, "loss")
    assert found[41] != wanted[41] and abs(found[41] - wanted[41]) < 0.3
    assert abs(rows(micro, "held_out_loss")[60] - rows(whole, "held_out_loss")[60]) < 0.3


def test_transformers_loads_the_model(whole: TrainRecipe) -> None:
    folder = Path(whole.output) / "model"
    theirs, told = BertForPreTraining.from_pretrained(folder, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("def f(x):", return_tensors="pt")["input_ids"]
    assert ids[0, 0] == tokenizer.cls_token_id and int(ids.max()) < theirs.config.vocab_size
    with torch.no_grad():
        assert torch.isfinite(theirs.eval()(ids).prediction_logits).all()


def test_an_export_has_a_card_that_speaks_of_an_encoder(whole: TrainRecipe, tmp_path: Path) -> None:
    export.export(whole, tmp_path, torch.bfloat16)
    card = (tmp_path / "README.md").read_text()
    assert "pipeline_tag: fill-mask" in card and "An encoder of the StarEncoder kind" in card and "0.15 of the text" in card
    assert "continues code" not in card and "fill in the middle" not in card
    assert BertForPreTraining.from_pretrained(tmp_path).config.num_hidden_layers == 2


def test_the_published_recipe_has_a_plan_without_shards(tmp_path: Path) -> None:
    config, found = plan.look(load("starencoder", [], str(tmp_path / "none")))
    assert config.vocab_size == 49_156 and found is None


def test_the_plan_counts_attention_to_all_tokens(place: Path) -> None:
    config = options(place, "plan").model.config(360)
    assert plan.flops_per_token(config, 64) - 6 * sum(p.numel() for p in Encoder(config).parameters()) == 12 * 2 * 32 * 64


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": {**DATA, "fim": {"rate": 0.5}}}, "data.fim.rate"),
        ({"data": {**DATA, "mask_documents": True}}, "data.mask_documents"),
        ({"data": {**DATA, "sequence_length": 7}}, "a pair needs 8 tokens"),
        ({"parallel": {"tensor": 2}}, "parallel.tensor"),
        ({"optimizer": {**RECIPE["optimizer"], "z_loss": 1e-4}}, "optimizer.z_loss"),
    ],
)
def test_what_an_encoder_has_none_of_is_refused(place: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        options(place, "refused", **change)
