"""The loop: it learns by heart, and its parts do what they say."""

import dataclasses
from pathlib import Path

import pytest
import torch
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.trainer.config import TrainRecipe
from starmill.trainer.loop import TrainingStopped, inputs, loss_of, plan, tokens_per_step, train


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> TrainRecipe:
    place = build(tmp_path_factory.mktemp("loop"))
    return recipe.build(TrainRecipe, {**RECIPE, "workspace": str(place), "output": str(place / "model")})


def test_it_learns_a_small_corpus_by_heart(options: TrainRecipe) -> None:
    import json

    changes = [
        "data.fim.rate=0",
        "data.held_out=0",
        "steps=150",
        "optimizer.lr=1e-2",
        "optimizer.weight_decay=0",
        "data.unit_tokens=64",
    ]
    values = recipe.override(dataclasses.asdict(options), changes)
    values["output"] = options.output + "-heart"
    assert train(recipe.build(TrainRecipe, values)) == 0
    losses = [json.loads(line)["loss"] for line in (Path(values["output"]) / "metrics.jsonl").read_text().splitlines()]
    assert losses[0] > 5 and losses[-1] < 0.5


def test_the_loss_is_the_mean_over_all_next_tokens(options: TrainRecipe) -> None:
    from starmill.model.decoder import Decoder

    found = inputs(options)
    decoder = Decoder(found.config)
    batch = next(found.train.batches())
    logits = decoder(torch.from_numpy(batch.tokens[:, :-1]))
    chosen = logits.log_softmax(-1).gather(-1, torch.from_numpy(batch.tokens[:, 1:, None]))
    assert loss_of(decoder, batch, masked=False).item() == pytest.approx(-chosen.mean().item(), rel=1e-5)
    assert loss_of(decoder, batch, masked=True).item() != pytest.approx(-chosen.mean().item(), rel=1e-7)


def test_a_loss_that_is_no_number_names_the_files(options: TrainRecipe) -> None:
    values = recipe.override(dataclasses.asdict(options), ["optimizer.lr=1e30", "optimizer.warmup_steps=0"])
    values["output"] = options.output + "-nan"
    with pytest.raises(TrainingStopped, match=r"loss (nan|inf).*\n.*repo\d+:f\.py swh:1:cnt:"):
        train(recipe.build(TrainRecipe, values))


def test_the_plan(options: TrainRecipe) -> None:
    assert tokens_per_step(options) == 32 * 4
    shown = "\n".join(plan(options, inputs(options)))
    assert "parameters" in shown and f"{options.steps * 128:,} tokens" in shown
