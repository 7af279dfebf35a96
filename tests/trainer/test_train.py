"""`starmill train`: killed, as a real process, and continued it gives the same losses to the bit, and a model others load."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from small_tree import starmill
from small_workspace import RECIPE, build


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("train")
    build(place / "w")
    (place / "recipe.yaml").write_text(
        yaml.safe_dump({**RECIPE, "workspace": str(place / "w"), "output": str(place / "whole")})
    )
    return place


def run(place: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return starmill("train", "recipe.yaml", *arguments, cwd=place, check=False)


def losses(output: Path) -> list[tuple[int, float]]:
    rows = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [(r["step"], r.get("loss", r.get("held_out_loss"))) for r in rows]


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    done = run(place)
    assert done.returncode == 0, done.stderr
    assert "step 12/12  loss" in done.stderr and "held-out loss" in done.stderr
    return place / "whole"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped_and_continued_equals_unbroken(place: Path, whole: Path, number: signal.Signals, status: int) -> None:
    output = place / f"stopped-{number}"
    command = [sys.executable, "-m", "starmill.cli", "train", "recipe.yaml", "--output", str(output)]
    broken = subprocess.Popen(command, cwd=place, stderr=subprocess.PIPE, text=True)
    while not list((output / "checkpoints").glob("step-*")) and broken.poll() is None:
        time.sleep(0.005)
    broken.send_signal(number)
    _, said = broken.communicate(timeout=60)
    if broken.returncode == 0:
        pytest.fail("the run was over before the signal came")
    assert broken.returncode == status
    if number != signal.SIGKILL:
        assert "run the same command to continue" in said
    done = run(place, "--output", str(output))
    assert done.returncode == 0 and "continuing after step" in done.stderr
    assert losses(output) == losses(whole)
    assert (output / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()


def test_transformers_loads_the_model(whole: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from starmill.model.exchange.huggingface import load

    tokens = torch.tensor([AutoTokenizer.from_pretrained(whole / "model")("def function_3(argument):\n")["input_ids"]])
    theirs = AutoModelForCausalLM.from_pretrained(whole / "model").eval()
    with torch.no_grad():
        assert (theirs(tokens).logits - load(whole / "model")(tokens)).abs().max() < 1e-4


def test_again_dry_and_wrong(place: Path, whole: Path) -> None:
    again = run(place)
    assert again.returncode == 0 and "all 12 steps are done" in again.stderr
    fresh = run(place, "--fresh", "--set", "steps=8")
    assert fresh.returncode == 0 and "step 8/8" in fresh.stderr
    assert sorted(p.name for p in (whole / "checkpoints").iterdir()) == ["step-00000004", "step-00000008"], (
        "none of the longer run"
    )
    dry = run(place, "--dry-run", "--output", "nowhere")
    assert dry.returncode == 0 and "parameters" in dry.stdout and not (place / "nowhere").exists()
    for arguments, message in [
        (["--set", "seed=5"], "another recipe; go back to it, use --fresh"),
        (["--workspace", "none"], "run `starmill run` first"),
    ]:
        wrong = run(place, *arguments)
        assert wrong.returncode == 1 and message in wrong.stderr
