"""A step: its loss is the mean over all next tokens, however it is cut into micro-batches, and its dropout is a hash."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.model.decoder import Decoder
from starmill.trainer.config import Mixture, TrainRecipe
from starmill.trainer.data.inputs import Inputs, open_inputs
from starmill.trainer.optim import Optimizer
from starmill.trainer.parallel import Ranks
from starmill.trainer.step import RECENT, HeldOut, Run, TrainingStopped


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> TrainRecipe:
    place = build(tmp_path_factory.mktemp("step"))
    return recipe.build(TrainRecipe, {**RECIPE, "workspace": str(place), "output": str(place / "model")})


@pytest.fixture(scope="module")
def found(options: TrainRecipe) -> Inputs:
    return open_inputs(options)


def run(options: TrainRecipe, found: Inputs, dropout: float = 0.0) -> Run:
    decoder = Decoder(replace(found.config, dropout=dropout))
    decoder.init_weights(torch.Generator().manual_seed(1))
    return Run(options, Ranks(torch.device("cpu")), found.train, decoder, Optimizer(decoder, options.optimizer))


def test_the_loss_is_that_of_every_next_token(options: TrainRecipe, found: Inputs) -> None:
    batch = next(found.train.batches())
    made = run(options, found)
    logits = made.decoder(torch.from_numpy(batch.tokens[:, :-1])).double()
    chosen = logits.log_softmax(-1).gather(-1, torch.from_numpy(batch.tokens[:, 1:, None]))[..., 0]
    objective, _, losses, *_ = made.loss(batch, found.train, 1)
    assert torch.allclose(losses.double(), -chosen, atol=1e-5) and torch.allclose(objective, losses.mean())
    masked = run(replace(options, data=replace(options.data, mask_documents=True)), found).loss(batch, found.train, 1).losses
    assert not torch.allclose(masked, losses)
    weighted = replace(options, optimizer=replace(options.optimizer, z_loss=0.5))
    penalty = 0.5 * (logits.logsumexp(-1) ** 2).mean().item()
    assert run(weighted, found).loss(batch, found.train, 1).objective.item() == pytest.approx(
        objective.item() + penalty, rel=1e-5
    )


def steps(options: TrainRecipe, found: Inputs, micro_batch: int, dropout: float = 0.0) -> tuple[list[float], list[float]]:
    options = replace(options, data=replace(options.data, micro_batch=micro_batch))
    made = run(options, found, dropout)
    corpus = replace(found.train, options=options.data)
    taken = [made.step(batches, n, False) for batches in [corpus.batches()] for n in range(1, 5)]
    return [t.loss for t in taken], [t.norm for t in taken]


def test_accumulation_changes_only_how_sums_round(options: TrainRecipe, found: Inputs) -> None:
    losses, norms = steps(options, found, 4)
    for micro_batch in (1, 2):
        again = steps(options, found, micro_batch)
        assert again[0] == pytest.approx(losses, abs=1e-5) and again[1] == pytest.approx(norms, abs=1e-4)


def test_no_clipping_is_not_clipping_to_nothing(options: TrainRecipe, found: Inputs) -> None:
    def trained(clip: float) -> list[torch.Tensor]:
        made = run(replace(options, optimizer=replace(options.optimizer, clip=clip)), found)
        made.step(found.train.batches(), 2, False)
        return [p.detach() for p in made.decoder.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(trained(0), trained(1e9), strict=True))


def test_dropout_depends_on_the_step_alone(options: TrainRecipe, found: Inputs) -> None:
    first = steps(options, found, 2, dropout=0.3)
    torch.manual_seed(99)
    assert steps(options, found, 2, dropout=0.3) == first
    assert steps(options, found, 2)[0] != first[0]


def test_the_held_out_loss_is_the_mean_of_its_tokens(options: TrainRecipe, found: Inputs) -> None:
    made = run(options, found)
    by_language: dict[str, list[float]] = {}
    for batch, languages in found.held_out.sample(options.data.held_out_windows, 0, 1):
        losses = made.loss(batch, found.held_out, 0).losses.tolist()
        for row, names in zip(losses[: len(languages)], languages[:, 1:].tolist(), strict=True):
            for loss, name in zip(row, names, strict=True):
                by_language.setdefault(found.held_out.units.names[name], []).append(loss)
    everything = [loss for losses in by_language.values() for loss in losses]
    assert len(everything) == options.data.held_out_windows * options.data.sequence_length
    got = made.evaluate(found.held_out)
    assert got == HeldOut(
        pytest.approx(np.mean(everything)), {k: pytest.approx(np.mean(v)) for k, v in sorted(by_language.items())}
    )
    nothing = replace(found.held_out.units, places=found.held_out.units.places[:0])
    assert made.evaluate(replace(found.held_out, units=nothing)) is None
    weightless = replace(options.data, mixture=Mixture(other_languages=0.0))
    assert made.evaluate(replace(found.held_out, options=weightless)) is None


def test_a_stop_is_passed_on(options: TrainRecipe, found: Inputs) -> None:
    made, batches = run(options, found), found.train.batches()
    assert [made.step(batches, 1, False).is_last, made.step(batches, 2, True).is_last] == [False, True]


def test_a_spike_stops_before_the_weights_change_and_names_the_files(options: TrainRecipe, found: Inputs) -> None:
    made, batches = run(options, found), found.train.batches()
    made.losses = (1.0,) * (RECENT - 1)  # one loss too few to tell
    made.step(batches, 1, False)
    assert len(made.losses) == RECENT and made.losses[-1] > 5
    before = [p.clone() for p in made.decoder.parameters()]
    told = r"step 2: loss 5\.\d+, the median of the last 50 being 1\.000.*\n.*repo\d+:f\.py swh:1:cnt:0{38}[\s\S]*raise `spike`"
    with pytest.raises(TrainingStopped, match=told):
        made.step(batches, 2, False)
    assert all(torch.equal(a, b) for a, b in zip(before, made.decoder.parameters(), strict=True))
    made = run(replace(options, spike=10.0), found)
    made.losses = (1.0,) * RECENT
    made.step(batches, 3, False)


def test_bad_batches_may_be_left_out_and_ten_of_fifty_end_the_run(options: TrainRecipe, found: Inputs) -> None:
    made, batches = run(replace(options, on_spike="skip"), found), found.train.batches()
    made.step(batches, 1, False)
    made.losses = (1.0,) * RECENT
    before = [p.clone() for p in made.decoder.parameters()]
    for step in range(2, 12):
        taken = made.step(batches, step, False)
        assert "the median of the last 50 being 1.000" in taken.skipped and taken.following
    assert made.skipped == tuple(range(2, 12)) and made.losses == (1.0,) * RECENT
    assert all(torch.equal(a, b) for a, b in zip(before, made.decoder.parameters(), strict=True))
    assert {int(state["step"]) for state in made.optimizer.adam.state.values()} == {1}, "the optimizer has not counted them"
    with pytest.raises(TrainingStopped, match="step 12: loss"):
        made.step(batches, 12, False)
    assert made.step(batches, 60, False).skipped, "those of long ago do not count"
