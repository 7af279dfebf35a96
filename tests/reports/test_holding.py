"""A view finds a record among a hundred thousand parts by a few small reads; where it cannot, it looks into each part and says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from starmill.core import hashes, schema
from starmill.core.dataset import LastRun, ParquetPart, Sidecar, StageName, Workspace, output, part_path
from starmill.core.errors import InputError
from starmill.core.part import Manifest, Output
from starmill.core.storage import Storage
from starmill.pipelines.stages.ledger import Ledger
from starmill.reports import holding, why
from starmill.reports.query import Labels, parse
from starmill.transforms.clean.redact import labels
from starmill.transforms.step import drop_rows

STAGES = (StageName("read", "records"), StageName("choose", "curated"))
MAIL = "/jane@corp.io.py"


def block(part: int) -> pa.RecordBatch:
    """Return two records of a part: a path of its own, and one that all parts have."""
    digest = f"{part:040x}"
    rows = [{"repo_name": f"r{part}", "path": path, "length_bytes": 1} for path in (f"/lib/{part}.py", "/LICENSE")]
    rows[0] |= {"content_id": digest, "blob_id": f"{part + (1 << 80):040x}", "directory_id": f"{part + (1 << 90):040x}"}
    rows[1] |= {"content_id": "f" * 40, "revision_id": "e" * 40, "parent": f"swh:1:cnt:{'c' * 40}"}
    if part == 3:
        rows.append({"repo_name": "jane@corp.io", "path": MAIL, "length_bytes": 1, "content_id": "9" * 40})
    return pa.RecordBatch.from_pylist(rows, schema=schema.RECORDS)


def write(workspace: Workspace, part: int) -> Sidecar:
    """Write a part as ingest does: what it keeps, and a row that it drops."""
    ledger = Ledger("read", "records", part, "k", {}, is_first=True)
    file = ParquetPart(schema.RECORDS)
    file.write(block(part))
    ledger.keep(block(part))
    ledger.add(part_path("records", part), file.close(), file.rows)
    lost = pa.RecordBatch.from_pylist(
        [{"kind": "code", "repo_name": f"r{part}", "path": f"/gone/{part}.bin", "length_bytes": 0}], schema=schema.RECORDS
    )
    ledger.drop([drop_rows(lost, "read", "decode", ["nul_bytes"])])
    return ledger.commit(workspace)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(str(tmp_path))
    for part in range(12):
        write(made, part)
    made.publish_last_run(LastRun(STAGES, 12))
    made.finish("records", "key", 12, "v")
    return made


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/lib/7.py", [7]),
        ("lib/7.py", [7]),
        ("r7:/lib/7.py", [7]),
        ("r7:LICENSE", [7]),
        ("r8:/lib/7.py", []),
        ("gone/11.bin", [11]),
        (f"swh:1:cnt:{7:040x}", [7]),
        (f"{7 + (1 << 80):040x}", [7]),
        (f"swh:1:dir:{7 + (1 << 90):040x}", [7]),
        (f"swh:1:rev:{'e' * 40}", [*range(12)]),
        (f"swh:1:cnt:{'c' * 40}", [*range(12)]),
        (f"swh:1:cnt:{'d' * 40}", []),
        ("7.py", []),
    ],
)
def test_the_parts_that_hold_what_a_text_names(workspace: Workspace, text: str, parts: list[int]) -> None:
    query = parse(text)
    assert holding.parts(workspace, query) == parts
    folders = ("records", "dropped/read") if query.tree is None else ("records",)
    blocks = [(k, b) for k in range(12) for folder in folders for b in workspace.blocks(part_path(folder, k))]
    assert sorted({k for k, b in blocks if any(query.mask(b).to_pylist())}) == parts, "as a look into each part finds"


def test_a_file_of_that_name_in_another_folder_is_named_first(workspace: Workspace) -> None:
    assert holding.like(workspace, parse("src/lib/10.py")) == [10]
    with pytest.raises(InputError, match=r"the nearest are r10:/lib/10\.py"):
        why.tell(workspace, "10.py")


def test_a_name_is_found_as_it_is_and_as_a_view_shows_it(workspace: Workspace) -> None:
    shown = Labels(labels.hidden, labels.aliases)
    for text in (MAIL, f"jane@corp.io:{MAIL}", labels.redacted(MAIL)):
        [file] = why.tell(workspace, text, labels=shown)["files"]
        assert "jane" not in file["path"]
    assert holding.parts(workspace, parse(MAIL, shown)) == [3]
    assert holding.parts(workspace, parse(labels.redacted(MAIL), shown)) is None, "no hash tells what it hides"


def test_a_path_that_all_have_is_told_of_a_few(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    told = why.tell(workspace, "LICENSE", most_parts=3)
    assert [file["repo_name"] for file in told["files"]] == ["r0", "r1", "r2"] and told["more_parts"] == 9
    assert [*why.lines(told)][-1] == "and files in 9 more parts: give repository:path, or --all"
    assert len(why.tell(workspace, "LICENSE", most_parts=100)["files"]) == 12
    assert capsys.readouterr().err == ""


def test_without_hashes_each_part_is_looked_into_and_that_is_said(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_them = why.tell(workspace, "r7:LICENSE")
    workspace.remove(hashes.LIST)
    monkeypatch.setattr(why, "SLOW", 10)
    assert why.tell(workspace, "r7:LICENSE") == with_them
    assert "each of 12 parts is looked into" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_damaged_file_of_hashes_is_not_believed(workspace: Workspace, damage: str) -> None:
    [group] = workspace.groups() or ()
    place = Path(workspace.root, group.path)
    place.unlink() if damage == "gone" else place.write_bytes(place.read_bytes()[:40])
    assert holding.parts(workspace, parse("/lib/7.py")) is None
    assert why.tell(workspace, "/lib/7.py")["files"][0]["repo_name"] == "r7"


@pytest.mark.parametrize(
    "text",
    [
        "/lib/1.py",
        "r1:/lib/1.py",
        "gone/1.bin",
        f"swh:1:cnt:{1:040x}",
        f"swh:1:dir:{1 + (1 << 90):040x}",
        "LICENSE",
        "none/1.py",
    ],
)
def test_among_a_hundred_thousand_parts_as_few_files_are_read_as_among_a_hundred(
    grown: dict[int, Workspace], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = {parts: looked(workspace, text, monkeypatch) for parts, workspace in grown.items()}
    assert spent[100_000][0] <= spent[100][0] + 300, "two reads of each group more"
    assert spent[100_000][1] < spent[100][1] + 1_000_000, (
        "the ends of a larger manifest, and the entries of a name that all parts have"
    )


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Workspace]:
    """Workspaces whose first parts are real; of the others there is what is merged and summed up, as nothing else may be read."""
    made = {}
    for parts in (100, 100_000):
        made[parts] = Workspace(str(tmp_path_factory.mktemp(str(parts))))
        real = [write(made[parts], part) for part in range(20)]
        names = hashes.packed([hashes.of("/LICENSE")])
        made[parts].publish_last_run(LastRun(STAGES[:1], parts))
        others = (
            (output(part_path("records", k), b"x"), Output(part_path("hashes", k, "bin"), f"{k:064x}", len(names)))
            for k in range(20, parts)
        )
        sidecars = [*real, *(Sidecar("read", "records", k, "k", some) for k, some in enumerate(others, 20))]
        manifest = Manifest("read", "records", "k", "d", "v", tuple(sidecars))
        for group, files in hashes.planned(manifest):
            data = [made[parts].read(path) if group.first + k < 20 else names for k, path in enumerate(files)]
            made[parts].publish(group.path, hashes.merged(data))
        made[parts].publish_manifest(manifest)
        assert made[parts].groups() is not None
    return made


def looked(workspace: Workspace, text: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Return how many requests `why` makes of a store, and the bytes that it reads; a listing of parts is none that it may make."""
    made, calls, opens = [0, 0], Storage._call, Storage.open

    def called(self: Storage, method: str, relative: str, *arguments: Any, **options: Any) -> Any:
        assert method not in ("ls", "find"), f"lists {relative}/"
        found = calls(self, method, relative, *arguments, **options)
        made[:] = made[0] + 1, made[1] + (len(found) if method == "cat_file" else 0)
        return found

    @contextmanager
    def opened(self: Storage, relative: str) -> Iterator[pa.NativeFile]:
        made[:] = made[0] + 1, made[1] + self.size(relative)
        with opens(self, relative) as file:
            yield file

    with monkeypatch.context() as patched:
        patched.setattr(Storage, "_call", called)
        patched.setattr(Storage, "open", opened)
        try:
            why.tell(workspace, text)
        except InputError as error:
            assert text.startswith("none/") and "r1:/lib/1.py" in str(error)
    return made[0], made[1]
