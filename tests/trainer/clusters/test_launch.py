"""`starmill launch`: what would be submitted is shown to the letter, what cannot work is refused. Submitted for real: end_to_end/."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from starmill.cli.__main__ import main
from starmill.trainer.clusters import launch

RECIPE = "starcoderbase"  # tensor parallel, 4 ranks a matrix; batches of 512


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status = main(["launch", *arguments, "--dry-run"])
    said = capsys.readouterr()
    assert status == 0, said.err
    return said.out


def test_a_dry_run_for_slurm_is_the_call_and_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--nodes", "16", "--gpus-per-node", "8", "--time", "1-12", "--save-seconds", "600", "--partition", "gpu"]
    said = shown(capsys, "slurm", RECIPE, *options, "--sbatch=--constraint=h100", "--set", "seed=7", "--output", "my model")
    call, _, script = said.partition("\n\n")
    head, own = shlex.split(call.partition(str(launch.SCRIPT))[0]), shlex.split(call.partition(str(launch.SCRIPT))[2])
    assert head[0] == "sbatch" and own == [sys.executable, "8", RECIPE, "--output", "my model", "--set", "seed=7"]
    for option in ("nodes=16", "gpus-per-node=8", "signal=B:USR1@600", "time=1-12", "partition=gpu", "constraint=h100"):
        assert f"--{option}" in head
    assert "--exclusive" in head and "--mem=0" in head and "cpus-per-task" not in " ".join(head)
    assert "--output=runs/logs/%x-%j.log" in head and script.endswith(launch.SCRIPT.read_text())


@pytest.mark.parametrize(
    ("options", "cpus"),
    [
        (["--gpus-per-node", "2", "--cpus-per-node", "12"], 12),  # a part of a node, which others share
        (["--processes-per-node", "4"], 8),  # the recipe's two threads a rank
        (["--processes-per-node", "4", "--set", "threads=3"], 12),
        (["--cpus-per-node", "1"], 1),
    ],
)
def test_a_node_s_cpus_are_asked_for(options: list[str], cpus: int, capsys: pytest.CaptureFixture[str]) -> None:
    head = shown(capsys, "slurm", "tiny", "--set", "data.micro_batch=1", *options).splitlines()[0]
    assert f"--cpus-per-task={cpus} " in head and "--exclusive" not in head and "--mem" not in head


def test_tasks_of_an_array_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    array = ["slurm", "tiny", "--array", "0-3,7%2"]
    assert "%x-%A_%a.log" in shown(capsys, *array, "--output", "runs/model-%a", "--set", "seed=%a").splitlines()[0]
    assert main(["launch", *array, "--set", "seed=%a", "--dry-run"]) == 2
    assert "put %a into it" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["$(touch x)", "a;touch x", "a`touch x`", "a'; touch x; '", "a b", "a%a"])
def test_nothing_reaches_a_shell(value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call = shown(capsys, "slurm", "tiny", "--set", f"workspace={value}").splitlines()[0]
    said = subprocess.run(["sh", "-c", f"printf '%s\\n' {call}"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert said.stdout.splitlines()[-1] == f"workspace={value}" and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nodes", "3", "--gpus-per-node", "2"], "parallel.tensor=4 does not divide the 6 ranks of 3 nodes"),
        (["--nodes", "4", "--gpus-per-node", "2"], "a matrix would span nodes"),
        (["--nodes", "3", "--gpus-per-node", "8"], "data.batch=512 is no multiple of data.micro_batch=1 times 6 data ranks"),
        (["--gpus-per-node", "32", "--set", "parallel.tensor=32"], "does not divide the model's heads"),
        (["--nodes", "0"], "'--nodes': Input should be greater than or equal to 1"),
        (["--set", "steps=x"], "steps: expected int"),
        (["--set", "paralel.tensor=1"], "did you mean 'parallel'"),
    ],
)
@pytest.mark.parametrize("system", ["slurm", "kubernetes"])
def test_what_does_not_fit_is_refused(
    system: str, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["launch", system, RECIPE, *arguments, "--dry-run"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["slurm", "tiny", "--name", "Tiny; rm"], "--name 'Tiny; rm': expected lower-case letters"),
        (["slurm", "tiny", "--time", "soon"], "--time 'soon': expected Slurm's minutes"),
        (["slurm", "tiny", "--sbatch=-w node"], "--sbatch '-w node': expected one option"),
        (["slurm", "tiny", "--partition", "a\nb"], "expected names"),
        (["slurm", "tiny", "--array", "0-"], "--array '0-': expected"),
        (["slurm", "tiny", "--array", "3-1", "--output", "%a"], "--array 3-1: no task in it"),
        (["slurm", "tiny", "--save-seconds", "0"], "'--save-seconds': Input"),
        (
            ["slurm", "tiny", "--processes-per-node", "2", "--set", "data.micro_batch=4", "--cpus-per-node", "1"],
            "2 ranks",
        ),
        (["slurm", "no-such"], "no such recipe"),
        (["kubernetes", "tiny", "--image", "a b"], "--image 'a b': expected an image"),
        (["kubernetes", "tiny", "--overlay", "gpu-h200"], "one of: cpu-small, gpu-h100"),
    ],
)
def test_wrong_values_are_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["launch", *arguments, "--dry-run"]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("given", ["--workspace", "--output", "--set=workspace"])
@pytest.mark.parametrize("system", ["slurm", "kubernetes"])
def test_credentials_reach_no_job(
    system: str, given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["launch", system, "tiny", f"{given}=s3://AKIAKEY:se/cret@bucket/work"]) == 2
    told = "".join(capsys.readouterr())
    assert "in the environment" in told and "cret@" not in told and "AKIAKEY" not in told and not list(tmp_path.iterdir())


@pytest.mark.parametrize(("system", "program"), [("slurm", "sbatch"), ("kubernetes", "kubectl")])
def test_a_missing_program_is_named_before_anything_is_written(
    system: str, program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.chdir(tmp_path)
    assert main(["launch", system, "tiny"]) == 3
    assert f"there is no {program} on PATH" in capsys.readouterr().err and not list(tmp_path.iterdir())
    shown(capsys, system, "tiny")
