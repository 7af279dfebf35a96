"""`starmill complete` takes one prompt of any kind; what a model makes of it is tested in tests/model/test_complete.py."""

import io
from pathlib import Path

import pytest
import servers

from starmill.cli.__main__ import main


def test_a_prompt_may_be_anything(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for prompt in ("s3://AKIAKEY:se/cret@bucket/work", "--traceback", "-x", "--"):
        assert main(["complete", str(tmp_path), "--prompt", prompt]) == 1
        assert "no config.json" in capsys.readouterr().err


def test_a_prompt_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["complete", str(tmp_path), "--prompt-file", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith(f"starmill: {tmp_path / 'none'}: No such file or directory;")


def test_a_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(servers.write(tmp_path))
    monkeypatch.setattr("sys.stdin", io.StringIO("What is é?\n\nAnd then?"))
    assert main(["chat", folder, "--max-new-tokens", "8"]) == 0
    assert len(capsys.readouterr().out) > 8
    assert main(["chat", str(tmp_path / "none")]) == 1 and "none" in capsys.readouterr().err
