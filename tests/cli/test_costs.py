"""Bench and estimate on the command line; what they measure and reckon is tested in tests/pipelines/costs."""

from pathlib import Path

import pytest

from starmill.cli.__main__ import main


def test_too_little_to_measure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in/r").mkdir(parents=True)
    (tmp_path / "in/r/a.py").write_text("x = 1\n")
    assert main(["bench", "--input", str(tmp_path / "in"), "--rates", str(tmp_path / "rates.json")]) == 1
    assert "give more with --input, or lower --megabytes" in capsys.readouterr().err and not (tmp_path / "rates.json").exists()


def test_rates_of_another_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rates.json").write_text('{"format": 0}')
    sizes = ["--files", "1e6", "--bytes", "1e9", "--workers", "2"]
    assert main(["estimate", *sizes, "--rates", str(tmp_path / "rates.json")]) == 1
    assert "not the rates of this version" in capsys.readouterr().err
    assert main(["estimate", "--files", "many", "--bytes", "1", "--workers", "2"]) == 2


def test_a_profile_is_of_one_round(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "--profile", "--rounds", "3"]) == 2
    assert "--profile, --rounds: a profile is of one round; leave --rounds out" in capsys.readouterr().err
