"""The plan agrees with what the published runs cost, and its memory with tensors that exist."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.presets import PRESETS
from starmill.trainer import checkpoint, plan
from starmill.trainer.config import TrainRecipe
from starmill.trainer.optim import optimizer

ROOT = Path(__file__).resolve().parent.parent.parent
PUBLISHED = sorted(p.stem.removeprefix("train-") for p in (ROOT / "recipes").glob("train-starcoder*.yaml"))


def shipped(name: str) -> TrainRecipe:
    return recipe.load(TrainRecipe, str(ROOT / f"recipes/train-{name}.yaml"))


def planned(name: str) -> tuple[TrainRecipe, float, plan.Cost]:
    options = shipped(name)
    assert options.hardware is not None and options.model.vocab_size is not None
    config = options.model.config(options.model.vocab_size)
    flops = options.steps * options.tokens_per_step * plan.flops_per_token(config, options.data.sequence_length)
    return options, flops, plan.cost(flops, options.hardware)


def test_starcoderbase() -> None:
    # 250,000 steps of 4 M tokens on 512 A100: 320,256 GPU-hours, 89,671.68 kWh, 16.68 t (paper, section 5.7 and model card)
    options, flops, spent = planned("starcoderbase")
    assert options.steps * options.tokens_per_step == 1_048_576_000_000
    assert flops / 320_256 / 3600 == pytest.approx(95.7e12, rel=1e-3), "FLOP/s of a GPU, with causal attention"
    assert spent.hours == pytest.approx(320_256, rel=0.005)
    assert options.hardware is not None and spent.kwh / options.hardware.pue == pytest.approx(89_671.68, rel=0.005)
    assert spent.kg_co2 == pytest.approx(16_680, rel=0.005)
    assert spent.days == pytest.approx(24, abs=3)


def test_starcoder2_3b() -> None:
    # 5.94e22 FLOPs, 97,120 A100-hours, 14,995 kg; and 10,000 tokens a second and GPU while it ran
    options, flops, spent = planned("starcoder2-3b")
    assert flops == pytest.approx(5.94e22, rel=0.1)
    assert spent.hours == pytest.approx(97_120, rel=0.005) and spent.kg_co2 == pytest.approx(14_995, rel=0.005)
    assert options.hardware is not None
    running = 10_000 * flops / options.steps / options.tokens_per_step / 312e12
    measured = plan.cost(flops, replace(options.hardware, mfu=running))
    assert measured.hours == pytest.approx(options.steps * options.tokens_per_step / 10_000 / 3600)
    assert 0.85 < measured.hours / 97_120 < 1, "the rest is what a run loses to restarts and evaluation"


def test_starcoder2_7b_and_15b() -> None:
    _, flops, spent = planned("starcoder2-7b")
    assert flops == pytest.approx(1.55e23, rel=0.1)
    assert spent.hours == pytest.approx(145_152, rel=0.005) and spent.kg_co2 == pytest.approx(28_022, rel=0.005)
    assert planned("starcoder2-15b")[1] == pytest.approx(3.87e23, rel=0.12)


def test_phases_after_the_first() -> None:
    # Python: 11,208 GPU-hours, 3,138.23 kWh, 0.58 t (StarCoder, section 5.7). 16,384 tokens: 16,107 - 14,995 kg and 29,623 - 28,022 kg.
    options, _, spent = planned("starcoder")
    assert options.steps * options.tokens_per_step == 35_651_584_000
    assert options.hardware is not None and spent.kwh / options.hardware.pue == pytest.approx(3_138.23, rel=0.005)
    assert spent.hours == pytest.approx(11_208, rel=0.005) and spent.kg_co2 == pytest.approx(580, rel=0.01)
    for name, tokens, kg in (("starcoder2-3b-16k", 2.1e11, 1_112), ("starcoder2-7b-16k", 2.0e11, 1_601)):
        options, _, spent = planned(name)
        assert options.steps * options.tokens_per_step == pytest.approx(tokens, rel=0.01)
        assert spent.kg_co2 == pytest.approx(kg, rel=0.005)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_recipes_train_the_published_shapes(name: str) -> None:
    options = shipped(name)
    assert options.model.vocab_size is not None
    mine = options.model.config(options.model.vocab_size)
    if name.startswith("starcoder2"):
        released = PRESETS[name.removesuffix("-16k") if name.endswith("-16k") else f"{name}-4k"]
        # The released 3B's rotations are its training's 1e6 in half precision; a window as long as the sequence is none.
        near = {"rope_theta": pytest.approx(mine.rope_theta, rel=1e-6), "sliding_window": mine.sliding_window}
        assert vars(mine) == {**vars(released), **near} and mine.sliding_window == 4096
    else:
        assert mine == PRESETS["starcoderbase" if name == "starcoder" else name]
    assert options.hardware is not None
    chosen = [m for _, t, m in plan.layouts(mine, options, options.hardware.devices) if t == options.parallel.tensor]
    assert len(chosen) == 1 and chosen[0].total < options.hardware.memory_gb * 1e9


def test_every_published_size_and_phase_is_there() -> None:
    bases = [n for n in PRESETS if n.startswith("starcoderbase")]
    second = [n for n in PRESETS if n.startswith("starcoder2") and not n.endswith("-4k")]
    assert sorted([*bases, "starcoder", *second, *(f"{n}-16k" for n in second)]) == PUBLISHED


@pytest.mark.parametrize("name", [n for n in PUBLISHED if n.endswith("-16k") or n == "starcoder"])
def test_a_phase_starts_from_what_the_one_before_writes(name: str) -> None:
    options = shipped(name)
    before = shipped({"starcoder": "starcoderbase"}.get(name, name.removesuffix("-16k")))
    assert options.weights == f"{before.output}/model" and options.output != before.output


@pytest.mark.parametrize("window", [None, 5, 16, 40])
def test_attention_is_counted_key_by_key(window: int | None) -> None:
    config = ModelConfig(100, 3, 32, 4, 2, 64, "rope", 64, sliding_window=window)
    bare = 6 * sum(p.numel() for p in Decoder(config).parameters())
    seen = [min(q + 1, window or 40) for q in range(40)]  # keys of each query; half a key more than the integral has
    # 2 products of 2 FLOPs a key and element, and twice that backwards
    exact = bare + 3 * 4 * config.layers * config.hidden_size * sum(seen) / 40
    assert plan.flops_per_token(config, 40) == pytest.approx(exact, abs=12 * 3 * 32 * 0.51)


def test_memory_of_the_state_is_that_of_its_tensors() -> None:
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": "w", "output": "o"})
    config = options.model.config(300)
    decoder = Decoder(config)
    tensors = checkpoint.state(decoder, optimizer(decoder, options.optimizer), 0).values()
    gradients = sum(p.numel() * p.element_size() for p in decoder.parameters())
    assert plan.memory(config, options, 1, 1).state == sum(t.numel() * t.element_size() for t in tensors) + gradients
    four = plan.memory(config, options, 2, 2)
    assert four.state == plan.memory(config, options, 1, 1).state / 4
    assert four.total == four.state + four.gathered + four.activations + four.logits


def test_recomputation_trades_activations() -> None:
    options = shipped("starcoder2-7b")
    config = PRESETS["starcoder2-7b"]
    less = plan.memory(config, replace(options, parallel=replace(options.parallel, recompute=True)), 8, 1)
    more = plan.memory(config, options, 8, 1)
    assert less.activations < more.activations / 8 and (less.state, less.logits) == (more.state, more.logits)


def test_sequence_parallelism_shares_out_all_activations() -> None:
    options, config = shipped("starcoderbase-7b"), PRESETS["starcoderbase-7b"]
    assert options.parallel.tensor == 2 and not options.parallel.recompute
    shared = replace(options, parallel=replace(options.parallel, sequence=True))
    alone, tensor, sequence = (
        plan.memory(config, options, 8, 1),
        plan.memory(config, options, 8, 2),
        plan.memory(config, shared, 8, 2),
    )
    assert sequence.activations == alone.activations / 2 < tensor.activations  # Korthikanti et al. 2022, equation 4
    assert tensor.activations == alone.activations * (10 + 24 / 2) / 34, "equation 2"
    assert plan.memory(config, shared, 8, 1) == alone


def test_logits_are_held_some_rows_at_a_time() -> None:
    options, config = shipped("starcoder2-3b"), PRESETS["starcoder2-3b"]
    options = replace(options, data=replace(options.data, micro_batch=4))
    whole = 4 * 4096 * config.vocab_size * 10  # bytes in bfloat16, float32, and the gradient in float32
    assert plan.memory(config, options, 8, 2).logits == whole
    assert plan.memory(config, options, 8, 1).logits < whole / 2


def test_layouts_are_those_that_a_run_accepts() -> None:
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": "w", "output": "o"})
    config = options.model.config(300)  # 4 heads, 2 key heads, 4 windows in micro-batches of 4
    assert [(d, t) for d, t, _ in plan.layouts(config, options, 2)] == [(1, 2)]
    ones = replace(options, data=replace(options.data, micro_batch=1))
    assert [(d, t) for d, t, _ in plan.layouts(config, ones, 4)] == [(4, 1), (2, 2)]
    changes = ["data.micro_batch=1", "data.sequence_length=30", "parallel={tensor: 2, sequence: true}"]
    odd = recipe.build(TrainRecipe, recipe.override({**RECIPE, "workspace": "w", "output": "o"}, changes))
    one_key = replace(config, kv_heads=1)
    assert [(d, t) for d, t, _ in plan.layouts(one_key, odd, 4)] == [(4, 1), (2, 2)]
    assert [(d, t) for d, t, _ in plan.layouts(one_key, ones, 4)] == [(4, 1), (2, 2), (1, 4)]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plan.main([str(ROOT / "recipes/train-starcoderbase.yaml"), "--set", "workspace=none"]) == 0
    shown = capsys.readouterr().out
    assert "15,517,456,384 parameters" in shown and "128 x 4" in shown and "<- this recipe" in shown
    assert plan.main(["train-starcoder2-3b", "--set", "hardware.devices=320"]) == 0
    shown = capsys.readouterr().out
    assert "160 x 2" in shown and "does not come out even: parallel.tensor=1, data.batch=640" in shown
    build(tmp_path / "w")
    values = {**RECIPE, "workspace": str(tmp_path / "w"), "output": "o", "hardware": {"peak_tflops": 1e-9, "memory_gb": 1e-9}}
    values["data"] = {**values["data"], "mixture": {"languages": {"Pyhton": 1.0}, "caps": {"Java": 5}}}
    (tmp_path / "r.yaml").write_text(yaml.safe_dump(values))
    assert plan.main([str(tmp_path / "r.yaml")]) == 0
    shown = capsys.readouterr().out
    assert "not in these shards: language Java, Pyhton" in shown and "too large" in shown and "epochs" in shown
    assert plan.main([str(tmp_path / "r.yaml"), "--workspace", str(tmp_path / "none")]) == 1
    assert "run `starmill run` first" in capsys.readouterr().err
