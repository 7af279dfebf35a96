"""Status: counted from published sidecars of planned parts; the time left follows from when they were published."""

import itertools
import os
import uuid
from pathlib import Path

import pytest

from starmill.cli import __main__ as cli
from starmill.core.dataset import LastRun, Sidecar, StageName, Workspace
from starmill.reports import status

STAGES = {"ingest": "records", "curate": "curated", "dedup": "verdicts"}


def planned(workspace: Workspace, parts: int) -> None:
    workspace.publish_last_run(LastRun(tuple(StageName(*item) for item in STAGES.items()), parts))


def publish(workspace: Workspace, stage: str, *parts: int) -> None:
    for part in parts:
        workspace.commit(Sidecar(stage, STAGES[stage], part, "k", ()), [])


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_stages_are_counted_from_sidecars(tmp_path: Path, kind: str) -> None:
    workspace = Workspace(str(tmp_path) if kind == "local" else f"memory://{uuid.uuid4().hex}")
    planned(workspace, 4)
    publish(workspace, "ingest", 0, 1, 7)  # 7 is of an earlier, larger plan
    ingest = next(status.measure(workspace))
    assert (ingest.stage, ingest.published, ingest.parts, ingest.is_complete) == ("ingest", 2, 4, False)
    publish(workspace, "ingest", 2)
    workspace.finish("records", "key", 3, "v")
    publish(workspace, "curate", 1)
    planned(workspace, 3)
    found = {s.stage: s for s in status.measure(workspace)}
    assert [*found] == [*STAGES] and found["ingest"].is_complete and found["ingest"].seconds_left is None
    assert (found["curate"].published, found["curate"].parts, found["curate"].seconds_left) == (1, 3, None)
    assert (found["dedup"].published, found["dedup"].is_complete) == (0, False)


def test_the_time_left_is_that_of_the_parts_so_far(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    publish(workspace, "ingest", 0, 1, 2)
    for part, time in enumerate((1000, 1010, 1030)):
        os.utime(tmp_path / f"records/part-{part:05d}.json", (time, time))
    planned(workspace, 7)
    [ingest, *_] = status.measure(workspace)
    assert ingest.seconds_left == pytest.approx(15 * 4)
    assert status.lines(workspace)[0] == "ingest    3/7 parts, about 60 s to go at the pace so far"


PAUSE = 12 * 3600.0


@pytest.mark.parametrize(
    ("gaps", "pace"),
    [
        ([10.0] * 30 + [PAUSE] + [10.0] * 10, 10),
        ([10.0, 10.0, PAUSE, 10.0], 10),
        (([10.0] * 30 + [PAUSE]) * 5 + [10.0] * 30, 10),  # every night
        ([100.0] * 40 + [PAUSE] + [10.0] * 60, 10),  # by more workers since
        (([0.0] * 9 + [60.0]) * 20, 6),  # ten workers in step
    ],
    ids=["a pause", "a pause early", "nights", "more workers", "bursts"],
)
def test_a_pause_is_not_a_pace(gaps: list[float], pace: float) -> None:
    times = [*itertools.accumulate(gaps, initial=1e9)]
    assert status.seconds_left(times[::-1], 100) == pytest.approx(100 * pace, rel=0.2)


def test_nothing_tells_the_pace_of_one_part() -> None:
    assert status.seconds_left([], 3) is None and status.seconds_left([5.0], 3) is None
    assert status.seconds_left([5.0, 7.0], 0) == 0


def test_times_are_told_in_the_unit_of_their_size() -> None:
    told = [status.to_go(seconds) for seconds in (7, 119.4, 1200, 7199, 7200, 9e6)]
    assert told == [f"about {t} to go" for t in ("7 s", "119 s", "20 min", "120 min", "2.0 h", "2,500.0 h")]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a.py").write_text("print(1)\n")
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"workspace: {tmp_path / 'work'}\nsources: {{code: {{kind: folders, roots: [{tmp_path / 'code'}]}}}}\n")
    assert cli.main(["status", "--recipe", str(recipe)]) == 0
    assert "no run has begun here" in capsys.readouterr().out
    planned(Workspace(str(tmp_path / "work")), 1)
    publish(Workspace(str(tmp_path / "work")), "ingest", 0)
    Workspace(str(tmp_path / "work")).finish("records", "k", 1, "v")
    assert cli.main(["status", "--recipe", str(recipe)]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "ingest    1/1 parts, complete"
