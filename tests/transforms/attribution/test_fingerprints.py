"""Fingerprints: two texts that share 99 characters share one; files are written once each; common ones keep the best file."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.transforms.attribution import fingerprints
from starmill.transforms.attribution.squash import Squashed

NOBODY = pa.nulls(1, pa.int64())


@settings(deadline=None, max_examples=60)
@given(st.text("abcd", min_size=99, max_size=140), st.text("abcd", max_size=200), st.text("abcd", max_size=200))
def test_texts_that_share_99_characters_share_a_fingerprint(shared: str, left: str, right: str) -> None:
    _, mine = fingerprints.chosen(Squashed.of(shared).grams)
    for text in (left + shared, shared + right, left + shared + right):
        found = fingerprints.found(pa.array([text]), NOBODY, 0, 0)
        assert {*mine.tolist()} & {*found.column("hash").to_pylist()}


def test_rows_are_sorted_and_a_file_has_a_fingerprint_once() -> None:
    texts = ["x = 0\n" * 400, "".join(f"y{i} = {i}\n" for i in range(300)), "short"]
    found = fingerprints.found(pa.array(texts), pa.array([None, 7, 8]), 3, 10)
    rows = list(zip(*(c.to_pylist() for c in found.columns), strict=True))
    assert rows == sorted(set(rows)) and len(rows) > 50
    assert {(file, stars) for _, file, _, stars in rows} == {((3 << 32) + 10, -1), ((3 << 32) + 11, 7)}
    assert sum(file == (3 << 32) + 10 for _, file, *_ in rows) <= 120, "a text that repeats itself has few"
    assert max(h for h, *_ in rows) < 1 << 48


def test_a_common_fingerprint_keeps_its_best_file_of_each_surroundings_and_their_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fingerprints, "COMMON", 3)
    rows = [(9, 1, 0, 5), (9, 2, 0, 8), (9, 1 << 32, 0, 8), (9, 3, 0, -1), (9, 3, 1, -1), (9, 1, 2, 5), (9, 3, 2, -1)]
    rows += [(4, 7, 0, 1), (4, 7, 3, 1), (4, 6, 1, 0), (4, 5, 2, 0)]
    columns = zip(zip(*rows, strict=True), fingerprints.FOUND, strict=True)
    block = pa.record_batch([pa.array(c, f.type) for c, f in columns], schema=fingerprints.FOUND)
    merged = fingerprints.merged([block.slice(3), block.slice(0, 3)])
    kept = [(4, 0, 5, 0), (4, 0, 6, 0), (4, 0, 7, 0), (9, 0, 1, 4), (9, 0, 2, 4), (9, 0, 3, 4)]
    assert [tuple(r.values()) for r in merged.to_pylist()] == kept
    assert merged == fingerprints.merged([block])
    assert fingerprints.merged([]).num_rows == 0


def test_a_file_is_parquet_that_anybody_reads() -> None:
    count = 2 * fingerprints.PAGE + 5
    hashes = np.sort(np.random.default_rng(1).integers(0, 1 << 48, count)).astype(np.uint64)
    rows = (np.arange(count) % 977).astype(np.int32)
    table = pa.table([hashes, np.zeros(count, np.int32), rows, np.zeros(count, np.int32)], schema=fingerprints.KEPT)
    data = fingerprints.file_of(table, "abc")
    assert pq.read_table(io.BytesIO(data)).replace_schema_metadata() == table
    about = pq.read_metadata(io.BytesIO(data))
    assert about.num_row_groups == 3 and about.metadata[fingerprints.RELEASE] == b"abc"
    assert len(data) / count < 8, "bytes of a fingerprint"


def test_partitions_are_ranges() -> None:
    hashes = np.sort(np.random.default_rng(1).integers(0, 1 << 48, 1000)).astype(np.uint64)
    numbers = fingerprints.partition_of(hashes, 7)
    assert numbers.tolist() == sorted(numbers.tolist()) and {*numbers.tolist()} == {*range(7)}
    assert fingerprints.partitions(0) == 1 and fingerprints.partitions(10**12) == 3726
