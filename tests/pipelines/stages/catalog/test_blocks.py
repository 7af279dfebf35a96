"""Rows that travel come back as they were, and a few of them take a few bytes."""

import numpy as np
import pyarrow as pa
import pytest

from starmill.pipelines.stages.catalog.blocks import HEADER, bucket_of, by_bucket, decode, encode, fixed, unfixed

SCHEMAS = (
    pa.schema([("root", pa.uint64()), ("id", pa.binary(20))]),
    pa.schema([("id", pa.binary(20)), ("cut", pa.bool_()), ("length", pa.int64()), ("data", pa.large_binary())]),
)


def made(count: int) -> pa.RecordBatch:
    rng = np.random.default_rng(count)
    data = [None if n % 3 == 1 else rng.bytes(n % 50) for n in range(count)]
    ids = fixed(np.frombuffer(rng.bytes(20 * count), "S20"))
    columns = [ids, pa.array([n % 2 == 0 for n in range(count)], pa.bool_()), pa.array(range(count), pa.int64())]
    return pa.record_batch([*columns, pa.array(data, pa.large_binary())], schema=SCHEMAS[1])


@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_a_block_and_each_of_its_slices_come_back(count: int) -> None:
    block = made(count)
    for start in (0, 1, count // 2):
        for some in (block.slice(start), block.slice(start, 3)):
            place, given = decode(encode(some, 1 << 50, SCHEMAS), SCHEMAS)
            assert place == 1 << 50 and given.equals(some) and given.schema == SCHEMAS[1]


def test_a_pair_takes_its_own_bytes_and_seventeen() -> None:
    ids = np.frombuffer(np.random.default_rng(0).bytes(40), "S20")
    pair = pa.record_batch([pa.array([1, 2], pa.uint64()), fixed(ids)], schema=SCHEMAS[0])
    data = encode(pair, 0, SCHEMAS)
    assert len(data) == HEADER.itemsize + 2 * 28 == 17 + 56 and decode(data, SCHEMAS)[1].equals(pair)
    assert len(encode(made(1000).slice(1, 1), 0, SCHEMAS)) < 60


def test_ids_go_to_the_bucket_of_their_first_bits() -> None:
    ids = np.frombuffer(np.random.default_rng(1).bytes(20 * 500), "S20")
    block = pa.record_batch([pa.array(range(500), pa.uint64()), fixed(ids)], schema=SCHEMAS[0])
    for buckets in (1, 2, 64, 65_536):
        assert bucket_of(ids, buckets).tolist() == [int.from_bytes(b[:2].ljust(2, b"\0")) * buckets >> 16 for b in ids.tolist()]
        parts = [*by_bucket(block, ids, buckets)]
        assert sum(rows.num_rows for _, rows in parts) == 500
        assert all((bucket_of(unfixed(rows.column("id")), buckets) == n).all() for n, rows in parts)
    assert unfixed(pa.chunked_array([fixed(ids[:3]), fixed(ids[3:9]).slice(2)])).tolist() == [*ids[:3], *ids[5:9]]
    assert unfixed(pa.chunked_array([], pa.binary(20))).tolist() == []
