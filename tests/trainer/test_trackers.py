"""Each tracker has what metrics.jsonl has, offline; one that fails ends no training; those that are absent say NOT RUN."""

import importlib.util
import json
from pathlib import Path

import pytest

from starmill.cli.__main__ import main
from starmill.core.errors import UsageError
from starmill.trainer import trackers
from starmill.trainer.trackers import Trackers, refuse_missing

VALUES = {"loss": 4.5, "loss_by_language": {"C++": 4.0, "Go": 5.0}}


def needs(name: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"NOT RUN: {name}, which metrics are given to, is not here")


def logged(name: str, output: Path) -> None:
    """A run of two steps, which a second one continues."""
    for step in (0, 1):
        made = Trackers((name,), output, step, {"seed": 3})
        made.log(step + 1, VALUES)
        made.close()
    assert list(json.loads((output / "trackers.json").read_text())) == [name]


@pytest.mark.slow
def test_wandb_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    logged("wandb", tmp_path)
    importlib.import_module("wandb").teardown()  # waits for the process that writes the files
    runs = sorted((tmp_path / "wandb").glob("offline-run-*/*.wandb"))
    assert len(runs) == 2 and len({run.name for run in runs}) == 1, "the second goes on with the first"
    assert all(b"loss_by_language" in run.read_bytes() for run in runs)


@pytest.mark.slow
def test_mlflow_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("mlflow")
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    logged("mlflow", tmp_path)
    client, run = MlflowClient((tmp_path / "mlruns").as_uri()), json.loads((tmp_path / "trackers.json").read_text())["mlflow"]
    assert [(m.step, m.value) for m in client.get_metric_history(run, "loss")] == [(1, 4.5), (2, 4.5)]
    assert client.get_run(run).data.metrics["loss_by_language/C__"] == 4.0
    assert client.get_run(run).info.status == "FINISHED"


@pytest.mark.slow
def test_trackio_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs("trackio")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    logged("trackio", tmp_path)
    assert any((tmp_path / "trackio").rglob("*.db"))


def test_a_tracker_that_fails_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Trackers((), tmp_path, 0, {})

    def fail(step: int, values: object) -> None:
        raise ConnectionError("no route\nto host")

    made._open["mine"] = trackers.Tracker("", fail, lambda: None)
    made.log(1, VALUES)
    made.log(2, VALUES)
    made.close()
    assert capsys.readouterr().err.count("mine: left out from here on") == 1


def test_what_is_not_installed(capsys: pytest.CaptureFixture[str]) -> None:
    refuse_missing(())
    with pytest.raises(UsageError, match="track: no_such_tracker is not installed"):
        refuse_missing(("no_such_tracker",))
    assert main(["plan", "tiny", "--set", "track=[comet]"]) == 2
    assert "track[0]" in capsys.readouterr().err
