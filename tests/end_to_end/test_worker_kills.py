"""A worker killed in each stage, and ScanCode below a worker: the run ends by itself, and every file is the undisturbed run's."""

import json
from pathlib import Path

import kills
import pytest

from starmill.core.dataset import Workspace
from starmill.pipelines.run.verify import compare


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["worker", "child"])
def test_kills_change_no_byte(milled: Path, tmp_path: Path, victim: str) -> None:
    seconds = json.loads((milled / "work/timings.json").read_text())
    ended = kills.run(milled, tmp_path / "w", kills.drawn(1, seconds, victim))
    assert ended.status == 0, ended.said
    assert len(ended.kills) >= {"worker": 4, "child": 1}[victim], ended.kills
    assert "Traceback" not in ended.said
    assert kills.digests(tmp_path / "w") == kills.digests(milled / "work")
    assert not compare(Workspace(str(tmp_path / "w"))).damaged and not list(tmp_path.rglob(".tmp-*"))
