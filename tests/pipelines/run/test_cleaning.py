"""What `starmill clean` removes, redacts and keeps; that it does nothing to a run that is not finished, and nothing twice."""

import json
import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.cli import __main__ as cli
from starmill.core import schema
from starmill.core.dataset import LastRun, ParquetPart, Sidecar, StageName, Workspace, output
from starmill.core.errors import InputError, UsageError
from starmill.pipelines.run import cleaning

STAGES = (StageName("ingest", "records"), StageName("dedup", "verdicts"), StageName("release", "dataset"))
MAIL = "jane.doe" + "@corp.io"


def finished(url: str, names: tuple[str, ...] = ("r", MAIL)) -> Workspace:
    """Write a workspace whose three stages are complete, and whose ingest dropped a file of each of the repositories."""
    workspace = Workspace(url)
    workspace.publish_last_run(LastRun(STAGES, 1))
    lost = ParquetPart(schema.DROPPED)
    rows = [{"stage": "ingest", "step": "read", "reason": "binary", "repo_name": n, "path": "/a.bin"} for n in names]
    lost.write(pa.RecordBatch.from_pylist(rows, schema=schema.DROPPED))
    for stage in STAGES:
        data = [b"x" * 100, lost.close() if stage is STAGES[0] else b"not read"]
        paths = [
            f"{stage.dataset}/part-00000.parquet",
            f"dropped/{stage.name}/part-00000.{'parquet' if stage is STAGES[0] else 'x'}",
        ]
        made = tuple(output(path, content) for path, content in zip(paths, data, strict=True))
        workspace.commit(Sidecar(stage.name, stage.dataset, 0, "k", made), data)
        workspace.finish(stage.dataset, "k", 1, "v")
    workspace.publish("plans/part-00000.0.json", b"{}")
    return workspace


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_what_is_from_before_redaction_goes(tmp_path: Path, kind: str) -> None:
    workspace = finished(str(tmp_path) if kind == "local" else f"memory://{uuid.uuid4().hex}")
    plan = cleaning.planned(workspace)
    assert [(d.stage, d.dataset, d.files, d.bytes) for d in plan.datasets] == [
        ("ingest", "records", 1, 100),
        ("dedup", "verdicts", 1, 100),
        ("ingest", "plans", 1, 2),
    ]
    assert plan.bytes == 202 and plan.redacted == ("dropped/ingest/part-00000.parquet",)
    assert workspace.exists("records/part-00000.parquet"), "a plan removes nothing"
    cleaning.clean(plan)
    assert not any(map(workspace.exists, plan.removed)) and workspace.exists("dataset/part-00000.parquet")
    assert all(workspace.manifest(stage.dataset) for stage in STAGES)
    names = workspace.table("dropped/ingest/part-00000.parquet").column("repo_name").to_pylist()
    assert names[0] == "r" and names[1].startswith("<EMAIL-")
    again = cleaning.planned(workspace)
    assert (again.datasets, again.removed, again.redacted, again.bytes) == ((), (), (), 0)
    assert cleaning.lines(again, True) == [f"{workspace.root}: nothing from before redaction is left"]


def test_a_forged_manifest_takes_nothing_of_later_stages(tmp_path: Path) -> None:
    workspace = finished(str(tmp_path))
    data = [b"x" * 100, workspace.read("dataset/part-00000.parquet")]
    paths = ["records/part-00000.parquet", "dataset/part-00000.parquet"]
    made = tuple(output(path, content) for path, content in zip(paths, data, strict=True))
    workspace.commit(Sidecar("ingest", "records", 0, "k", made), data)
    workspace.finish("records", "k", 1, "v")
    assert "dataset/part-00000.parquet" not in cleaning.planned(workspace).removed


def test_rows_without_personal_data_stay_as_they_are(tmp_path: Path) -> None:
    assert cleaning.planned(finished(str(tmp_path), ("r", "s"))).redacted == ()


def test_what_it_tells(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finished(str(tmp_path))
    assert cli.main(["clean", str(tmp_path), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "records/     would remove 1 files, 0.0 MB (stage ingest)" in told and "would redact the names in 1 files" in told
    assert "A later `starmill run` makes ingest, dedup again from the sources" in told
    assert cli.main(["clean", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["done"], told["bytes"], [d["dataset"] for d in told["datasets"]]) == (
        True,
        202,
        ["records", "verdicts", "plans"],
    )


def test_what_is_not_finished_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workspace = finished(str(tmp_path / "w"))
    workspace.remove("dataset/manifest.json")
    with pytest.raises(UsageError, match="stage release is not finished"):
        cleaning.planned(workspace)
    workspace.publish_last_run(LastRun(STAGES[:2], 1))
    with pytest.raises(UsageError, match="the last run had no stage release"):
        cleaning.planned(workspace)
    with pytest.raises(InputError, match="no run has begun here"):
        cleaning.planned(Workspace(str(tmp_path)))
    assert cli.main(["clean", str(tmp_path / "none")]) == 1
    assert "no such folder" in capsys.readouterr().err and not (tmp_path / "none").exists()
