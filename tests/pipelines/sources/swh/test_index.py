"""The index of an export: built once whoever asks, whole or not at all, and equal whatever the order of what it is built of."""

import hashlib
import multiprocessing
import os
from pathlib import Path

import exports
import numpy as np
import pytest

from starmill.core.swhid import directory_id, object_id
from starmill.pipelines.sources.git.objects import CorruptObject, MissingObject
from starmill.pipelines.sources.swh.index import Index, ensure, lookup
from starmill.pipelines.sources.swh.tables import ID, export

URL = "https://github.com/o/r"


def own(n: int) -> str:
    return hashlib.sha1(str(n).encode()).hexdigest()


def folder(entries: list[tuple[int, bytes, str]]) -> tuple[str, list[dict]]:
    made = directory_id(entries)
    return made, [{"directory_id": made, "name": name, "target": to, "perms": mode, "type": "x"} for mode, name, to in entries]


def dump(place: Path, blobs: int = 500, deep: int = 5) -> tuple[Path, str]:
    """A folder with `blobs` files, each named by its number, at the end of a chain of folders that hold two of the next."""
    root, rows = folder([(0o100644, str(n).encode(), own(n)) for n in range(blobs)])
    for _ in range(deep):
        root, more = folder([(0o40000, b"one", root), (0o40000, b"two", root)])
        rows += more
    made: exports.Rows = {
        "content": [{"sha1": own(-n), "sha1_git": own(n), "length": n, "status": "visible"} for n in range(blobs)],
        "directory_entry": rows,
        "origin_visit_status": [{"origin": URL, "visit": 1, "date": 1, "status": "full", "snapshot": own(1)}],
        "snapshot_branch": [{"snapshot_id": own(1), "name": b"HEAD", "target": root, "target_type": "directory"}],
    }
    return exports.save(place, made), root


def test_contents_and_trees_are_found_by_id(tmp_path: Path) -> None:
    place, root = dump(tmp_path / "orc")
    index = Index(ensure(export(str(place)), tmp_path / "catalog"))
    found = index.contents([bytes.fromhex(own(n)) for n in (*range(500), 501)])
    assert [c and (c.sha1, c.length, c.state) for c in found] == [*((own(-n), n, "visible") for n in range(500)), None]
    assert index.contents([]) == []
    assert index.read(root, "tree", 1 << 20).startswith(b"40000 one\0")
    with pytest.raises(MissingObject):
        index.read(own(7), "tree", 1 << 20)
    with pytest.raises(CorruptObject, match="a tree of 60 bytes"):
        index.read(root, "tree", 59)
    [(head, size, _)] = index.heads()
    assert head.directory == root and size == sum(range(500)), "one folder under two names counts once"
    assert index.head("o/r") == (head, size) and index.head("o/q") is None and index.head("z") is None


@pytest.mark.slow
def test_a_directory_of_a_million_entries_is_the_tree_that_git_would_write(tmp_path: Path) -> None:
    place, root = dump(tmp_path / "orc", 1_000_000, 0)
    index = Index(ensure(export(str(place)), tmp_path / "catalog"))
    tree = index.read(root, "tree", 1 << 30)
    assert object_id("tree", tree) == root and tree.count(b"100644 ") == 1_000_000


def test_a_lookup_is_numpys_own_on_every_id() -> None:
    rng = np.random.default_rng(0)
    table = np.sort(np.frombuffer(rng.bytes(20 * 999), ID))
    wanted = np.concatenate([table[::3], np.frombuffer(b"\0" * 20 + b"\xff" * 20 + rng.bytes(200), ID)])
    at, found = lookup(table, wanted)
    assert found.tolist() == [w in {*table.tolist()} for w in wanted.tolist()] and (table[at[found]] == wanted[found]).all()
    assert lookup(table[:0], wanted)[1].sum() == 0


def build(place: str, catalog: str, said: "multiprocessing.Queue[float]") -> None:
    said.put(os.stat(ensure(export(place), Path(catalog))).st_ino)


def test_processes_that_start_together_build_one(tmp_path: Path) -> None:
    place, _ = dump(tmp_path / "orc")
    spawn = multiprocessing.get_context("fork")
    said: multiprocessing.Queue[float] = spawn.Queue()
    workers = [spawn.Process(target=build, args=(str(place), str(tmp_path / "catalog"), said)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert len({said.get(timeout=60) for _ in workers}) == 1
    for worker in workers:
        worker.join()
    assert sorted(p.suffix for p in (tmp_path / "catalog").iterdir()) == ["", ".lock"]


@pytest.mark.parametrize("damage", ["index.json", "content.ids", "run.rows", "left over"])
def test_what_a_killed_or_broken_machine_left_is_built_again(tmp_path: Path, damage: str) -> None:
    place, root = dump(tmp_path / "orc", 20)
    made = ensure(export(str(place)), tmp_path / "catalog")
    before = {p.name: p.read_bytes() for p in made.iterdir()}
    if damage == "left over":
        made.rename(made.with_suffix(".tmp"))
        (made.with_suffix(".tmp") / "names").write_text("half")
    else:
        (made / damage).write_bytes(b"\xff" * 7)
    assert ensure(export(str(place)), tmp_path / "catalog") == made
    assert {p.name: p.read_bytes() for p in made.iterdir()} == before and Index(made).read(root, "tree", 1 << 20)


def test_a_byte_that_changed_is_found_by_the_plan(tmp_path: Path) -> None:
    place, _ = dump(tmp_path / "orc", 20)
    made = ensure(export(str(place)), tmp_path / "catalog")
    before = (made / "content.rows").read_bytes()
    (made / "content.rows").write_bytes(b"x" + before[1:])
    ensure(export(str(place)), tmp_path / "catalog")
    assert (made / "content.rows").read_bytes() != before, "a worker does not read all of it"
    ensure(export(str(place)), tmp_path / "catalog", verify=True)
    assert (made / "content.rows").read_bytes() == before


def test_what_holds_itself_has_a_size_and_an_end(tmp_path: Path) -> None:
    """No hash can: an export that says so lies."""
    loop = own(1)
    made: exports.Rows = {
        "content": [{"sha1": own(2), "sha1_git": own(2), "length": 2**62, "status": "visible"}],
        "directory_entry": [
            {"directory_id": loop, "name": b"in", "target": loop, "perms": 0o40000, "type": "dir"},
            {"directory_id": loop, "name": b"again", "target": loop, "perms": 0o40000, "type": "dir"},
            {"directory_id": loop, "name": b"file", "target": own(2), "perms": -5, "type": "file"},
        ],
        "origin_visit_status": [{"origin": URL, "visit": 1, "date": 1, "status": "full", "snapshot": loop}],
        "snapshot_branch": [{"snapshot_id": loop, "name": b"HEAD", "target": loop, "target_type": "directory"}],
    }
    index = Index(ensure(export(str(exports.save(tmp_path / "orc", made))), tmp_path / "catalog"))
    [(_, size, _)] = index.heads()
    assert size == 1 << 62
    with pytest.raises(CorruptObject, match="do not hash to its id"):
        index.read(loop, "tree", 1 << 20)
