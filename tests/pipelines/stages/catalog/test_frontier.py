"""Levels against plain sets of pairs."""

import itertools
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from starmill.core.dataset import ParquetPart, Workspace, part_path
from starmill.core.swhid import directory_id
from starmill.pipelines.sources.swh.tables import plain
from starmill.pipelines.stages.catalog import frontier
from starmill.pipelines.stages.catalog.blocks import fixed, unfixed
from starmill.pipelines.stages.catalog.frontier import LEVEL, PAIR, Level, Pairs, distinct, files_of, level

IDS = [random.Random(n).randbytes(20) for n in range(40)]


def ids(some: list[bytes]) -> np.ndarray:
    return np.array(some, "S20")


def save(workspace: Workspace, name: str, rows: list[tuple[int, bytes, bool]]) -> None:
    roots, nodes, cut = zip(*rows, strict=True)
    part = ParquetPart(LEVEL)
    part.write(pa.record_batch([pa.array(roots, pa.uint64()), fixed(ids([*nodes])), pa.array(cut)], schema=LEVEL))
    workspace.publish(part_path(name, 0), part.close())


@pytest.mark.parametrize("pairs", [7, 1 << 22])
def test_all_below_a_node_is_below_each_of_its_roots_once(tmp_path: Path, pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frontier, "PAIRS", pairs)
    rng, workspace = random.Random(0), Workspace(str(tmp_path))
    rows = [(root << 32, node, False) for root in range(9) for node in rng.sample(IDS, 6)]
    save(workspace, level(0), rows)
    save(workspace, level(1), [*rows[5:20], (99, IDS[0], True)])
    known = rng.sample(IDS, 20)
    below = [ids(rng.sample(IDS, rng.randrange(5))) for _ in known]
    found = Pairs.of(workspace, 0, [level(0), level(1)])
    given = [(int(r), o) for roots, own in found.fan_out(ids(known), below) for r, o in zip(roots, plain(own), strict=True)]
    wanted = [
        (root, child)
        for root, node, _ in rows
        for n, some in zip(known, below, strict=True)
        if n == node
        for child in plain(some)
    ]
    assert sorted(given) == sorted(wanted) and len(given) > 20
    assert Pairs.of(workspace, 0, [level(1)], cut=True).roots.tolist() == [99]


def test_a_level_is_distinct_and_cuts_the_roots_of_high_numbers() -> None:
    rows = [*itertools.product(range(5), IDS[:2]), (0, IDS[0]), (7, IDS[2])]
    roots, nodes = zip(*rows, strict=True)
    block = pa.record_batch([pa.array(roots, pa.uint64()), fixed(ids([*nodes]))], schema=PAIR)
    [(table, _)] = Level(Workspace("memory://none"), 1, 3, most=3).write(0, [block, block]).values()
    given = {(root, node): cut for root, node, cut in zip(*(c.to_pylist() for c in table.columns), strict=True)}
    assert given == {(root, node): root in (3, 4) for root, node in rows} and table.num_rows == len(given)
    [(none, _)] = Level(Workspace("memory://none"), 1, 3, most=3).write(0, []).values()
    assert none.num_rows == 0


def test_ids_that_end_in_nulls_stay_apart() -> None:
    own = [b"\0" * 20, b"a" + b"\0" * 19, b"a" * 19 + b"\0", b"a" * 20]
    table = pa.table({"root": pa.array([1, 1, 2, 256], pa.uint64()), "id": fixed(ids(own))})
    roots, found = distinct(pa.concat_tables([table, table]))
    assert [*zip(roots.tolist(), plain(found), strict=True)] == [*zip([1, 1, 2, 256], own, strict=True)]


def test_the_files_of_a_tree_are_those_that_have_a_content() -> None:
    entries = [
        (0o100644, b"a", "aa" * 20),
        (0o120000, b"b", "bb" * 20),
        (0o40000, b"c", "cc" * 20),
        (0o160000, b"d", "dd" * 20),
    ]
    tree = b"".join(b"%o %s\0" % (m, n) + bytes.fromhex(t) for m, n, t in [*entries, entries[0]])
    assert files_of(tree).tolist() == [b"\xaa" * 20, b"\xbb" * 20] and directory_id(entries)
    assert files_of(b"no tree").tolist() == [] and unfixed(fixed(files_of(tree))).tolist() == files_of(tree).tolist()
