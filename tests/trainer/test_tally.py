"""Losses by kind and language are means over a step's tokens; norms are torch's."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.model.decoder import Decoder
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data.inputs import open_inputs
from starmill.trainer.optim import Optimizer
from starmill.trainer.parallel import Ranks
from starmill.trainer.step import Run
from starmill.trainer.tally import Norms


@pytest.mark.parametrize("micro_batch", [1, 4])
def test_the_losses_of_a_step_by_language_and_kind(tmp_path: Path, micro_batch: int) -> None:
    place = build(tmp_path, languages=("C",) * 10 + ("Python",) * 20)
    values = {**RECIPE, "workspace": str(place), "output": "o", "log_every": 2, "norms_every": 2}
    options = recipe.build(TrainRecipe, {**values, "data": {**RECIPE["data"], "micro_batch": micro_batch}})
    found = open_inputs(options)
    decoder = Decoder(found.config)
    decoder.init_weights(torch.Generator().manual_seed(1))
    run = Run(options, Ranks(torch.device("cpu")), found.train, decoder, Optimizer(decoder, options.optimizer))
    batches = found.train.batches()
    assert run.step(batches, 1, False).more == {}, "every second step"
    expected: dict[str, list[float]] = {}
    peek = found.train.batches(after=1, positions=next(replace_batch(found)).following)
    for _ in range(4 // micro_batch):
        batch = next(peek)
        losses = run.loss(batch, found.train, 2).losses.tolist()
        units = iter(batch.units)
        for row, documents in zip(losses, batch.documents.tolist(), strict=True):
            of = [next(units) for _ in range(documents[-1] + 1)]
            for loss, document in zip(row, documents[1:], strict=True):
                expected.setdefault(found.train.units[of[document]].language, []).append(loss)
    before = [p.detach().clone() for p in decoder.parameters()]
    taken = run.step(batches, 2, False)
    assert taken.more["loss_by_language"] == pytest.approx({k: sum(v) / len(v) for k, v in sorted(expected.items())}, abs=1e-5)
    assert set(expected) == {"C", "Python"} and taken.more["loss_by_kind"] == {"code": pytest.approx(taken.loss, abs=1e-5)}
    moved = torch.cat([(p.detach() - b).flatten() for p, b in zip(decoder.parameters(), before, strict=True)])
    assert taken.more["update_norm"] == pytest.approx(moved.norm().item(), rel=1e-4)
    assert taken.more["weight_norm"] == pytest.approx(
        torch.cat([p.flatten() for p in decoder.parameters()]).norm().item(), rel=1e-4
    )
    assert {*taken.seconds} >= {"data", "forward", "backward", "communication", "optimizer"}


def replace_batch(found):
    """Yield the first step's batch in one piece."""
    return replace(found.train, options=replace(found.train.options, micro_batch=4)).batches()


def test_a_step_that_moves_nothing() -> None:
    linear = torch.nn.Linear(3, 2)
    assert Norms(linear.parameters(), Ranks(torch.device("cpu"))).after()["update_norm"] == 0
