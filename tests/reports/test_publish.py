"""A published folder holds the rows of the dataset, in its order, whoever reads it; a second run makes only what differs."""

import gzip
import hashlib
import json
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mixed import release, rows

from starmill.core import schema
from starmill.core.dataset import Count, Manifest, Output, Sidecar, Workspace
from starmill.core.errors import InputError, MachineError
from starmill.reports import publish as publishing
from starmill.reports.publish import Made, folders, plan_data
from starmill.reports.targets import Folder

ROWS = rows()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return release(tmp_path_factory.mktemp("workspace"))


def manifest_of(workspace: Workspace) -> Manifest:
    manifest = workspace.manifest("dataset")
    assert manifest is not None
    return manifest


def published(workspace: Workspace, place: Path, file_bytes: int = 1 << 30) -> tuple[publishing.Plan, list[Made]]:
    target = Folder(place)
    planned = publishing.plan(workspace, manifest_of(workspace), target, file_bytes, with_notices=False)
    return planned, publishing.publish(workspace, planned, target, lambda made: {"README.md": b"# A set\n"})


def contents(place: Path) -> dict[str, bytes]:
    return {p.relative_to(place).as_posix(): p.read_bytes() for p in sorted(place.rglob("*")) if p.is_file()}


def test_every_row_is_there_once_in_its_order(workspace: Workspace, tmp_path: Path) -> None:
    planned, made = published(workspace, tmp_path / "out", file_bytes=3000)
    wanted, found = defaultdict(list), defaultdict(list)
    for row in ROWS:
        wanted[row["kind"], row["language"] or ""].append(row)
    assert any(len({f.path for f in planned.files if (f.kind, f.language) == key}) > 1 for key in wanted), "some are cut"
    for file in planned.files:
        table = pq.read_table(tmp_path / "out" / file.path)
        assert table.schema == schema.DATASET and table.num_rows == file.rows
        assert sum(table.column("length_bytes").to_pylist()) == file.text_bytes
        found[file.kind, file.language] += table.to_pylist()
        ids = gzip.decompress((tmp_path / "out" / file.swhids).read_bytes()).decode().split()
        assert ids == [f"swh:1:cnt:{row['content_id']}" for row in table.to_pylist()]
    assert found == wanted
    for one in made:
        data = (tmp_path / "out" / one.path).read_bytes()
        assert (one.bytes, one.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    listed = json.loads((tmp_path / "out/starmill.json").read_text())["files"]
    assert {name: entry["sha256"] for name, entry in listed.items()} == {one.path: one.sha256 for one in made}


def test_datasets_loads_the_rows(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    published(workspace, tmp_path / "out", file_bytes=3000)
    files = {"train": str(tmp_path / "out/data/*/*/*.parquet")}
    loaded = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert sorted(loaded["content_id"]) == sorted(row["content_id"] for row in ROWS)


def test_equal_work_gives_equal_bytes_and_the_second_run_makes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    published(workspace, tmp_path / "one")
    published(workspace, tmp_path / "two")
    first = contents(tmp_path / "one")
    assert first == contents(tmp_path / "two")
    times = {p: p.stat().st_mtime_ns for p in (tmp_path / "one").rglob("*") if p.is_file()}
    _, made = published(workspace, tmp_path / "one")
    assert not [one.path for one in made if one.made and one.path != "README.md"]
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "one").rglob("*") if p.is_file()} == times


def test_a_run_that_was_stopped_goes_on(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    published(workspace, tmp_path / "whole", file_bytes=3000)
    put, count = Folder.put_file, iter(range(100))

    def stopped(self: Folder, relative: str, staged: Path) -> None:
        if next(count) == 5:
            raise KeyboardInterrupt
        put(self, relative, staged)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Folder, "put_file", stopped)
        published(workspace, tmp_path / "out", file_bytes=3000)
    there = contents(tmp_path / "out")
    assert len(there) == 6 and "starmill.json" in there and not list((tmp_path / "out").glob(".*")), "five files and the mark"
    _, made = published(workspace, tmp_path / "out", file_bytes=3000)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    assert {one.path for one in made if not one.made} >= {name for name in there if name.startswith("data/")}


def test_what_differs_is_made_and_what_is_no_longer_part_goes(workspace: Workspace, tmp_path: Path) -> None:
    published(workspace, tmp_path / "out")
    (tmp_path / "out/mine.txt").write_text("mine")
    other = release(tmp_path / "w", all_rows=[row for row in ROWS if row["language"] != "Java" and row["kind"] != "issue"])
    planned, _ = published(other, tmp_path / "out")
    published(other, tmp_path / "fresh")
    assert {name.split("/")[1] for name in planned.stale} == {"code", "issue", "notebook_script"}
    there = contents(tmp_path / "out")
    assert there.pop("mine.txt") == b"mine", "a file that starmill did not make stays"
    assert there == contents(tmp_path / "fresh")


def test_a_file_that_was_damaged_is_made_again(workspace: Workspace, tmp_path: Path) -> None:
    planned, _ = published(workspace, tmp_path / "out")
    whole = contents(tmp_path / "out")
    place = tmp_path / "out" / planned.files[0].path
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)
    published(workspace, tmp_path / "out")
    assert contents(tmp_path / "out") == whole


def test_a_part_that_was_damaged_is_told(tmp_path: Path) -> None:
    workspace = release(tmp_path / "w")
    place = tmp_path / "w/dataset/part-00001.parquet"
    place.write_bytes(place.read_bytes() + b" ")
    with pytest.raises(MachineError, match="its bytes are not those that were published"):
        published(workspace, tmp_path / "out")


def test_a_folder_of_other_files_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(InputError, match=r"holds files that are not starmill's \('thesis.tex'; 1 in all\)"):
        published(workspace, tmp_path)


def test_a_manifest_that_does_not_tell_the_rows_is_told(tmp_path: Path) -> None:
    workspace = release(tmp_path / "w")
    manifest = manifest_of(workspace)
    first = manifest.parts[0]
    wrong = Sidecar(**{**vars(first), "counts": (*first.counts, Count("", "", "Cobol", 3, 30, "code"))})
    workspace.publish_manifest(Manifest(**{**vars(manifest), "parts": (wrong, *manifest.parts[1:])}))
    with pytest.raises(MachineError, match="0 records of code in Cobol where its manifest says 3"):
        published(workspace, tmp_path / "out")


HOSTILE = [
    "../..",
    "..",
    "a/b",
    "A",
    "a",
    "C#",
    "C-Sharp",
    "con\0",
    "\ud800",
    "x" * 500,
    "x" * 501,
    "no-language",
    "",
    "*",
    "[ab]",
]


def test_folders_are_safe_and_no_two_are_alike() -> None:
    made = folders(HOSTILE)
    assert len({name.lower() for name in made.values()}) == len(HOSTILE)
    for name in made.values():
        assert len(name) < 100 and not name.startswith(".") and not {*name} & set('/\\\0*?[]<>:|"#'), name


def test_a_row_of_a_hostile_language_is_published(tmp_path: Path) -> None:
    names = ["../../../etc", "a\nb", "\u202eevil", "C*"]
    mine = [{**ROWS[0], "language": name, "path": f"/{i}", "content_id": f"{i:040x}"} for i, name in enumerate(names)]
    planned, _ = published(release(tmp_path / "w", all_rows=mine), tmp_path / "out")
    tables = pa.concat_tables(pq.read_table(tmp_path / "out" / file.path) for file in planned.files)
    assert sorted(tables.column("language").to_pylist()) == sorted(names)
    assert all(p.is_relative_to(tmp_path / "out/data") for p in tmp_path.rglob("*.parquet") if "w/" not in str(p))


def test_the_plan_follows_the_order_of_the_parts() -> None:
    def part(number: int, files: int) -> Sidecar:
        out = Output(f"dataset/part-{number:05d}.parquet", f"{number}{files}".rjust(64, "0"), 10, files)
        return Sidecar(
            "s",
            "dataset",
            number,
            "k",
            (out,),
            (Count("", "", "C", files, 100 * files, "code"), Count("x", "r", "C", 9, 9, "code")),
        )

    parts = (part(0, 1), part(1, 2), part(2, 0), part(3, 4), part(4, 1))
    files = plan_data(Manifest("s", "dataset", "k", "d", "v", parts), file_bytes=300)
    assert [(f.parts, f.rows, f.text_bytes) for f in files] == [((0, 1), 3, 300), ((3,), 4, 400), ((4,), 1, 100)]
    again = plan_data(Manifest("s", "dataset", "k", "d", "v", (*parts[:4], part(4, 2))), file_bytes=300)
    assert [f.path for f in again[:2]] == [f.path for f in files[:2]] and again[2].path != files[2].path
