"""Curate one part: each row is kept with its measures and signature, or dropped with its reason, unless measure dropped it before."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from curated_workspace import run
from ingested_workspace import CODE, ROWS, Picky, ingested

from starmill.core import skips
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.core.part import PartRef
from starmill.pipelines.kinds import KINDS, Curate
from starmill.pipelines.stages.curate import CuratePart, Rules, measured
from starmill.pipelines.stages.measure import MeasurePart
from starmill.transforms.dedup.minhash import MinHash
from starmill.transforms.measure.text import Text

RULES = {"code": Rules(KINDS["code"].decide(Curate()), "near")}


def test_a_part(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    ingested(workspace)
    MeasurePart(workspace, CODE)(PartRef(0, "key"))
    sidecar = CuratePart(workspace, RULES, MinHash())(PartRef(0, "key"))
    kept = workspace.table("curated/part-00000.parquet").to_pylist()
    assert [(r["path"], r["language"], r["license_type"], r["detected_licenses"], r["is_vendor"]) for r in kept] == [
        ("/a.py", "Python", "permissive", ["MIT"], False),
        ("/vendor/d.py", "Python", "no_license", [], True),
    ]
    lost = {r["path"]: (r["step"], r["reason"]) for r in workspace.table("dropped/curate/part-00000.parquet").to_pylist()}
    assert lost["/c.py"] == ("license_type", "non_permissive")
    assert lost["/b.py"] == ("long_lines", "line_too_long")
    assert lost["/what.zzzz"] == ("languages", "unknown_language")
    assert len(kept) + len(lost) == len(ROWS) == sum(c.files for c in sidecar.counts)
    signatures = workspace.table("signatures/part-00000.parquet").to_pylist()
    assert [s["path"] for s in signatures] == [r["path"] for r in kept]
    assert len(np.frombuffer(signatures[0]["signature"], "<u4")) == 256 and signatures[1]["signature"] is None
    assert list(sidecar.lineage) == ["records/part-00000.parquet", "measures/part-00000.parquet"]


def test_what_an_older_version_measured_is_refused_by_name(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    ingested(workspace)
    MeasurePart(workspace, CODE)(PartRef(0, "key"))
    before = workspace.table("measures/part-00000.parquet").drop_columns(["license_findings"])
    pq.write_table(before, tmp_path / "measures/part-00000.parquet")
    with pytest.raises(InputError, match=r"part-00000.parquet: no column license_findings: .* run `starmill measure`"):
        list(measured(workspace, 0))


def test_what_measure_dropped_and_what_has_rules_of_its_own(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    ingested(workspace, kinds=("code", "code", "issue", "code", "code", "issue", "code"))
    MeasurePart(workspace, {"code": (Picky(), *CODE["code"]), "issue": (Text(),)})(PartRef(0, "key"))
    CuratePart(workspace, RULES | {"issue": Rules((), "exact")}, MinHash())(PartRef(0, "key"))
    kept = workspace.table("curated/part-00000.parquet").to_pylist()
    assert [(r["kind"], r["path"], r["num_chars"]) for r in kept] == [
        ("issue", "/b.py", 2007),
        ("issue", "/c.py", 22),
        ("code", "/vendor/d.py", 10),
    ]
    lost = {r["path"] for r in workspace.table("dropped/curate/part-00000.parquet").to_pylist()}
    assert "/a.py" not in lost and len(lost) + len(kept) == len(ROWS) - 1, "it is in dropped/measure"
    signatures = workspace.table("signatures/part-00000.parquet").to_pylist()
    assert all(s["signature"] is None for s in signatures), "two are compared exactly, and one is too short"


def deduplicated(workspace: Workspace, earlier: tuple[str, ...] = ()) -> dict[tuple[str, str], str]:
    """Return why each of three texts of each kind is gone: the second is equal to the first, the third nearly."""
    options, kinds = MinHash(earlier=earlier), ("near", "exact", "none")  # each is compared as its name says
    words = [f"word{i}" for i in range(200)]
    texts = [" ".join(words), " ".join(words), " ".join([*words[:-1], "other"])]
    rows = tuple((kind, f"/{i}", text) for kind in kinds for i, text in enumerate(texts))
    ingested(workspace, rows, tuple(kind for kind, *_ in rows))
    MeasurePart(workspace, dict.fromkeys(kinds, ()))(PartRef(0, "key"))
    CuratePart(workspace, {kind: Rules((), kind) for kind in kinds}, options)(PartRef(0, "key"))
    run(workspace, [PartRef(0, "key")], options)
    workspace.finish("verdicts", "key", 1, "v")
    return {(r["kind"], r["path"]): r["reason"] for r in workspace.table("dropped/dedup/part-00000.parquet").to_pylist()}


def test_a_kind_says_what_is_removed_as_a_duplicate_of_its_own_and_of_an_earlier_release(tmp_path: Path) -> None:
    lost = deduplicated(Workspace(str(tmp_path / "earlier")))
    one = {("near", "/1"): "exact_duplicate", ("near", "/2"): "near_duplicate", ("exact", "/1"): "exact_duplicate"}
    assert lost == one, "a kind is not compared with another"
    lost = deduplicated(Workspace(str(tmp_path / "later")), (str(tmp_path / "earlier"),))
    assert lost == one | {
        ("near", "/0"): "exact_duplicate",
        ("exact", "/0"): "exact_duplicate",
        ("exact", "/2"): "exact_duplicate",
    }


def test_a_record_whose_signature_takes_too_long_is_a_row_and_how_it_was_looked_for_shows_nowhere(tmp_path: Path) -> None:
    made = []
    for name, rows in (("whole", []), ("by_row", [("curate", "signature")])):
        workspace = Workspace(str(tmp_path / name))
        ingested(workspace)
        MeasurePart(workspace, CODE)(PartRef(0, "key"))
        workspace.publish("skips/part-00000.json", json.dumps({"format": 1, "skips": [], "rows": rows}).encode())
        [row] = [r for r in workspace.table("records/part-00000.parquet").to_pylist() if r["path"] == "/a.py"]
        identity = [row[n] or "" for n in skips.IDENTITY]
        with skips.making(workspace, 0, skips.packed([skips.Skip("curate", "signature", *identity, "took an hour")]), 100.0):
            made.append(CuratePart(workspace, RULES, MinHash())(PartRef(0, "key")))
        lost = {r["path"]: r for r in workspace.table("dropped/curate/part-00000.parquet").to_pylist()}
        assert (lost["/a.py"]["reason"], lost["/a.py"]["detail"]) == ("skipped:signature", "took an hour")
        assert [s["path"] for s in workspace.table("signatures/part-00000.parquet").to_pylist()] == ["/vendor/d.py"]
    assert made[0] == made[1]
