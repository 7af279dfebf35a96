"""`starmill plant` and `starmill tagger`: from folders of code to a model, and what is refused."""

from pathlib import Path

import pytest

from starmill.cli.__main__ import main
from starmill.trainer.encoders.examples import read
from starmill.trainer.encoders.values import KINDS

CODE = "def handler(value):\n    total = value + 1\n    return total\n\nclass Visitor:\n    depth = 0\n" * 20
MODEL = "{preset: tiny-starencoder, layers: 1, hidden_size: 32, heads: 2, kv_heads: 2, mlp_size: 64, vocab_size: null}"


def test_from_code_to_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/a.py").write_text(CODE)
    for split in ("train", "test"):
        line = ["plant", str(tmp_path / f"{split}.jsonl"), str(tmp_path / "code"), "--count", "40", "--split", split]
        assert main(line) == 0
        assert len(read(str(tmp_path / f"{split}.jsonl"), KINDS)) == 40
    assert "40 texts" in capsys.readouterr().out
    sets = [f"train=[{tmp_path}/train.jsonl]", f"held_out=[{tmp_path}/test.jsonl]", f"model={MODEL}", "steps=4", "threads=1"]
    sets += ["vocab_size=400", "optimizer.warmup_steps=1", "sequence_length=64"]
    assert main(["tagger", "starpii-tiny", "--output", str(tmp_path / "m"), *(f"--set={one}" for one in sets)]) == 0
    told = capsys.readouterr().out
    assert "precision" in told and "NAME" in told and (tmp_path / "m/model.safetensors").is_file()


def test_what_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plant", str(tmp_path / "x"), str(tmp_path / "none")]) == 1
    assert "no such folder" in capsys.readouterr().err
    assert main(["tagger", "starpii-tiny", "--set=base=x"]) == 2
    assert "give one of them" in capsys.readouterr().err
