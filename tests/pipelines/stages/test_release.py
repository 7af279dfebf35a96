"""Release one part: verdicts by row, benchmark files read and refused by name, redacted text published."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, output, part_path
from starmill.pipelines import recipe as recipes
from starmill.pipelines.stages.release import Release, ReleasePart
from starmill.transforms.beam import PartRef
from starmill.transforms.clean.redact import Redact

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
        {"repo_name": "r", "path": f"/{i}", "content": c, "content_id": str(i), "language": "C"} for i, c in enumerate(CONTENTS)
    ]
    put(workspace, "curate", "curated", schema.CURATED, [rows[:2], rows[2:]])
    put(workspace, "dedup", "verdicts", schema.VERDICTS, [[{"keep": i != 1} for i in range(5)]])
    (tmp_path / "b.jsonl").write_text(json.dumps({"task_id": "T/1", "canonical_solution": SOLUTION}))
    step = Release(benchmarks=(str(tmp_path / "b.jsonl"),)).decontaminate()
    ReleasePart(workspace, step, Redact())(PartRef(0, "key"))
    kept = workspace.table("dataset/part-00000.parquet")
    assert kept.schema == schema.DATASET
    assert [r["path"] for r in kept.to_pylist()] == ["/0", "/3", "/4"]
    assert kept.to_pylist()[1]["content"] == "mail = '<EMAIL>'\n"
    assert kept.to_pylist()[1]["redactions"] == [{"kind": "EMAIL", "start": 8, "end": 15}]
    (lost,) = workspace.table("dropped/release/part-00000.parquet").to_pylist()
    assert (lost["path"], lost["reason"], lost["detail"]) == ("/2", "contaminated", "b.jsonl T/1")


def test_a_bare_name_is_a_benchmark_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # from wherever one runs
    smoke = recipes.load("smoke", [], [], None).release
    assert {n.origin.split()[0] for n in smoke.decontaminate().needles} == {"smoke.jsonl"}
    with pytest.raises(FileNotFoundError, match=r"release\.benchmarks: no benchmark 'none' ships; .* one of: smoke"):
        Release(benchmarks=("none",)).decontaminate()


def test_benchmark_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.jsonl"):
        Release(benchmarks=(str(tmp_path / "none.jsonl"),)).decontaminate()
    (tmp_path / "bad.jsonl").write_text('{"task_id": 1}\n')
    with pytest.raises(ValueError, match=r"bad\.jsonl, line 1"):
        Release(benchmarks=(str(tmp_path / "bad.jsonl"),)).decontaminate()
