"""A training on a real Slurm of two nodes: requeued, preempted, warned before its time limit, cancelled; it equals an unbroken one."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import slurm
import yaml
from pages import ROOT, commands
from small_workspace import RECIPE, build

pytestmark = pytest.mark.clusters
# A step takes a while, so that a job can be met in the middle of its work: a wider model and many micro-batches.
WIDER = {"layers": 2, "hidden_size": 64, "heads": 4, "kv_heads": 2, "mlp_size": 256}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[slurm.Slurm]:
    folder = tmp_path_factory.mktemp("slurm")
    with slurm.running(folder) as running:
        yield running
    assert not slurm.leftover(folder)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("trainings")
    build(place / "w")
    data = {**RECIPE["data"], "batch": 16, "micro_batch": 1}
    values = {**RECIPE, "steps": 120, "checkpoint_every": 40, "data": data, "model": {**RECIPE["model"], **WIDER}}
    (place / "recipe.yaml").write_text(
        yaml.safe_dump({**values, "workspace": str(place / "w"), "output": str(place / "whole")})
    )
    return place


@pytest.fixture(scope="module")
def whole(place: Path) -> Path:
    """The unbroken run: as many ranks, on one machine, without Slurm."""
    command = [sys.executable, "-m", "starmill.cli", "train", "recipe.yaml", "--processes", "2"]
    subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=300)
    return place / "whole"


def launch(cluster: slurm.Slurm, place: Path, output: str, *options: str) -> str:
    """Submit with `starmill launch slurm`; return the job's number."""
    command = ["starmill", "launch", "slurm", "recipe.yaml", "--nodes", "2", "--output", output, *options]
    return cluster.run(*command, cwd=place).split()[-1]


def reached(place: Path, output: str, steps: int) -> None:
    """Return when the training has taken so many steps."""
    metrics = place / output / "metrics.jsonl"
    until(lambda: metrics.exists() and metrics.read_text().count("gradient_norm") >= steps, place)


def until(true: Callable[[], bool], place: Path) -> None:
    deadline = time.monotonic() + 200
    while not true():
        assert time.monotonic() < deadline, "".join(p.read_text() for p in (place / "runs/logs").glob("*"))
        time.sleep(0.05)


def equals(output: Path, whole: Path) -> None:
    def losses(folder: Path) -> list[tuple[int, float]]:
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        return [(r["step"], r.get("loss", r.get("held_out_loss"))) for r in rows]

    assert losses(output) == losses(whole)
    assert (output / "model/model.safetensors").read_bytes() == (whole / "model/model.safetensors").read_bytes()


def log(place: Path, number: str) -> str:
    return "".join(file.read_text() for file in (place / "runs/logs").glob(f"*-{number}.log"))


def test_a_requeued_and_preempted_job_goes_on_and_equals_the_unbroken_run(
    cluster: slurm.Slurm, place: Path, whole: Path
) -> None:
    number = launch(cluster, place, "requeued")
    reached(place, "requeued", 10)
    assert cluster.job(number)["NodeList"] == ",".join(slurm.NODES)
    cluster.run("scontrol", "requeue", number)
    cluster.wait(number, ["PENDING"])
    cluster.wait(number, ["RUNNING"])
    until(lambda: log(place, number).count("continuing after step") == 1, place)
    reached(place, "requeued", 50)
    urgent = cluster.run(
        "sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1"
    )
    cluster.wait(urgent, ["COMPLETED"])
    job = cluster.wait(number, ["COMPLETED", "FAILED", "TIMEOUT", "NODE_FAIL", "CANCELLED"])
    said = log(place, number)
    assert job["JobState"] == "COMPLETED" and job["Restarts"] == "2", said
    assert said.count("stopped after step") == said.count("continuing after step") == 2 and "DUE TO PREEMPTION" in said, said
    equals(place / "requeued", whole)


def test_a_job_is_warned_before_its_limit_and_comes_again_until_it_is_cancelled(cluster: slurm.Slurm, place: Path) -> None:
    number = launch(cluster, place, "limited", "--time", "2", "--save-seconds", "60", "--set", "steps=100000")
    deadline = time.monotonic() + 400
    while "continuing after step" not in (said := log(place, number)):
        assert time.monotonic() < deadline and cluster.job(number)["JobState"] in ("PENDING", "RUNNING"), said
        time.sleep(0.5)
    assert "stopped after step" in said and "stopped with status 138 after the early warning; queued again" in said
    assert cluster.job(number)["Restarts"] == "1"
    before = newest(place / "limited")
    reached(place, "limited", before + 3)
    cluster.run("scancel", number)
    job = cluster.wait(number, ["CANCELLED", "COMPLETED", "FAILED"])
    assert job["JobState"] == "CANCELLED" and job["Restarts"] == "1"
    assert newest(place / "limited") > before, "cancelled, it saves as well"


def newest(output: Path) -> int:
    return max(int(path.name.removeprefix("step-")) for path in (output / "checkpoints").glob("step-*"))


def test_tasks_of_an_array_keep_apart(cluster: slurm.Slurm, place: Path) -> None:
    short = ["--set", "steps=2", "--set", "optimizer.warmup_steps=1", "--set", "seed=%a", "--nodes", "1"]
    number = launch(cluster, place, "seed-%a", "--array", "3,5%1", *short)
    for task in ("3", "5"):
        assert cluster.wait(f"{number}_{task}", ["COMPLETED", "FAILED"])["JobState"] == "COMPLETED"
        assert "step 2/2" in log(place, f"{number}_{task}")
    seeds = [json.loads((place / f"seed-{task}/metrics.jsonl").read_text().splitlines()[1])["loss"] for task in ("3", "5")]
    assert seeds[0] != seeds[1]


@pytest.mark.parametrize(
    ("options", "cpus"),
    [
        (["--set", "threads=2"], 2),
        (["--cpus-per-node", "1"], 1),
        (["--gpus-per-node", "1"], 2),
        (["--gpus-per-node", "1", "--cpus-per-node", "1"], 1),
    ],
)
def test_ranks_have_the_cpus_of_their_job(cluster: slurm.Slurm, place: Path, options: list[str], cpus: int) -> None:
    program = place / "cpus"
    program.write_text("#!/bin/sh\necho $(env -u OMP_NUM_THREADS nproc) CPUs, ${SLURM_GPUS_ON_NODE:-0} GPUs\n")
    program.chmod(0o755)
    number = launch(cluster, place, "cpus-model", "--python", str(program), *options)
    job = cluster.wait(number, ["COMPLETED", "FAILED"])
    assert log(place, number).count(f"{cpus} CPUs, {int('--gpus-per-node' in options)} GPUs") == 2, log(place, number)
    alone = options == ["--gpus-per-node", "1"]
    assert (job["OverSubscribe"] == "NO") == alone, "others may have the rest of a node, but for one that was taken whole"


def test_a_recipe_that_cannot_be_trained_ends_its_job(cluster: slurm.Slurm, place: Path) -> None:
    number = launch(cluster, place, "wrong", "--workspace", "nowhere")
    assert cluster.wait(number, ["COMPLETED", "FAILED"])["JobState"] == "FAILED"
    assert "run `starmill run` first" in log(place, number) and cluster.job(number)["Restarts"] == "0"


def test_the_commands_of_the_page(cluster: slurm.Slurm, place: Path) -> None:
    for name, target in {"infra": ROOT / "infra", "recipes": ROOT / "recipes", "work": place / "w"}.items():
        (place / name).symlink_to(target)
    ran = [c for c in commands(ROOT / "docs" / "clusters.md") if "slurm" in c or c.startswith("squeue")]
    assert len(ran) == 5
    for command in ran:
        short = " --set steps=2 --set optimizer.warmup_steps=1" if command.startswith(("starmill", "sbatch")) else ""
        cluster.run("bash", "-c", command + short, cwd=place)
    for model in ("model", "by-hand"):
        reached(place, model, 2)


def test_slurm_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(RuntimeError, match=r"no munged, .*apt-get install slurm-wlm munge"), slurm.running(tmp_path):
        pass
    assert not os.listdir(tmp_path)
