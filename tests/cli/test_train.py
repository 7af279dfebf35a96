"""Plan, train and export on the command line; what they do is tested in tests/trainer."""

import json
from pathlib import Path

import pytest

from starmill.cli.__main__ import main


def test_the_plan_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "starcoder2-3b", "--set", "hardware.devices=320", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert planned["parameters"] == 3_030_371_328 and planned["tokens"] == planned["steps"] * planned["tokens_per_step"]
    assert {(one["data"], one["tensor"]) for one in planned["layouts"]} >= {(160, 2)}
    one = planned["layouts"][0]
    assert one["total"] == pytest.approx(one["state"] + one["gathered"] + one["activations"] + one["logits"])


def test_values_that_do_not_fit_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "starcoder2-3b", "--set", "model.heads=7"]) == 2
    assert "hidden_size=3072 is not a multiple of heads=7" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "plan", "export"])
def test_a_wrong_value_of_the_recipe(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "tiny", "--set", "steps=x"]) == 2
    assert "steps: expected int" in capsys.readouterr().err


def test_merging_what_is_no_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["merge", str(tmp_path / "none"), str(tmp_path), str(tmp_path / "made")]) == 1
    assert "no config.json" in capsys.readouterr().err and not (tmp_path / "made").exists()
