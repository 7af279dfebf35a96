"""mlcroissant validates the metadata, and reads the rows by it; the digests are those of the files."""

import hashlib
import json
import logging
from pathlib import Path

import pytest
from mixed import release, rows

from starmill.reports import croissant
from starmill.reports import publish as publishing
from starmill.reports.targets import Folder

ROWS = rows(8)
ABOUT = {"name": "Own set", "description": "Of a test.", "version": "1.0.0", "datePublished": "2026-11-27", "license": "of each record",
         "citeAs": "Own set", "url": "https://example.org"}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("set")
    workspace, target = release(place / "w", all_rows=ROWS), Folder(place / "out")
    manifest = workspace.manifest("dataset")
    assert manifest is not None
    planned = publishing.plan(workspace, manifest, target, 1000, with_notices=False)
    cards = lambda made: {"croissant.json": croissant.text(ABOUT, planned.files, made)}  # noqa: E731
    publishing.publish(workspace, planned, target, cards)
    return place / "out"


def test_mlcroissant_finds_nothing_to_say_and_reads_the_rows(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    with caplog.at_level(logging.WARNING):
        dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert not dataset.metadata.issues.errors and not dataset.metadata.issues.warnings and not caplog.records
    for kind in ("code", "issue", "notebook_script"):
        wanted = [row for row in ROWS if row["kind"] == kind]
        found = list(dataset.records(kind))
        for name in ("repo_name", "path", "content", "content_id"):
            got = [record[f"{kind}/{name}"].decode() for record in found]
            assert sorted(got) == sorted(row[name] for row in wanted), (kind, name)
        sizes = sorted(record[f"{kind}/length_bytes"] for record in found)
        assert sizes == sorted(row["length_bytes"] for row in wanted)


def test_the_digests_are_those_of_the_files(folder: Path) -> None:
    told = json.loads((folder / "croissant.json").read_text())
    listed = {one["contentUrl"]: one for one in told["distribution"] if one["@type"] == "cr:FileObject"}
    assert {*listed} == {p.relative_to(folder).as_posix() for p in folder.rglob("data/**/*.parquet")} and len(listed) > 5
    for name, one in listed.items():
        data = (folder / name).read_bytes()
        assert one["sha256"] == hashlib.sha256(data).hexdigest() and one["contentSize"] == f"{len(data)} B"


def test_each_column_but_lists_of_structs_is_a_field(folder: Path) -> None:
    told = json.loads((folder / "croissant.json").read_text())
    code = next(one for one in told["recordSet"] if one["name"] == "code")
    fields = {field["name"]: field for field in code["field"]}
    assert {*publishing.DATASET.names} - {*fields} == {"segments", "redactions", "license_findings"}
    assert fields["detected_licenses"]["repeated"] and fields["length_bytes"]["dataType"] == "sc:Integer"
    assert fields["is_vendor"]["dataType"] == "sc:Boolean" and fields["visit_date"]["dataType"] == "sc:DateTime"
