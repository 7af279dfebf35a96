"""Release one part: verdicts by row, benchmark files read and refused by name, redacted text published."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from clamav import BODY, WORD, running

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.errors import InputError, MachineError
from starmill.core.part import PartRef
from starmill.pipelines.kinds import KINDS, Release
from starmill.pipelines.recipe import build
from starmill.pipelines.stages.release import STAGE, ReleasePart
from starmill.transforms.clean.malware import Malware

SOLUTION = "largest = max(values, default=0)\nsmallest = min(values, default=0)\nreturn largest - smallest\n"
CONTENTS = [
    "keep = 1\n",
    "duplicate = 1\n",
    f"def spread(values):\n    {SOLUTION}",
    "mail = 'jane.doe" + "@real-site.org'\n",
    "last = 1\n",
]


def put(workspace: Workspace, stage: str, name: str, kind: pa.Schema, groups: list[list[dict]]) -> None:
    part = ParquetPart(kind)
    for rows in groups:
        part.write(pa.RecordBatch.from_pylist(rows, schema=kind))
    data = part.close()
    workspace.commit(Sidecar(stage, name, 0, "k", (output(part_path(name, 0), data),)), [data])


def test_a_part(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "w"))
    rows = [
        {"kind": "code", "repo_name": "r", "path": f"/{i}", "content": c, "content_id": str(i), "language": "C"}
        for i, c in enumerate(CONTENTS)
    ]
    put(workspace, "curate", "curated", schema.CURATED, [rows[:2], rows[2:]])
    put(workspace, "dedup", "verdicts", schema.VERDICTS, [[{"keep": i != 1} for i in range(5)]])
    (tmp_path / "b.jsonl").write_text(json.dumps({"task_id": "T/1", "canonical_solution": SOLUTION}))
    steps = KINDS["code"].clean(Release(benchmarks=(str(tmp_path / "b.jsonl"),)))
    ReleasePart(workspace, {"code": steps})(PartRef(0, "key"))
    kept = workspace.table("dataset/part-00000.parquet")
    assert kept.schema == schema.DATASET
    assert [r["path"] for r in kept.to_pylist()] == ["/0", "/3", "/4"]
    assert kept.to_pylist()[1]["content"] == "mail = '<EMAIL>'\n"
    assert kept.to_pylist()[1]["redactions"] == [{"kind": "EMAIL", "start": 8, "end": 15, "detector": "emails", "score": 1.0}]
    (lost,) = workspace.table("dropped/release/part-00000.parquet").to_pylist()
    assert (lost["path"], lost["reason"], lost["detail"]) == ("/2", "contaminated", "b T/1: exact, characters 24 to 116")


def test_what_an_older_version_curated_is_refused_by_name(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    older = pa.schema([field for field in schema.CURATED if field.name != "license_rule"])
    put(workspace, "curate", "curated", older, [[{"kind": "code", "repo_name": "r", "path": "/a", "content": "x = 1\n"}]])
    put(workspace, "dedup", "verdicts", schema.VERDICTS, [[{"keep": True}]])
    with pytest.raises(InputError, match=r"curated/part-00000.parquet: no column license_rule: .* run `starmill curate`"):
        ReleasePart(workspace, {"code": ()})(PartRef(0, "key"))


def test_infected_records_leave_with_the_signature(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path / "w"))
    texts = ["fine = 1\n", f"# {WORD}\n"]
    rows = [
        {"kind": "issue", "repo_name": "r", "path": f"/{i}", "content": t, "content_id": str(i)} for i, t in enumerate(texts)
    ]
    put(workspace, "curate", "curated", schema.CURATED, [rows])
    put(workspace, "dedup", "verdicts", schema.VERDICTS, [[{"keep": True}] * 2])
    with running() as clamd:
        steps = KINDS["issue"].clean(Release(malware=Malware(socket=clamd.socket)))
        ReleasePart(workspace, {"issue": steps})(PartRef(0, "key"))
    (lost,) = workspace.table("dropped/release/part-00000.parquet").to_pylist()
    assert (lost["path"], lost["step"], lost["reason"], lost["detail"]) == ("/1", "malware", "infected", BODY)


def test_a_daemon_that_is_asked_for_and_absent_is_told_before_any_stage(tmp_path: Path) -> None:
    place = str(tmp_path / "none.sock")
    with pytest.raises(MachineError, match=r"release\.malware\.socket: .*none\.sock"):
        STAGE.check(build({"workspace": "w", "release": {"malware": {"socket": place}}}))
    STAGE.check(build({"workspace": "w"}))
