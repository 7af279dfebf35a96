"""Band keys and candidate pairs against the definition: all pairs of files that agree in all rows of some band."""

from collections import Counter
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from starmill.transforms.dedup import bands
from starmill.transforms.dedup.minhash import MinHash

OPTIONS = MinHash(permutations=8, bands=3, rows=2)


def signed(rows: np.ndarray) -> pa.Array:
    return pa.array([r.astype("<u4").tobytes() for r in rows], pa.binary())


def of_code(languages: list[str | None], kind: str = "code") -> pa.RecordBatch:
    return pa.record_batch({"kind": [kind] * len(languages), "language": pa.array(languages, pa.string())})


def keyed(rows: np.ndarray, languages: list[str | None], options: MinHash, partitions: int) -> list[tuple[int, pa.RecordBatch]]:
    scopes = bands.scopes(of_code(languages), options)
    files = bands.file_ids(3, np.arange(len(rows)))
    return list(bands.band_blocks(signed(rows), files, scopes, options, partitions))


def found(blocks: list[tuple[int, pa.RecordBatch]]) -> set[tuple[int, int]]:
    pairs = set()
    for number in {n for n, _ in blocks}:
        for block in bands.Buckets.of([b for n, b in blocks if n == number]).pairs():
            pairs |= {(a & 0xFFFFFFFF, b & 0xFFFFFFFF) for a, b in zip(*block.to_pydict().values(), strict=True)}
    return pairs


@pytest.mark.parametrize("partitions", [1, 5, 64])
@pytest.mark.parametrize("scope", ["all", "language"])
def test_candidates_are_the_pairs_that_share_a_band(partitions, scope):
    rows = np.random.default_rng(0).integers(0, 3, (60, 8))
    languages = ["C" if i % 3 else None for i in range(60)]
    options = MinHash(permutations=8, bands=3, rows=2, scope=scope)
    expected = {
        (i, j)
        for i, j in combinations(range(60), 2)
        if any((rows[i, k : k + 2] == rows[j, k : k + 2]).all() for k in (0, 2, 4))
        and (scope == "all" or languages[i] == languages[j])
    }
    assert 100 < len(expected) < 60 * 59 / 2
    assert found(keyed(rows, languages, options, partitions)) == expected


def test_equal_minima_of_different_bands_are_no_match():
    rows = np.array([[1, 2, 8, 8, 8, 8, 0, 0], [9, 9, 1, 2, 9, 9, 0, 0], [7, 7, 7, 7, 1, 2, 0, 0]])
    assert found(keyed(rows, ["C"] * 3, OPTIONS, 2)) == set()


def test_files_without_signature_have_no_keys():
    files = bands.file_ids(0, np.arange(2))
    nothing = np.zeros(2, np.uint64)
    assert list(bands.band_blocks(pa.nulls(2, pa.binary()), files, nothing, OPTIONS, 4)) == []
    [(_, block)] = bands.band_blocks(pa.array([None, bytes(32)], pa.binary()), files, nothing, OPTIONS, 1)
    assert block.column("row").to_pylist() == [1, 1, 1]


def bucket(n: int, key: int = 0) -> pa.RecordBatch:
    return bands.band_block(np.full(n, key, np.uint64), bands.file_ids(7, np.random.default_rng(0).permutation(n)))


def test_the_largest_bucket_that_is_paired_comes_in_chunks_without_repeats():
    n = bands.HOT
    block, seen = bucket(n), Counter()
    for pairs in bands.Buckets.of([block.slice(0, 30), block.slice(30)]).pairs(chunk=500):
        assert pairs.num_rows < 500 + n
        seen.update((a & 0xFFFFFFFF, b & 0xFFFFFFFF) for a, b in zip(*pairs.to_pydict().values(), strict=True))
    assert seen == Counter(combinations(range(n), 2))


def test_a_larger_bucket_is_hot_and_not_paired():
    found = bands.Buckets.of([bucket(bands.HOT + 1, key=5), bucket(3, key=9)])
    assert sum(b.num_rows for b in found.pairs()) == 3
    keys, files = bands.keys_and_files([found.hot_rows()])
    assert set(keys.tolist()) == {5}
    assert sorted(files.tolist()) == bands.file_ids(7, np.arange(bands.HOT + 1)).tolist()


def test_a_block_holds_all_of_key_and_file():
    keys = np.array([0, 1, 2**32 - 1, 2**32, 2**bands.KEY_BITS - 1], np.uint64)
    files = bands.file_ids(2**31 - 1, np.array([0, 1, 2, 2**31, 2**32 - 1]))
    found = bands.keys_and_files([bands.band_block(keys, files)])
    assert [a.tolist() for a in found] == [keys.tolist(), files.tolist()]


def test_scope_split_is_a_list_of_languages():
    options = MinHash(scope="split", splits={"docs": ("Markdown", "RST"), "web": ("HTML",)})
    found = bands.scopes(of_code(["RST", "C", "Markdown", None, "HTML", "Go"]), options).tolist()
    assert found[0] == found[2]
    assert found[1] == found[3] == found[5]
    assert len(set(found)) == 3


def test_61_bit_signatures_have_keys_too():
    options = MinHash(permutations=8, bands=3, rows=2, bits=61)
    rows = np.array([[1, 2, 3, 4, 5, 6, 7, 8], [1 << 60, 2, 3, 4, 9, 9, 9, 9], [1, 2, 9, 9, 9, 8, 9, 9]], "<u8")
    blocks = bands.band_blocks(
        pa.array([r.tobytes() for r in rows]), bands.file_ids(0, np.arange(3)), np.zeros(3, np.uint64), options, 1
    )
    assert found(list(blocks)) == {(0, 1), (0, 2)}


def test_no_blocks_no_candidates():
    nothing = bands.Buckets.of([])
    assert list(nothing.pairs()) == []
    assert nothing.hot_rows().num_rows == 0
    assert bands.merge([]).shape == (0, 2)


def test_merge_removes_repeats_across_blocks():
    pairs = np.random.default_rng(4).integers(0, 30, (500, 2))
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    blocks = [pa.record_batch([b[:, 0].copy(), b[:, 1].copy()], schema=bands.PAIR) for b in np.array_split(pairs, 9)]
    expected = sorted(set(map(tuple, pairs.tolist())))
    assert [tuple(p) for p in bands.merge(blocks, limit=100).tolist()] == expected
    assert [tuple(p) for p in bands.merge(blocks[::-1]).tolist()] == expected


def test_the_verifying_part_is_one_of_the_two_and_work_is_spread():
    parts = [*list(combinations(range(20), 2)), (4, 4)]
    a, b = (np.concatenate([bands.file_ids(p[side], np.array([9])) for p in parts]) for side in (0, 1))
    anchors = bands.anchors(pa.record_batch([a, b], schema=bands.PAIR)).tolist()
    assert all(anchor in pair for anchor, pair in zip(anchors, parts, strict=True))
    assert max(Counter(anchors).values()) <= 11, "each of 20 parts verifies about half of its 19 partners"


def test_partition_keeps_order_within_a_number():
    block = pa.record_batch([pa.array([10, 11, 12, 13, 14])], names=["x"])
    parts = [(n, b.column("x").to_pylist()) for n, b in bands.partition(block, np.array([2, 0, 2, 0, 5]))]
    assert parts == [(0, [11, 13]), (2, [10, 12]), (5, [14])]
    assert list(bands.partition(block.slice(0, 0), np.empty(0, np.int64))) == []


def test_file_ids_hold_part_and_row():
    ids = bands.file_ids(2**31 - 1, np.array([0, 2**31 - 1]))
    assert (ids >> 32).tolist() == [2**31 - 1] * 2
    assert (ids & 0xFFFFFFFF).tolist() == [0, 2**31 - 1]


@pytest.mark.parametrize("scope", ["all", "language"])
def test_a_record_is_compared_with_its_own_kind(scope):
    code, script = (bands.scopes(of_code(["C", "C", "Go"], kind), MinHash(scope=scope)).tolist() for kind in ("code", "script"))
    assert code[0] == code[1] and script[0] == script[1] and not {*code} & {*script}
