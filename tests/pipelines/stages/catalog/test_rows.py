"""What a source reads: sizes as git would count them, rows by root, and what is cut where nothing better is known."""

import pyarrow as pa

from starmill.core.swhid import object_id
from starmill.pipelines.sources.swh.index import LARGEST
from starmill.pipelines.stages.catalog.rows import TREE, _sorted, size_of

BLOB = [bytes([n]) * 20 for n in range(9)]


def tree(*entries: tuple[int, bytes, bytes]) -> tuple[bytes, bytes]:
    data = b"".join(b"%o %s\0%s" % entry for entry in entries)
    return bytes.fromhex(object_id("tree", data)), data


def test_a_folder_counts_once_a_folder_and_once_a_place() -> None:
    leaf = tree((0o100644, b"a", BLOB[1]), (0o100644, b"b", BLOB[1]), (0o100644, b"lost", BLOB[8]))
    middle = tree((0o40000, b"x", leaf[0]), (0o40000, b"y", leaf[0]), (0o120000, b"l", BLOB[2]))
    root = tree((0o40000, b"m", middle[0]), (0o40000, b"n", leaf[0]), (0o40000, b"o", BLOB[7]))
    own, trees = zip(*sorted([leaf, middle, root]), strict=True)
    lengths = {BLOB[1]: 10, BLOB[2]: 3}
    assert [size_of(o, [*own], [*trees], lengths) for o, _ in (leaf, middle, root)] == [20, 23, 43]
    assert size_of(BLOB[0], [*own], [*trees], lengths) == 0


def test_a_bomb_has_the_largest_size_and_what_is_forged_is_no_circle() -> None:
    made = [tree((0o100644, b"a", BLOB[1]))]
    for n in range(70):
        name = b"%d" % n
        twin = tree((0o40000, name, made[-1][0]))
        made += [twin, tree((0o40000, b"l", made[-1][0]), (0o40000, b"r", twin[0]))]
    own, trees = zip(*made, strict=True)
    assert size_of(own[-1], [*own], [*trees], {BLOB[1]: 1}) == LARGEST
    forged = b"".join(b"40000 %s\0%s" % (b"up", BLOB[3]) for _ in range(2)) + b"100644 f\0" + BLOB[1]
    assert size_of(BLOB[3], [BLOB[3]], [forged], {BLOB[1]: 5}) == 5
    assert size_of(BLOB[3], [BLOB[3], BLOB[4]], [None, b"no tree"], {}) == 0


def test_a_pair_that_is_cut_at_one_level_and_open_at_another_is_open() -> None:
    rows = [(2, BLOB[1], None), (1, BLOB[2], None), (1, BLOB[1], b"tree"), (1, BLOB[1], None), (2, BLOB[1], None)]
    roots, own, trees = zip(*rows, strict=True)
    columns = [pa.array(roots, pa.uint64()), pa.array(own, pa.binary(20)), pa.array(trees, pa.large_binary())]
    given = _sorted(pa.table(columns, schema=TREE)).to_pylist()
    assert [(r["root"], r["id"], r["tree"]) for r in given] == [(1, BLOB[1], b"tree"), (1, BLOB[2], None), (2, BLOB[1], None)]
    assert _sorted(TREE.empty_table()).num_rows == 0
