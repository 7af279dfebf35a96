"""Any layout of ranks learns what one process learns, and a run goes on with another number of them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from small_tree import starmill
from small_workspace import RECIPE, build

from starmill.core import recipe
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange.huggingface import save
from starmill.trainer import parallel
from starmill.trainer.config import Parallel, load
from starmill.trainer.parallel import Ranks

ALONE = Ranks(torch.device("cpu"))
TINY = ModelConfig(100, 2, 32, 4, 2, 64, "rope", 64)
# StarCoder's shape: one key head, learned positions; and an untied head, dropout off.
STARCODER = ["model.kv_heads=1", "model.positions=learned", "model.sliding_window=null", "model.tie_embeddings=false"]
# Llama's: RMSNorm, a gated MLP, no biases.
LLAMA = ["model.norm=rms", "model.gated=true", "model.biases=none", "model.activation=silu"]
# Two tensor ranks that share out the sequence too.
SEQUENCE = ["parallel.tensor=2", "parallel.sequence=true"]


def decoder(options: Parallel, config: ModelConfig = TINY) -> Decoder:
    return parallel.build(config, options, ALONE, lambda d: d.init_weights(torch.Generator().manual_seed(1)))


def gradients(made: Decoder) -> list[torch.Tensor]:
    tokens = torch.arange(64).reshape(2, 32)
    torch.manual_seed(5)
    made(tokens).logsumexp(-1).mean().backward()
    return [p.grad.clone() for p in made.parameters() if p.grad is not None]


def test_recomputing_changes_no_bit_even_with_dropout() -> None:
    config = ModelConfig(100, 2, 32, 4, 2, 64, "rope", 64, dropout=0.2)
    kept, again = (gradients(decoder(Parallel(recompute=r), config)) for r in (False, True))
    assert all(torch.equal(a, b) for a, b in zip(kept, again, strict=True))


@pytest.mark.parametrize("limit", [0.01, 1e6])
def test_clipping_is_torchs(limit: float) -> None:
    ours, theirs = decoder(Parallel()), decoder(Parallel())
    gradients(ours), gradients(theirs)
    expected = torch.nn.utils.clip_grad_norm_(theirs.parameters(), limit).item()
    assert parallel.clip(list(ours.parameters()), limit, ALONE) == pytest.approx(expected, rel=1e-6)
    assert all(torch.allclose(a.grad, b.grad) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_the_gathered_model_is_the_model() -> None:
    made = decoder(Parallel())
    tokens = torch.arange(64).reshape(2, 32)
    complete = parallel.gathered(made, ALONE)
    assert complete is not None and complete.keys() == dict(made.named_parameters()).keys()
    again = Decoder.empty(TINY)
    again.load_state_dict(complete, strict=False, assign=True)
    again.tie()
    assert torch.equal(again(tokens), made(tokens))


MEASURE = """
import sys, yaml, torch
from starmill.core import recipe
from starmill.model.exchange import huggingface
from starmill.trainer import loop, parallel
from starmill.trainer.config import TrainRecipe

def status(key):
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith(key))

def built(folder):
    config = huggingface.shape(folder)
    options = recipe.build(TrainRecipe, {**yaml.safe_load(open(sys.argv[1])), "weights": folder})
    weights = loop._first_weights(options, config, False)
    return parallel.build(config, options.parallel, parallel.Ranks(torch.device("cpu")), weights)

built(sys.argv[2])  # what Python and torch take at a first use
before = status("VmRSS")
made = built(sys.argv[3])
print(sum(p.nbytes for p in made.parameters()), status("VmHWM") - before)
"""


def test_weights_of_an_earlier_phase_take_one_model_of_memory(tmp_path: Path) -> None:
    sizes = {"small": TINY, "large": ModelConfig(20_000, 12, 512, 4, 1, 2048, "learned", 512)}
    for name, config in sizes.items():
        save(Decoder(config).bfloat16(), tmp_path / name)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, "workspace": "w", "output": "o"}))
    paths = [str(tmp_path / name) for name in ("recipe.yaml", *sizes)]
    printed = subprocess.run([sys.executable, "-c", MEASURE, *paths], check=True, capture_output=True, text=True).stdout
    model, most = map(int, printed.split())
    assert model > 170e6 and most < model + 20_000 * 512 * 2 + 20e6, "in float32, beside one tensor as stored"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ranks")
    build(place / "w")
    (place / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, "workspace": str(place / "w"), "output": "none"}))
    return place


def command(output: Path, processes: int, *changes: str) -> list[str]:
    sets = [part for change in ("data.micro_batch=1", *changes) for part in ("--set", change)]
    ranks = ["--processes", str(processes), "--output", str(output)]
    return [sys.executable, "-m", "starmill.cli", "train", "recipe.yaml", *ranks, *sets]


def train(place: Path, output: str, processes: int, *changes: str) -> Path:
    words = command(place / output, processes, *changes)
    if processes == 1:
        done = starmill(*words[3:], cwd=place)
    else:
        done = subprocess.run(words, cwd=place, capture_output=True, text=True, timeout=500, env=environment())
    assert done.returncode == 0, done.stderr
    steps = 2 if "steps=2" in changes else 12
    assert done.stderr.count(f"step {steps}/{steps}  loss") == 1, "one rank speaks"
    assert "recompile_limit" not in done.stderr, "compiled code is shared by all blocks"
    return place / output


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def curve(output: Path) -> list[tuple[float, float]]:
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [(r.get("loss", r.get("held_out_loss")), r.get("gradient_norm", 0)) for r in rows]


def weights(output: Path) -> dict[str, torch.Tensor]:
    return load_file(output / "model/model.safetensors")


def assert_alike(output: Path, other: Path, tolerance: float) -> None:
    for mine, theirs in zip(curve(output), curve(other), strict=True):
        assert mine == pytest.approx(theirs, abs=tolerance)
    for name, tensor in weights(other).items():
        assert torch.allclose(weights(output)[name], tensor, atol=tolerance), name


@pytest.fixture(scope="module")
def one(place: Path) -> Path:
    return train(place, "one", 1)


@pytest.mark.slow
@pytest.mark.parametrize("more", [[], SEQUENCE[1:]], ids=["tensor", "sequence"])
def test_ranks_share_out_a_llama(place: Path, more: list[str]) -> None:
    alone = train(place, f"llama-1{len(more)}", 1, *LLAMA)
    assert_alike(train(place, f"llama-4{len(more)}", 4, "parallel.tensor=2", *LLAMA, *more), alone, 2e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "tensor", "replicas"),
    [(2, 1, 1), (4, 2, 1), (4, 1, 2), (4, 2, 2)],
    ids=["fsdp", "both", "hsdp", "replicas of tensor ranks"],
)
def test_every_layout_learns_the_same(place: Path, one: Path, processes: int, tensor: int, replicas: int) -> None:
    layout = f"parallel.tensor={tensor}", f"parallel.replicas={replicas}"
    output = train(place, f"{processes}-{tensor}-{replicas}", processes, *layout)
    assert_alike(output, one, 2e-5)
    if replicas > tensor:  # of a checkpoint of replicas another layout takes what it needs
        (output / "checkpoints/step-00000012").rename(output / "last")
        assert_alike(train(place, output.name, 2), one, 2e-5)


@pytest.mark.slow
def test_tallies_and_norms_are_those_of_all_ranks(place: Path) -> None:
    told = ("log_every=2", "norms_every=2", "steps=2", "optimizer.warmup_steps=1", "data.held_out=0")
    rows = []
    for processes, layout in ((1, ()), (4, ("parallel.tensor=2",))):
        output = train(place, f"told-{processes}", processes, *told, *layout)
        rows.append(json.loads((output / "metrics.jsonl").read_text().splitlines()[-1]))
    for name in ("weight_norm", "update_norm"):
        assert rows[0][name] == pytest.approx(rows[1][name], rel=1e-4), name
    for name in ("loss_by_kind", "loss_by_language"):
        assert rows[0][name] == pytest.approx(rows[1][name], abs=1e-4), name
    assert rows[0]["loss_by_kind"]["code"] == pytest.approx(rows[0]["loss"], abs=1e-5)


@pytest.mark.slow
def test_ranks_share_out_muons_matrices(place: Path) -> None:
    # A third layer, so that the last round has fewer matrices than ranks; float32, which the layouts' rounding changes less.
    rule = ("optimizer.muon={precision: float32}", "optimizer.average=0.9", "model.layers=3")
    alone = train(place, "muon-1", 1, *rule)
    assert_alike(train(place, "muon-4", 4, *rule, "parallel.tensor=2"), alone, 1e-4)
    assert_alike(train(place, "muon-2", 2, *rule), alone, 1e-4)
    assert_alike(train(place, "muon-tensor", 2, *rule, "parallel.tensor=2"), alone, 1e-4)


@pytest.mark.slow
def test_sharing_out_the_sequence_changes_nothing(place: Path, one: Path) -> None:
    # Two windows at a time: flattened, a rank's places of both lie in stripes, and targets must not.
    assert_alike(train(place, "sequence", 2, *SEQUENCE, "data.micro_batch=2"), one, 2e-5)


@pytest.mark.slow
def test_one_key_head_learned_positions_and_recomputing(place: Path) -> None:
    alone = train(place, "starcoder", 1, *STARCODER)
    memory = ("parallel.recompute=true", "asynchronous_checkpoints=true")
    # Gradients of a step's two micro-batches one by one, and, as everywhere else, together.
    for name, layout in (("tensor", ["parallel.tensor=2", "parallel.reduce_once=false"]), ("sequence", SEQUENCE)):
        assert_alike(train(place, f"starcoder-4-{name}", 4, *STARCODER, *memory, *layout), alone, 2e-5)


@pytest.mark.slow
def test_half_precision(place: Path, one: Path) -> None:
    half = "parallel.precision=bfloat16"
    alone = train(place, "half", 1, half)
    assert curve(alone) != curve(one)
    shared = train(place, "half-2", 2, half)
    coarse = train(place, "half-2-coarse", 2, half, "parallel.reductions=bfloat16")
    assert curve(coarse) != curve(shared), "gradients are summed in float32 unless told otherwise"
    sequence = train(place, "half-sequence", 2, half, *SEQUENCE)
    for other in (shared, coarse, sequence):
        for mine, theirs in zip(curve(other), curve(alone), strict=True):
            assert mine == pytest.approx(theirs, abs=3e-2)
    assert {t.dtype for output in (alone, shared, coarse, sequence) for t in weights(output).values()} == {torch.float32}


@pytest.mark.slow
def test_blocks_compiled_and_recomputed_on_ranks_that_share_out_weights(place: Path) -> None:
    # Ten blocks: torch gives up on code that it has compiled eight times, and the blocks are to share it.
    deep = ["model.layers=10", "steps=2", "optimizer.warmup_steps=1", "log_every=2", "data.held_out=0"]
    alone = train(place, "deep", 1, *deep)
    compiled = train(
        place, "compiled", 2, *deep, "parallel.compile=true", "parallel.recompute=true", "parallel.precision=bfloat16"
    )
    for mine, theirs in zip(curve(compiled), curve(alone), strict=True):
        assert mine == pytest.approx(theirs, abs=3e-2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "more"),
    [(signal.SIGKILL, []), (signal.SIGTERM, ["asynchronous_checkpoints=true", "parallel.tensor=2"])],
    ids=["fsdp", "tp"],
)
def test_a_stopped_run_goes_on_with_as_many_ranks_and_with_others(
    place: Path, one: Path, number: signal.Signals, more: list[str]
) -> None:
    whole, output = train(place, f"whole-{number}", 2, *more), place / f"stopped-{number}"
    started = subprocess.Popen(command(output, 2, *more), cwd=place, env=environment(), stderr=subprocess.PIPE, text=True)
    while not list((output / "checkpoints").glob("step-*")) and started.poll() is None:
        time.sleep(0.005)
    started.send_signal(number)  # to torchrun, which cannot tell its ranks of a SIGKILL
    _, said = started.communicate(timeout=100)  # until no rank holds the pipe any more
    assert started.returncode == (-9 if number == signal.SIGKILL else 143), "as of one process; 0: the run was over before"
    assert number == signal.SIGKILL or "run the same command to continue" in said
    kept = {p.name for p in (output / "checkpoints").glob("step-*")}
    assert kept and "step-00000012" not in kept
    subprocess.run(["cp", "-r", str(output), f"{output}-4"], check=True)
    train(place, output.name, 2, *more)
    assert curve(output) == curve(whole), "bit for bit"
    assert all(torch.equal(tensor, weights(output)[name]) for name, tensor in weights(whole).items())
    assert_alike(train(place, f"{output.name}-4", 4, "parallel.tensor=2", *more), one, 2e-5)


@pytest.mark.slow
def test_what_cannot_be_shared_out(place: Path) -> None:
    failing = command(place / "none", 4, "parallel.tensor=4")
    done = subprocess.run(failing, cwd=place, capture_output=True, text=True, timeout=200, env=environment())
    assert done.returncode == 2
    assert done.stderr == "starmill: recipe.yaml: parallel.tensor=4 does not divide the model's heads, key heads or mlp_size\n"


def test_a_batch_that_does_not_come_out_even_is_refused(place: Path) -> None:
    options = load(str(place / "recipe.yaml"), ["data.batch=6", "data.micro_batch=1"])
    with pytest.raises(ValueError, match=r"data\.batch=6 is no multiple of data\.micro_batch=1 times 4 data ranks"):
        options.accumulation(4)


def test_ranks_that_do_not_come_out_even_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(ValueError, match=r"parallel.tensor=2 does not divide the 1 ranks; start a multiple with torchrun"),
        parallel.joined("cpu", 2),
    ):
        pass
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(ValueError, match=r"parallel.tensor=3 does not divide the 4 ranks"), parallel.joined("cpu", 3):
        pass
    refused = pytest.raises(ValueError, match=r"parallel.replicas=3 does not divide the 4 data ranks")
    with refused, parallel.joined("cpu", 1, replicas=3):
        pass
    with pytest.raises(recipe.RecipeError):
        recipe.build(Parallel, {"tensor": 0})
