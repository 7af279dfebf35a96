"""The loop: it learns by heart, and stops where nothing can be learned."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_workspace import RECIPE, build

from starmill.core import recipe, seeds
from starmill.model.exchange import huggingface
from starmill.trainer.checkpoint import CheckpointError
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


def rows(options: TrainRecipe) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(options.output) / "metrics.jsonl").read_text().splitlines()]


def curve(options: TrainRecipe, name: str) -> dict[int, float]:
    return {row["step"]: row[name] for row in rows(options) if name in row}


def test_held_out_losses_on_the_way_change_nothing(options: TrainRecipe) -> None:
    ends, often = (changed(options, f"{options.output}-every-{n}", "model.dropout=0.1", f"evaluate_every={n}") for n in (0, 5))
    assert train(ends) == train(often) == 0
    assert [list(curve(o, "held_out_loss")) for o in (ends, often)] == [[0, 12], [0, 5, 10, 12]]
    assert curve(ends, "loss") == curve(often, "loss")
    models = [Path(o.output, "model/model.safetensors").read_bytes() for o in (ends, often)]
    assert models[0] == models[1]


@pytest.mark.parametrize("step", [12, 8])
def test_a_kill_between_a_checkpoint_and_its_held_out_loss_loses_nothing(options: TrainRecipe, step: int) -> None:
    whole = changed(options, f"{options.output}-whole-{step}", "evaluate_every=4")
    assert train(whole) == 0
    expected, model = rows(whole), Path(whole.output, "model/model.safetensors").read_bytes()
    # What the kill leaves: checkpoints up to the step, and its training loss as the last line.
    for folder in Path(whole.output, "checkpoints").iterdir():
        if int(folder.name.removeprefix("step-")) > step:
            shutil.rmtree(folder)
    metrics = Path(whole.output, "metrics.jsonl")
    lines = metrics.read_text().splitlines()
    at = next(i for i, row in enumerate(expected) if row["step"] == step and "held_out_loss" in row)
    metrics.write_text("".join(f"{line}\n" for line in lines[:at]))
    Path(whole.output, "model/model.safetensors").unlink()
    assert train(whole) == 0
    for again, first in zip(rows(whole), expected, strict=True):
        for name in ("step", "loss", "gradient_norm", "held_out_loss", "held_out_loss_by_language"):
            assert again.get(name) == first.get(name)
    assert Path(whole.output, "model/model.safetensors").read_bytes() == model


def test_held_out_documents_without_weight_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    languages = ["Lua" if seeds.uniform(0, "held_out", f"repo{i}") < 0.1 else "Python" for i in range(30)]
    place = build(tmp_path, languages=languages)
    mixture = {"other_languages": 0, "languages": {"Python": 1}}
    values = {**RECIPE, "steps": 3, "data": {**RECIPE["data"], "mixture": mixture}}
    assert train(recipe.build(TrainRecipe, {**values, "workspace": str(place), "output": str(tmp_path / "model")})) == 0
    assert "no held-out loss: data.mixture has factor 0" in capsys.readouterr().err
    assert [json.loads(line)["step"] for line in (tmp_path / "model/metrics.jsonl").read_text().splitlines()] == [1, 2, 3]


def test_a_batch_that_does_not_come_out_even_is_refused_before_anything_is_read(options: TrainRecipe) -> None:
    odd = changed(options, options.output + "-odd", "data.batch=5", "data.micro_batch=2", "workspace=none", "weights=none")
    with pytest.raises(ValueError, match=r"data\.batch=5 is no multiple of data\.micro_batch=2 times 1 data ranks"):
        train(odd)


def test_a_loss_that_is_no_number_names_the_files_and_keeps_the_checkpoint_in_flight(options: TrainRecipe) -> None:
    sets = ("optimizer.warmup_steps=0", "checkpoint_every=1", "asynchronous_checkpoints=true")
    burst = changed(options, options.output + "-nan", *sets)
    burst = dataclasses.replace(burst, optimizer=dataclasses.replace(burst.optimizer, lr=1e30))  # which no recipe may say
    told = r"step 2: loss (nan|inf).*\n.*repo\d+:f\.py swh:1:cnt:[\s\S]*this batch again\. .*`starmill export`"
    with pytest.raises(TrainingStopped, match=told):
        train(burst)
    assert [p.name for p in (Path(burst.output) / "checkpoints").iterdir()] == ["step-00000001"]


def test_a_phase_starts_from_the_weights_of_the_one_before(options: TrainRecipe) -> None:
    base = changed(options, options.output + "-base", "data.fim.rate=0")
    assert train(base) == 0
    folder = f"{base.output}/model"
    longer = (
        "data.fim.rate=0",
        "model.max_positions=128",
        "model.sliding_window=null",
        "data.sequence_length=64",
        "data.batch=2",
    )
    phase = changed(base, base.output + "-long", f"weights={folder}", "data.micro_batch=2", *longer)
    decoder = huggingface.load(folder)
    assert (
        train(changed(phase, phase.output, "steps=4", "optimizer.lr=0", "optimizer.min_lr=0", "optimizer.weight_decay=0")) == 0
    )
    unmoved = huggingface.load(f"{phase.output}/model")
    assert (unmoved.config.max_positions, unmoved.config.sliding_window) == (128, None)
    for (name, ours), theirs in zip(unmoved.named_parameters(), decoder.parameters(), strict=True):
        assert torch.equal(ours, theirs), name


def test_a_phase_that_continues_needs_its_first_weights_no_more(
    options: TrainRecipe, capsys: pytest.CaptureFixture[str]
) -> None:
    base = changed(options, options.output + "-first")
    assert train(base) == 0
    folder = Path(base.output) / "model"
    phase = changed(base, base.output + "-next", f"weights={folder}", "checkpoint_every=2")
    assert train(phase) == 0
    folder.rename(folder.with_name("gone"))
    assert train(phase) == 0
    assert f"continuing after step {phase.steps}" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"model: no config\.json; give a folder"):
        train(phase, fresh=True)


def test_weights_of_another_shape_are_refused_by_name(options: TrainRecipe) -> None:
    base = changed(options, options.output + "-narrow")
    assert train(base) == 0
    with pytest.raises(ValueError, match="has mlp_size=64, the recipe's model 96; make them equal"):
        train(changed(base, base.output + "-wide", f"weights={base.output}/model", "model.mlp_size=96"))


def test_growing_batches_and_later_mixtures_go_on_bit_for_bit(options: TrainRecipe) -> None:
    rules = ("data.ramp=[[300, 2]]", "data.micro_batch=2", "optimizer.decay_steps=0", "model.dropout=0.1")
    mixture = "data.phases=[{from_step: 7, mixture: {languages: {Python: 2.5}}}]"
    whole, grown = (changed(options, options.output + name, *rules, mixture) for name in ("-ramp", "-ramp-grown"))
    assert train(whole) == train(changed(grown, grown.output, "steps=5", "checkpoint_every=5")) == train(grown) == 0
    assert weights(grown) == weights(whole) and curve(grown, "loss") == curve(whole, "loss")
    assert [*curve(whole, "tokens").values()] == [64 * n for n in range(1, 7)] + [384 + 128 * n for n in range(1, 7)]


def test_muon_and_averages_go_on_bit_for_bit(options: TrainRecipe) -> None:
    rules = ("optimizer.muon={lr: 0.002}", "optimizer.average=0.9", "optimizer.base_width=null", "optimizer.decay_steps=0")
    whole, grown = (changed(options, options.output + name, *rules) for name in ("-muon", "-muon-grown"))
    assert train(whole) == train(changed(grown, grown.output, "steps=8")) == train(grown) == 0
    assert weights(grown) == weights(whole) and curve(grown, "loss") == curve(whole, "loss")
    held = [Path(o.output, "checkpoints/step-00000012") for o in (whole, grown)]
    ours, theirs = ({k: v for f in sorted(h.glob("*.safetensors")) for k, v in load_file(f).items()} for h in held)
    assert {key.split(".")[0] for key in ours} == {"model", "average", "momentum_buffer", "exp_avg", "exp_avg_sq"}
    assert ours.keys() == theirs.keys() and all(torch.equal(tensor, theirs[key]) for key, tensor in ours.items())


STABLE = ("optimizer.decay_steps=0", "checkpoint_every=4", "model.dropout=0.1")


def weights(options: TrainRecipe) -> bytes:
    return Path(options.output, "model/model.safetensors").read_bytes()


def test_a_constant_rate_goes_on_with_more_steps(options: TrainRecipe) -> None:
    long = changed(options, options.output + "-long-stable", *STABLE, "steps=12")
    grown = changed(options, options.output + "-grown", *STABLE, "steps=8")
    assert train(long) == train(grown) == 0
    assert train(changed(grown, grown.output, "steps=12")) == 0
    assert curve(grown, "loss") == curve(long, "loss") and weights(grown) == weights(long)


def test_a_decay_branches_from_a_checkpoint_with_its_optimizer(options: TrainRecipe) -> None:
    falling = ("optimizer.decay_steps=4", "optimizer.decay=1-sqrt", "steps=12")
    whole = changed(options, options.output + "-wsd", *STABLE, *falling)
    stable = changed(options, options.output + "-stable", *STABLE, "steps=8", "keep_checkpoints=3")
    assert train(whole) == train(stable) == 0
    branch = changed(stable, stable.output + "-falls", *falling, f"branch={stable.output}/checkpoints/step-00000008")
    assert train(branch) == 0
    assert weights(branch) == weights(whole) and list(curve(branch, "loss")) == [9, 10, 11, 12]
    for sets, said in [
        (("optimizer.decay_steps=6", "steps=12"), "its learning rate has fallen otherwise than steps=12"),
        (("steps=16", "optimizer.decay_steps=4", "optimizer.decay=linear"), "`branch` from a checkpoint before it fell"),
    ]:
        with pytest.raises(CheckpointError, match=said):
            train(changed(whole, whole.output, *sets))
    with pytest.raises(CheckpointError, match="is of a later step than steps=4"):
        train(changed(stable, stable.output, "steps=4"))
    with pytest.raises(CheckpointError, match=r"branch: .*nowhere is no checkpoint"):
        train(changed(branch, branch.output + "-none", "branch=nowhere"))


def test_skipped_steps_are_read_and_not_learned_from(options: TrainRecipe, capsys: pytest.CaptureFixture[str]) -> None:
    plain = changed(options, options.output + "-plain", "checkpoint_every=2", "keep_checkpoints=9")
    skipping = changed(plain, options.output + "-skipping")
    assert train(plain) == train(skipping) == 0
    for folder in sorted(Path(skipping.output, "checkpoints").iterdir())[
        3:
    ]:  # steps 8, 10, 12: what is now left out is unlearned
        shutil.rmtree(folder)
    skipping = changed(skipping, skipping.output, "skip=[[7, 8], [11, 11]]")
    assert train(skipping) == 0
    assert "step 7/12  skipped: `skip` names it; `starmill trace" in capsys.readouterr().err
    ours, theirs = curve(skipping, "loss"), curve(plain, "loss")
    assert [*ours] == [1, 2, 3, 4, 5, 6, 9, 10, 12] and all(ours[n] == theirs[n] for n in range(1, 7)) and ours[9] != theirs[9]
    anew = changed(skipping, skipping.output + "-anew")
    assert train(anew) == 0 and curve(anew, "loss") == ours and weights(anew) == weights(skipping)
    with pytest.raises(CheckpointError, match="has learned from step 3, which `skip` names"):
        train(changed(skipping, skipping.output, "skip=[[3, 3]]"))
