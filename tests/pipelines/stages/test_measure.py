"""Measure one part: a row for each record, in its place; a licence is found beyond its row group; what fails is dropped, and no other."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from ingested_workspace import CODE, ROWS, Picky, ingested

from starmill.core import schema, skips
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.core.part import PartRef
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.stages.ingest import STAGE as INGEST
from starmill.pipelines.stages.ingest import Ingest, IngestPart
from starmill.pipelines.stages.measure import MeasurePart
from starmill.transforms.measure import scancode_child  # noqa: F401
from starmill.transforms.measure.licenses import Licenses
from starmill.transforms.measure.text import Text

SPDX = "SPDX-License-" + "Identifier: "  # apart, so that no tool takes this file's licence from it


class Counting(Workspace):
    """A workspace that notes which files are read as blocks."""

    def blocks(self, relative: str, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:  # type: ignore[override]
        with open(f"{self.root}/read", "a") as notes:
            print(relative, file=notes)
        return super().blocks(relative, columns)


def test_a_part(tmp_path: Path) -> None:
    workspace = Counting(str(tmp_path))
    ingested(workspace)
    sidecar = MeasurePart(workspace, CODE)(PartRef(0, "key"))
    table = workspace.table("measures/part-00000.parquet")
    assert table.schema == schema.MEASURES
    measures = table.to_pylist()
    assert [(m["keep"], m["language"], m["detected_licenses"], m["num_chars"]) for m in measures] == [
        (True, "Text", ["MIT"], 29),
        (True, "Python", ["MIT"], 51),
        (True, "Python", ["MIT"], 2007),
        (True, None, ["MIT"], 26),
        (True, "Text", ["GPL-3.0-only"], 38),
        (True, "Python", ["GPL-3.0-only"], 22),
        (True, "Python", [], 10),
    ]
    assert measures[6]["is_vendor"] and [f["path"] for f in measures[1]["license_findings"]] == ["/LICENSE"]
    assert sum(c.files for c in sidecar.counts) == len(ROWS) and sidecar.kinds == ("code",)
    assert list(sidecar.lineage) == ["records/part-00000.parquet"]
    assert (tmp_path / "read").read_text().split() == ["records/part-00000.parquet"], "a part's text is read once"


def test_what_another_scancode_found_is_not_asked_of_the_cache(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    ingested(workspace)
    MeasurePart(workspace, CODE)(PartRef(0, "key"))
    [folder] = (tmp_path / "cache").iterdir()
    code = [Path(str(sys.modules[f"starmill.transforms.measure.{name}"].__file__)) for name in ("scancode_child", "matches")]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in code]
    assert folder.name.startswith("-".join(("licenses", *Licenses().material(), digests[0]))) and folder.name.endswith(
        digests[1]
    )


def test_a_row_that_fails_leaves_its_place_empty(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    ingested(workspace)
    sidecar = MeasurePart(workspace, {"code": (Picky(), *CODE["code"])})(PartRef(0, "key"))
    measures = workspace.table("measures/part-00000.parquet").to_pylist()
    assert [m["keep"] for m in measures] == [True, False, True, True, True, True, True]
    assert {*measures[1].values()} == {False, None} and measures[2]["num_chars"] == 2007
    (lost,) = workspace.table("dropped/measure/part-00000.parquet").to_pylist()
    assert (lost["path"], lost["reason"], lost["kind"]) == ("/a.py", "error:picky:ValueError", "code") and sidecar.errors == 1


def test_a_time_out_of_scancode_goes_by_the_list(tmp_path: Path) -> None:
    slow, listed = Workspace(str(tmp_path / "slow")), Workspace(str(tmp_path / "listed"))
    ingested(slow)
    with skips.making(slow, 0, "", 0.0):
        first = MeasurePart(slow, CODE)(PartRef(0, "key.code"))
    lost = slow.table("dropped/measure/part-00000.parquet").to_pylist()
    assert lost and {(r["step"], r["reason"], r["detail"]) for r in lost} == {
        ("licenses", "skipped:licenses", "took longer than max_record_seconds=0")
    }
    assert not slow.files("cache"), "a busy machine is no property of a text"
    kept = [m for m in slow.table("measures/part-00000.parquet").to_pylist() if m["keep"]]
    assert "LicenseRef-starmill-skipped" in {name for m in kept for name in m["detected_licenses"]}
    assert {f["how"] for m in kept for f in m["license_findings"]} == {"unread"}

    skips.gather(slow)
    found = skips.read(slow)
    assert {s.path for s in found} == {r["path"] for r in lost}
    ingested(listed)
    with skips.making(listed, 0, skips.packed(found), 100.0):  # where time is no trouble
        again = MeasurePart(listed, CODE)(PartRef(0, first.key))
    assert again == first and first.key == skips.key("key.code", found)


def test_what_ingest_could_not_read_is_seen_by_the_licences(tmp_path: Path) -> None:
    """A LICENSE in UTF-16 counts as any other; one that is too large to be read takes the permission from its tree, and from no other."""
    terms = {"wide": f"{SPDX}GPL-3.0-only\r\n".encode("utf-16"), "large": b"Permission is granted.\n" * 50_000, "none": None}
    for name, data in terms.items():
        (tmp_path / "dump" / name).mkdir(parents=True)
        (tmp_path / "dump" / name / "a.py").write_text("x = 1\n")
        if data:
            (tmp_path / "dump" / name / "LICENSE").write_bytes(data)
    options = Recipe(str(tmp_path / "w"), {"input": Folders(roots=(str(tmp_path / "dump"),))}, Ingest(max_file_bytes=1_000_000))
    ingest = IngestPart(Workspace(options.workspace), options.sources, options.ingest)
    for ref in ingest.publish(INGEST.parts(options, ingest.workspace, ())):
        ingest(ref)
    MeasurePart(ingest.workspace, CODE)(PartRef(0, "key"))
    records, measures = (ingest.workspace.table(f"{name}/part-00000.parquet").to_pylist() for name in ("records", "measures"))
    found = {(r["repo_name"], r["path"]): m["detected_licenses"] for r, m in zip(records, measures, strict=True)}
    assert found == {
        ("wide", "/LICENSE"): ["GPL-3.0-only"],
        ("wide", "/a.py"): ["GPL-3.0-only"],
        ("large", "/a.py"): ["LicenseRef-starmill-skipped"],
        ("none", "/a.py"): [],
    }
    assert {r["src_encoding"] for r in records if r["path"] == "/LICENSE"} == {"UTF-16LE"}


def test_each_kind_has_its_steps(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    kinds = ("code", "issue", "code", "code", "issue", "issue", "code")
    ingested(workspace, kinds=kinds)
    sidecar = MeasurePart(workspace, CODE | {"issue": (Text(),)})(PartRef(0, "key"))
    measures = workspace.table("measures/part-00000.parquet").to_pylist()
    assert [m["license_findings"] is None for m in measures] == [kind == "issue" for kind in kinds]
    assert [m["num_chars"] for m in measures] == [29, 51, 2007, 26, 38, 22, 10] and sidecar.kinds == ("code", "issue")
    with pytest.raises(InputError, match="records of kind 'issue': no such kind; known are code"):
        MeasurePart(workspace, CODE)(PartRef(0, "key"))


def test_a_part_without_records(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    ingested(workspace, rows=())
    assert MeasurePart(workspace, CODE)(PartRef(0, "key")).counts == ()
    assert workspace.table("measures/part-00000.parquet").num_rows == 0
