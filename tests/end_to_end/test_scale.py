"""docs/scale.md: its commands as printed, on a sample of a few hundred kilobytes so that they end in a minute."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pages import ROOT, commands
from plain_tree import tree

from starmill.pipelines.costs import rates


@pytest.mark.slow
def test_commands_of_scale_md(tmp_path: Path) -> None:
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    tree(tmp_path / "dump", 240, 1)
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    run = {"cwd": tmp_path, "env": {**os.environ, **path}, "capture_output": True, "text": True, "timeout": 400}
    bench, *estimates = commands(ROOT / "docs" / "scale.md")
    small = (
        " --megabytes 0.15 --input dump --set tokenizer.vocab_size=300"  # the vocabulary is of no matter to what is read here
    )
    done = subprocess.run(["bash", "-c", bench + small], **run)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr[-3000:]
    assert "| tokenize |" in done.stdout
    found = rates.load(str(tmp_path / "rates.json"))
    by_row = {row: [o for o in found.observations if o.row == row] for row in rates.ROWS}
    for small_run, large, large_parts in by_row.values():
        assert large.drivers["repositories"] > 2 * small_run.drivers["repositories"] and large.drivers["parts"] > 4
        assert large_parts.drivers["files"] == large.drivers["files"] and large_parts.drivers["parts"] < large.drivers["parts"]
    # A process of a stage holds Beam and arrow; were it floored by this one's memory, it could not be below it.
    assert 50e6 < by_row["ingest"][1].costs["peak"] < 1e9
    # Imports alone take half a second: they are of the start, not of the work.
    assert by_row["ingest"][1].costs["start"] > 0.3 and by_row["ingest"][1].costs["cpu"] > 0
    for estimate, workers in zip(estimates, ("100", "1,000"), strict=True):
        done = subprocess.run(["bash", "-c", estimate + " --set tokenizer.vocab_size=300"], **run)  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr[-3000:]
        lines = done.stdout.splitlines()
        assert lines[0].endswith(f" {workers} workers") and [line.split()[0] for line in lines[2 : 3 + len(rates.ROWS)]] == [
            *rates.ROWS,
            "together",
        ]
        assert "other options" not in done.stdout  # the recipe is the one that was measured
