"""`starmill train`: killed, as a real process, and continued it gives the same losses to the bit, and a model others load."""

import json
import shutil
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


def run(place: Path, *arguments: str, resume: Path | None = None) -> "subprocess.CompletedProcess[str]":
    first = ["recipe.yaml"] if resume is None else ["--resume", str(resume)]
    return starmill("train", *first, *arguments, cwd=place, check=False)


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
        assert "stopping: saves after this step" in said and "run the same command to continue" in said
    done = run(place, "--output", str(output)) if number == signal.SIGKILL else run(place, resume=output)
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
        (["--set", "seed=5"], "another recipe; these keys differ: seed: 0 -> 5; steps: 8 -> 12; go back to it, use --fresh"),
        (["--workspace", "none"], "run `starmill run` first"),
    ]:
        wrong = run(place, *arguments)
        assert wrong.returncode == 1 and message in wrong.stderr


def test_the_output_says_what_made_it_and_is_enough_to_go_on(place: Path, whole: Path, tmp_path: Path) -> None:
    kept = yaml.safe_load((whole / "recipe.yaml").read_text())
    assert kept["workspace"] == str(place / "w") and kept["data"]["fim"]["rate"] == 0.5, "defaults are written out"
    start = json.loads((whole / "starts.jsonl").read_text().splitlines()[-1])
    assert start["versions"]["torch"] == torch.__version__ and start["ranks"] == {"all": 1, "data": 1, "tensor": 1}
    assert start["shards"] == json.loads((place / "w/shards/manifest.json").read_text())["digest"]
    exported = starmill("export", str(whole), "--to", str(tmp_path / "published"), cwd=tmp_path, check=False)
    assert exported.returncode == 0, exported.stderr
    config = json.loads((tmp_path / "published/tokenizer_config.json").read_text())
    assert config["model_max_length"] == kept["model"]["max_positions"] == 64
    wrong = starmill("train", "--resume", str(tmp_path), cwd=tmp_path, check=False)
    assert wrong.returncode == 2 and "no recipe.yaml in it" in wrong.stderr


def test_weights_of_another_tokenizer_are_refused(place: Path, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "model", tmp_path / "other")
    file = tmp_path / "other/tokenizer.json"
    values = json.loads(file.read_text())
    for changed, said in [
        ({}, None),  # another layout of the same
        (
            {
                (a := max(values["model"]["vocab"], key=values["model"]["vocab"].get)): 41,
                next(k for k, v in values["model"]["vocab"].items() if v == 41): values["model"]["vocab"][a],
            },
            "first",
        ),
    ]:
        file.write_text(json.dumps({**values, "model": {**values["model"], "vocab": {**values["model"]["vocab"], **changed}}}))
        done = run(
            place, "--output", str(tmp_path / "out"), "--fresh", "--set", f"weights={tmp_path / 'other'}", "--set", "steps=3"
        )
        assert done.returncode == (2 if said else 0), done.stderr
        assert said is None or "was trained with another tokenizer than the shards' (" in done.stderr
