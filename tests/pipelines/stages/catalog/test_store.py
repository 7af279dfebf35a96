"""Rows of directory_entry become the trees that git has, however an export says them."""

import random

import numpy as np
import pyarrow as pa
import pytest

from starmill.core.swhid import directory_id, object_id
from starmill.pipelines.sources.swh.tables import Export
from starmill.pipelines.stages.catalog import store
from starmill.pipelines.stages.catalog.blocks import fixed, unfixed
from starmill.pipelines.stages.catalog.store import CONTENT, RUN, Contents, Directories, one_tree, runs, state

Rows = list[tuple[str, int, bytes, str]]
EXPORT = Export("memory://none", ())


def directory(seed: int, files: int = 5) -> tuple[str, Rows, bytes]:
    """A directory's id, its entries as an exporter writes them, and its tree."""
    rng = random.Random(seed)
    names = [b"a", b"a.b", b"a-b", b"z", b"x\xff", *(b"f%d" % n for n in range(files))]
    entries = [(rng.choice([0o100644, 0o40000, 0o160000]), name, rng.randbytes(20).hex()) for name in names]
    entries.sort(key=lambda e: e[1] + b"/" if e[0] == 0o40000 else e[1])
    tree = b"".join(b"%o %s\0" % (m, n) + bytes.fromhex(t) for m, n, t in entries)
    own = directory_id(entries)
    assert object_id("tree", tree) == own
    return own, [(own, m, n, t) for m, n, t in entries], tree


def block(rows: Rows) -> pa.RecordBatch:
    own, perms, names, targets = zip(*rows, strict=True)
    binary = {"directory_id": [o.encode() for o in own], "name": names, "target": [t.encode() for t in targets]}
    columns = {name: pa.array(values, pa.large_binary()) for name, values in binary.items()}
    return pa.record_batch(columns | {"perms": pa.array(perms, pa.int64())})


def test_entries_become_a_tree_a_run_of_one_directory() -> None:
    made = [directory(n, n) for n in range(20)]
    given = runs(block([row for _, rows, _ in made for row in rows]))
    assert given.column("tree").to_pylist() == [tree for *_, tree in made]
    assert [own.hex() for own in given.column("id").to_pylist()] == [own for own, *_ in made]
    _, rows, tree = made[7]
    [cut] = runs(block(rows).slice(2, 3)).column("tree").to_pylist()
    assert cut in tree and len(cut) == sum(len(b"%o %s\0" % (m, n)) + 20 for _, m, n, _ in rows[2:5])


def test_what_is_said_twice_or_apart_or_out_of_order_is_the_tree_of_its_id() -> None:
    own, rows, tree = directory(1)
    halves = [runs(block(some)).column("tree")[0].as_py() for some in (rows[:4], rows[4:], rows[2:6], rows[::-1])]
    for given in ([tree], [tree, tree], halves[:2], halves[1::-1], halves[:3], halves[3:]):
        assert one_tree([(False, data) for data in given], own) == tree
    assert one_tree([(False, halves[0]), (True, b"odd")], own) == b"odd", "a raw manifest is what git has"
    assert one_tree([(False, tree), (True, b"")], own) == tree
    assert one_tree([(False, b"no tree"), (False, b"no tree")], own) == b"no tree"
    assert one_tree([(False, halves[0])], own) == halves[0], "what is lost is not made up"


def test_a_bucket_is_sorted_and_names_the_folders_of_true_trees_alone() -> None:
    made = [directory(n) for n in range(30)]
    blocks = [runs(block([row for _, rows, _ in some for row in rows])) for some in (made, made[::-1])]
    blocks.append(runs(block([("f" * 40, 0o40000, b"x", made[0][0])])))
    [(table, _)] = Directories(EXPORT, 1).write(0, blocks).values()
    assert [own.hex() for own in table.column("id").to_pylist()] == [*sorted(own for own, *_ in made), "f" * 40]
    for own, folders, tree in zip(*(table.column(c).to_pylist() for c in ("id", "folders", "tree")), strict=True):
        of = [row for known, rows, _ in made for row in rows if known == own.hex()]
        assert folders.hex() == "".join(t for _, m, _, t in of if m == 0o40000) and (
            own.hex() == object_id("tree", tree)
        ) == bool(of)
    [(empty, _)] = Directories(EXPORT, 1).write(0, []).values()
    assert empty.num_rows == 0 and empty.schema == store.DIRECTORY and RUN.names[0] == "id"


def test_of_a_content_that_is_said_twice_the_first_counts() -> None:
    ids = np.array([b"b" * 20, b"a" * 20, b"b" * 20], "S20")
    block = pa.record_batch(
        [fixed(ids), fixed(ids), pa.array([1, 2, 3]), pa.array([b"visible"] * 3, pa.large_binary())], schema=CONTENT
    )
    [(table, _)] = Contents(EXPORT, 1).write(0, [block, block]).values()
    assert unfixed(table.column("id")).tolist() == [b"a" * 20, b"b" * 20] and table.column("length").to_pylist() == [2, 1]


@pytest.mark.parametrize(
    ("table", "text", "wanted"),
    [
        ("content", b"visible", "visible"),
        ("content", b"other", "hidden"),
        ("content", None, "hidden"),
        ("skipped_content", b"too large\xff", "skipped: too large\\xff"),
        ("skipped_content", None, "skipped"),
    ],
)
def test_what_is_not_visible_is_not_handed_out(table: str, text: bytes | None, wanted: str) -> None:
    assert state(table, text) == wanted
