"""One stage on a real Beam runner: only what is due is made, errors are named, and a bad rate of errors stops the run."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from starmill.core.dataset import Count, Manifest, Sidecar, Workspace, output, part_path, sidecar_path
from starmill.core.files import TEMPORARY, writer_of
from starmill.core.part import PartRef
from starmill.pipelines import stages
from starmill.pipelines.costs.traffic import PROTOCOL, Traffic, counting
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.job import StageError
from starmill.pipelines.run.keys import key
from starmill.pipelines.run.stages import run
from starmill.pipelines.runners import choose
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.stages.stage import of_parts
from starmill.reports.funnel import timings

LOCAL, NOBODY = choose(()), choose(("--template_location=job.json",))
INGEST = stages.load("ingest")


@dataclass(frozen=True)
class Write:
    """Publishes a part and leaves a mark of having worked; refuses the part named `refuse`.

    After part 0 comes what another process does there meanwhile: `intruder`.
    """

    workspace: Workspace
    marks: str
    refuse: int = -1
    errors: int = 0
    intruder: str = ""

    def __call__(self, ref: PartRef) -> Sidecar:
        if ref.part == self.refuse:
            raise OSError(f"part {ref.part} cannot be read")
        with open(self.marks, "a") as marks:
            marks.write(f"{ref.part}\n")
        data = f"{ref.part} {ref.plan}".encode()
        counts = (Count("", "", "", 10 - self.errors, 1), Count("s", "error:s:OSError", "", self.errors, 1))
        sidecar = Sidecar("ingest", "records", ref.part, ref.key, (output(part_path("records", ref.part), data),), counts)
        self.workspace.commit(sidecar, [data])
        if ref.part == 0:
            self.intrude(sidecar)
        return sidecar

    def intrude(self, sidecar: Sidecar) -> None:
        """Do what a job with another recipe may have done up to now, or a worker that was killed."""
        [made] = sidecar.outputs
        if self.intruder == "a part":
            self.workspace.commit(replace(sidecar, key="another", outputs=(output(made.path, b"other"),)), [b"other"])
        elif self.intruder == "an output":
            self.workspace.publish(made.path, b"other")
        elif self.intruder == "a sweep":
            self.workspace.sweep("records", 9, due={0})
        elif self.intruder == "a kill":
            self.workspace.publish(f"records/{TEMPORARY}{writer_of(made.path)}part-00000.parquet", b"half")


def refs(n: int, salt: str = "") -> list[PartRef]:
    return [PartRef(k, key("v", k, salt), f"plan {k}") for k in range(n)]


def mill(
    tmp_path: Path, due: list[PartRef], engine: Runner = LOCAL, max_error_rate: float = 0.5, **options: Any
) -> tuple[Manifest | None, list[str]]:
    workspace, marks = Workspace(str(tmp_path / "w")), tmp_path / "marks"
    marks.write_text("")
    work = Write(workspace, str(marks), **options)
    manifest = run(
        workspace,
        INGEST,
        due,
        of_parts(lambda options, place: work)(Recipe("w"), workspace),
        engine,
        "v",
        max_error_rate,
        quiet=True,
    )
    return manifest, sorted(marks.read_text().split())


def test_only_what_is_due_is_made(tmp_path: Path) -> None:
    first, made = mill(tmp_path, refs(3))
    assert made == ["0", "1", "2"] and len(first.parts) == 3
    assert mill(tmp_path, refs(3)) == (first, [])
    (tmp_path / "w/records/part-00001.json").unlink()
    again, made = mill(tmp_path, refs(3))
    assert made == ["1"] and again == first
    assert mill(tmp_path, refs(2) + refs(3, "changed")[2:])[1] == ["2"]
    assert "ingest" in timings(Workspace(str(tmp_path / "w")))


def test_fewer_parts_than_before_leave_nothing_behind(tmp_path: Path) -> None:
    mill(tmp_path, refs(3))
    mill(tmp_path, refs(1))
    assert Workspace(str(tmp_path / "w")).files("records") == [
        "manifest.json",
        "part-00000.json",
        "part-00000.parquet",
        "summary.json",
    ]


def test_a_failing_part_fails_the_stage_and_keeps_the_others(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="part 2 cannot be read"):
        mill(tmp_path, refs(3), refuse=2)
    workspace = Workspace(str(tmp_path / "w"))
    assert workspace.manifest("records") is None
    assert mill(tmp_path, refs(3))[1][-1] == "2"


def test_too_many_errors_stop_the_run(tmp_path: Path) -> None:
    assert mill(tmp_path, refs(1), max_error_rate=0.2, errors=2)[0]
    with pytest.raises(StageError, match=r"3 of 10 files ended as errors.*error:s:OSError"):
        mill(tmp_path, refs(1, "x"), max_error_rate=0.2, errors=3)
    assert Workspace(str(tmp_path / "w")).manifest("records") is None


def test_too_many_errors_fail_a_job_that_nobody_waits_for(tmp_path: Path) -> None:
    assert mill(tmp_path, refs(3), NOBODY, max_error_rate=0.2, errors=2)[0] is None
    finished = Workspace(str(tmp_path / "w")).manifest("records")
    assert finished == mill(tmp_path, refs(3), max_error_rate=0.2, errors=2)[0] and len(finished.parts) == 3
    with pytest.raises(StageError, match="9 of 30 files ended as errors"):
        mill(tmp_path, refs(3, "x"), NOBODY, max_error_rate=0.2, errors=3)
    assert Workspace(str(tmp_path / "w")).manifest("records") is None


@pytest.mark.parametrize("engine", [LOCAL, NOBODY], ids=["driver", "graph"])
def test_a_stage_with_too_many_errors_never_looks_complete(tmp_path: Path, engine: Runner) -> None:
    traffic = Traffic()
    fsspec.register_implementation(PROTOCOL, counting(traffic), clobber=True)
    workspace = Workspace(f"{PROTOCOL}://{tmp_path}/w")
    work = Write(workspace, str(tmp_path / "marks"), errors=3)
    with pytest.raises(StageError, match="errors"):
        run(
            workspace,
            INGEST,
            refs(2),
            of_parts(lambda options, place: work)(Recipe("w"), workspace),
            engine,
            "v",
            0.2,
            quiet=True,
        )
    written = {path.rpartition("/")[2] for kind, path in traffic.counts if kind == "PUT"}
    assert "part-00001.json" in written and "manifest.json" not in written


@pytest.mark.parametrize(
    ("intruder", "message"),
    [
        ("a part", r"part 0 \(.*/records/part-00000.json\) has the key another\.\. instead of "),
        ("an output", r"part 0: .*/records/part-00000.parquet does not have the \d+ bytes"),
        ("a sweep", "part 0 of 3 of records/ has no sidecar"),
    ],
)
@pytest.mark.parametrize("engine", [LOCAL, NOBODY], ids=["driver", "graph"])
def test_parts_of_another_job_are_not_taken_for_this_ones(tmp_path: Path, intruder: str, message: str, engine: Runner) -> None:
    with pytest.raises(StageError, match=f"{message}.*another job is writing this workspace.*run the same command"):
        mill(tmp_path, refs(3), engine, intruder=intruder)
    workspace = Workspace(str(tmp_path / "w"))
    assert workspace.manifest("records") is None and workspace.exists(sidecar_path("records", 1))
    finished, made = mill(tmp_path, refs(3))
    assert made == ["0"] and finished is not None and finished.parts[0].key == refs(3)[0].key


def test_what_a_killed_worker_was_writing_does_not_outlive_its_stage(tmp_path: Path) -> None:
    mill(tmp_path, refs(2), intruder="a kill")
    assert not [*(tmp_path / "w").rglob(".tmp-*")]
