"""`starmill score-train` writes a scorer, tells what it gets right, and refuses in one line."""

import json
from pathlib import Path

import pytest

from starmill.cli.__main__ import main
from starmill.core import seeds

ROWS = [
    {"text": ("good " if n % 2 else "bad ") * (1 + seeds.uint64(0, "test_scores", n) % 9) + f"w{n}", "label": n % 2}
    for n in range(80)
]


def test_a_scorer_is_written_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "e.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    words = ["score-train", str(tmp_path / "m.safetensors"), str(tmp_path / "e.jsonl"), "--bits", "12", "--held-out", "0.25"]
    assert main([*words, "--json"]) == 0
    told = capsys.readouterr()
    made = json.loads(told.out)
    assert made["held_out_metrics"]["auc"] == 1.0 and "80 examples with a label" in told.err
    before = (tmp_path / "m.safetensors").read_bytes()
    assert main([*words, "--quiet"]) == 0, "written over"
    told = capsys.readouterr()
    assert "auc 1.0000" in told.out and not told.err and (tmp_path / "m.safetensors").read_bytes() == before


def test_what_cannot_be_is_refused_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "e.jsonl").write_text('{"text": "x", "label": 1}\n{"text": "x", "label": "1"}\n')
    assert main(["score-train", str(tmp_path / "m"), str(tmp_path / "e.jsonl")]) == 1
    assert "e.jsonl:2: label='1' is none of 0, 1, false and true" in capsys.readouterr().err
    assert main(["score-train", str(tmp_path / "e.jsonl" / "m"), str(tmp_path / "e.jsonl")]) != 0
    assert "e.jsonl" in capsys.readouterr().err
    assert main(["score-train", str(tmp_path), str(tmp_path / "e.jsonl")]) != 0
