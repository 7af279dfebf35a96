"""Checkpoints are scored by a real `starmill evaluate` beside the training, with the scores that the command gives by itself."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from small_workspace import RECIPE, build

from starmill.cli.__main__ import main
from starmill.core.errors import UsageError
from starmill.trainer.benchmarks import Scoring, Tasks


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    there = tmp_path_factory.mktemp("benchmarks")
    build(there / "workspace")
    own = there / "own"
    own.mkdir()
    for name in "abc":
        text = f"import os\n\n\ndef {name}(value):\n    print(value)\n    return os.path.join(value, '{name}')\n"
        (own / f"{name}.py").write_text(text * 3)
    recipe = {
        **RECIPE,
        "workspace": str(there / "workspace"),
        "output": str(there / "out"),
        "steps": 4,
        "checkpoint_every": 2,
        "keep_checkpoints": 1,
        "tasks": {"names": ["held_out_*"], "held_out_files": str(own), "limit": 2},
    }
    (there / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return there


def lines(output: Path) -> dict[int, dict[str, dict[str, float]]]:
    found = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert len({line["step"] for line in found if "tasks" in line}) == sum("tasks" in line for line in found)
    return {line["step"]: line["tasks"] for line in found if "tasks" in line}


def test_scores_are_those_of_the_command(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(place / "recipe.yaml"), "--set=asynchronous_checkpoints=true"]) == 0
    found, scored = lines(place / "out"), place / "out/tasks/step-00000004"
    assert [*found] == [4] and json.loads((scored / "scores.json").read_text()) == found[4]
    assert not (scored / "model").exists()
    capsys.readouterr()
    asked = [str(place / "out/model"), "--tasks=held_out_*", f"--held-out-files={place / 'own'}", "--limit=2", "--device=cpu"]
    assert main(["evaluate", *asked, f"--output={place / 'alone'}", "--json"]) == 0
    for one in json.loads(capsys.readouterr().out)["tasks"]:
        wanted = {name: value["value"] for name, value in one["scores"].items()}
        wanted |= {name: value["mean"] for name, value in one["measures"].items()}
        assert found[4][one["task"]] == wanted and wanted


def test_what_is_refused_and_what_is_said(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match=r"tasks.names: 'humanevil': no such task"):
        Tasks(("humaneval*", "humanevil")).refuse_unknown()
    run = ["train", str(place / "recipe.yaml"), f"--output={place / 'other'}"]
    assert main([*run, "--set=tasks.every=3"]) == 2
    assert "tasks.every=3 is no multiple of checkpoint_every=2" in capsys.readouterr().err
    assert (
        main([*run, "--set=tasks.every=2", f"--set=tasks.benchmarks={place / 'own'}", "--set=tasks.names=[humaneval]"]) == 0
    ), "a training is not failed"
    told = capsys.readouterr().err
    assert "tasks after step 2: not scored: " in told and "HumanEval" in told and lines(place / "other") == {}


def test_a_run_that_stops_leaves_no_process(tmp_path: Path) -> None:
    told: list[str] = []
    with Scoring(Tasks(("humaneval",)), tmp_path, 9, lambda *_: None, told.append) as scoring:
        scoring.begin(8, lambda to: to.mkdir(parents=True))
        assert scoring._running is not None
        process = scoring._running[1]
        scoring.finish(lambda: True)
    assert process.returncode == -signal.SIGTERM and told[-1].startswith("tasks after step 8: not scored yet")
    assert [path.name for path in (tmp_path / "tasks/step-00000008").iterdir() if path.is_dir()] == ["model"]
    again = Scoring(Tasks(("humaneval",)), tmp_path, 8, lambda *_: None, told.append)
    assert [path.name for path in again._waiting] == ["step-00000008"]
    Scoring(Tasks(("humaneval",)), tmp_path, 7, lambda *_: None, told.append)
    assert not (tmp_path / "tasks/step-00000008").exists(), "of a later step"


def test_its_process_ends_with_a_killed_training(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\nfrom starmill.trainer.benchmarks import Scoring, Tasks\n"
        f"scoring = Scoring(Tasks(('humaneval',)), pathlib.Path({str(tmp_path)!r}), 9, print, print)\n"
        "scoring.begin(8, lambda to: to.mkdir(parents=True))\nprint(scoring._running[1].pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    for _ in range(300):
        if not Path(f"/proc/{child}").exists():
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("the process of a killed training goes on")
