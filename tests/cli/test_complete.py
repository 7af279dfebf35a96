"""`starmill complete` takes one prompt of any kind; what a model makes of it is tested in tests/model/test_complete.py."""

from pathlib import Path

import pytest

from starmill.cli.__main__ import main


def test_a_prompt_may_be_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for prompt in ("s3://AKIAKEY:se/cret@bucket/work", "--traceback", "-x", "--"):
        assert main(["complete", str(tmp_path), "--prompt", prompt]) == 1
        assert "no config.json" in capsys.readouterr().err


def test_a_prompt_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complete", str(tmp_path), "--prompt-file", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith(f"starmill: {tmp_path / 'none'}: No such file or directory;")
