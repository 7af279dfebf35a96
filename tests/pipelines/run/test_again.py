"""Killed workers: the stage goes on, a part that ends its worker twice is named, and a run ends whenever and however often it is hit."""

import json
import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import pytest

from starmill.core.dataset import Sidecar, Workspace, output, part_path
from starmill.core.part import PartRef
from starmill.core.skips import read
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.again import run as run_again
from starmill.pipelines.run.job import StageError
from starmill.pipelines.run.stages import run
from starmill.pipelines.runners.local import Local
from starmill.pipelines.stages.ingest import STAGE as INGEST
from starmill.pipelines.stages.stage import of_parts


@dataclass(frozen=True)
class Deadly:
    """Publishes a part, unless the part is one that kills its worker: always, or only the first time."""

    workspace: Workspace
    marks: str
    always: tuple[int, ...] = ()
    once: tuple[int, ...] = ()

    def __call__(self, ref: PartRef) -> Sidecar:
        with open(self.marks, "a") as marks:
            marks.write(f"{ref.part} {os.getpid()}\n")
        times = Path(self.marks).read_text().split("\n")
        if ref.part in self.always or (ref.part in self.once and sum(t.startswith(f"{ref.part} ") for t in times) == 1):
            os.kill(os.getpid(), signal.SIGKILL)
        data = f"{ref.part}".encode()
        sidecar = Sidecar("ingest", "records", ref.part, ref.key, (output(part_path("records", ref.part), data),), ())
        self.workspace.commit(sidecar, [data])
        return sidecar


def mill(tmp_path: Path, workers: int = 2, parts: int = 6, **options: tuple[int, ...]) -> tuple[Counter[str], set[int]]:
    """Run a stage; return how often each part was tried, and in which processes."""
    workspace, marks = Workspace(str(tmp_path / "w")), tmp_path / "marks"
    work = Deadly(workspace, str(marks), **options)
    due = [PartRef(k, f"key{k:029d}.v") for k in range(parts)]
    try:
        run(
            workspace,
            INGEST,
            due,
            of_parts(lambda options, place: work)(Recipe("w"), workspace),
            Local(workers=workers),
            "v",
            quiet=False,
        )
    finally:
        tried = [line.split() for line in marks.read_text().splitlines()]
    return Counter(part for part, _ in tried), {int(process) for _, process in tried}


def test_a_part_whose_worker_was_killed_is_made_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tried, processes = mill(tmp_path, parts=4, once=(1,))
    assert set(tried) == {"0", "1", "2", "3"} and tried["1"] == 2
    assert os.getpid() not in processes, "nothing that may be killed runs in the driver"
    said = capfd.readouterr().err
    assert "a worker process was ended by SIGKILL while it made part 1; that part is made again alone" in said
    assert "Traceback" not in said and "Exception" not in said


def test_a_part_that_ends_its_worker_twice_is_named_and_the_others_are_kept(tmp_path: Path) -> None:
    with pytest.raises(
        StageError, match=r"stage ingest failed: a worker process was ended by SIGKILL while it made part 3, for the sec"
    ):
        mill(tmp_path, always=(3,), once=(0,))
    assert [Workspace(str(tmp_path / "w")).sidecar("records", k) is not None for k in range(6)] == [k != 3 for k in range(6)]


def test_deaths_outside_any_part_end_too(tmp_path: Path) -> None:
    marks = tmp_path / "marks"

    def shuffled(pipeline: beam.Pipeline, due: Sequence[PartRef]) -> beam.PCollection:
        def die(part: int) -> None:
            with open(marks, "a") as written:
                written.write(f"{os.getpid()}\n")
            os.kill(os.getpid(), signal.SIGKILL)

        return pipeline | beam.Create([ref.part for ref in due]) | beam.Reshuffle() | beam.Map(die)

    refs = [PartRef(0, "k"), PartRef(1, "k")]
    with pytest.raises(StageError, match=r"dedup failed: a worker process was ended by SIGKILL outside any part, the 3rd time"):
        run_again("dedup", refs, Workspace(str(tmp_path / "w")), lambda: refs, shuffled, Local(workers=2), quiet=True)
    assert 3 <= len(set(marks.read_text().split())) <= 5 and str(os.getpid()) not in marks.read_text().split()


@dataclass(frozen=True)
class Noting:
    """Notes a record of part 1 that took too long and fails, as a worker of a cluster looks to its driver: so many times."""

    workspace: Workspace
    times: int

    def __call__(self, ref: PartRef) -> Sidecar:
        found = len(read(self.workspace))
        if ref.part == 1 and found < self.times:
            skip = {
                "stage": "x",
                "step": "s",
                "kind": "code",
                "repo_name": "r",
                "path": f"/{found}",
                "content_id": "",
                "reason": "slow",
            }
            notes = {"format": 1, "skips": [skip], "rows": []}
            self.workspace.publish("skips/part-00001.json", json.dumps(notes).encode())
            raise RuntimeError("the worker is gone")
        data = f"{ref.part}".encode()
        sidecar = Sidecar("ingest", "records", ref.part, ref.key, (output(part_path("records", ref.part), data),), ())
        self.workspace.commit(sidecar, [data])
        return sidecar


def noted(tmp_path: Path, times: int) -> None:
    workspace, due = Workspace(str(tmp_path / "w")), [PartRef(k, f"key{k:029d}.v") for k in range(3)]
    work = of_parts(lambda options, place: Noting(workspace, times))(Recipe("w"), workspace)
    run(workspace, INGEST, due, work, Local(), "v", quiet=False)


def test_a_failed_job_that_left_notes_goes_on_without_these_records(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    noted(tmp_path, times=0)
    noted(tmp_path / "again", times=1)
    assert "part 1: r:/0 slow in step s: left out, and listed in skips.json" in capfd.readouterr().err
    workspace = Workspace(str(tmp_path / "again/w"))
    assert [s.path for s in read(workspace)] == ["/0"] and not workspace.files("skips")


@pytest.mark.slow
def test_a_part_that_finds_more_and_more_of_them_fails(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="ingest: more than 8 records of part 1 took longer than max_record_seconds"):
        noted(tmp_path, times=100)
