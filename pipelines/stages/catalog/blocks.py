"""How rows travel: columns one behind another, in as few bytes as a few rows can have.

A frontier goes from every bucket to every other, a handful of rows each, for which Arrow's own format has half a kilobyte of header.
Columns are ids of 20 bytes, whole numbers or flags without nulls, and binaries.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from starmill.transforms.dedup.bands import partition

Array = npt.NDArray[Any]
HEADER = np.dtype([("at", "<u8"), ("rows", "<u4"), ("schema", "u1"), ("packed", "<u4")])
WORTH = 128  # bytes from which a block is compressed
NULL = 0xFFFFFFFF  # the length of a binary that is null
PLAIN = {pa.int64(): np.dtype("<i8"), pa.uint64(): np.dtype("<u8"), pa.bool_(): np.dtype("?")}
Blocks = Iterator[tuple[int, pa.RecordBatch]]


def encode(block: pa.RecordBatch, at: int, schemas: Sequence[pa.Schema]) -> bytes:
    """Return the bytes of a block; `at` is its place in the input. `schemas`: all that meet in one dataset."""
    parts: list[bytes] = []
    for column in block.columns:
        if pa.types.is_large_binary(column.type):
            ends = np.frombuffer(column.buffers()[1], "<i8", len(column) + 1, column.offset * 8)
            lengths = np.diff(ends).astype("<u4")
            if column.null_count:
                lengths[np.asarray(column.is_null())] = NULL
            parts += [lengths.tobytes(), bytes(memoryview(column.buffers()[2] or b"")[ends[0] : ends[-1]])]
        elif pa.types.is_fixed_size_binary(column.type):
            parts.append(unfixed(column).tobytes())
        else:
            parts.append(np.asarray(column).tobytes())
    data, packed = b"".join(parts), 0
    if len(data) >= WORTH:
        smaller = pa.compress(data, "zstd", asbytes=True)
        if len(smaller) < len(data):
            data, packed = smaller, len(data)
    header = np.array([(at, block.num_rows, list(schemas).index(block.schema), packed)], HEADER)
    return header.tobytes() + data


def decode(data: bytes, schemas: Sequence[pa.Schema]) -> tuple[int, pa.RecordBatch]:
    """Return the place of a block in the input, and the block."""
    place, rows, which, packed = np.frombuffer(data, HEADER, 1)[0].tolist()
    body = memoryview(data)[HEADER.itemsize :]
    if packed:
        body = memoryview(pa.decompress(body, packed, "zstd", asbytes=True))
    columns, start = [], 0

    def take(size: int) -> memoryview:
        nonlocal start
        start += size
        return body[start - size : start]

    for field in schemas[which]:
        if pa.types.is_large_binary(field.type):
            lengths = np.frombuffer(take(4 * rows), "<u4")
            nulls = lengths == NULL
            ends = np.concatenate([[0], np.cumsum(np.where(nulls, 0, lengths), dtype="i8")])
            valid = pa.array(~nulls).buffers()[1] if nulls.any() else None
            buffers = [valid, pa.py_buffer(ends.tobytes()), pa.py_buffer(take(int(ends[-1])))]
            columns.append(pa.LargeBinaryArray.from_buffers(pa.large_binary(), rows, buffers))
        elif pa.types.is_fixed_size_binary(field.type):
            columns.append(fixed(np.frombuffer(take(20 * rows), "S20")))
        else:
            dtype = PLAIN[field.type]
            columns.append(pa.array(np.frombuffer(take(dtype.itemsize * rows), dtype)))
    return place, pa.RecordBatch.from_arrays(columns, schema=schemas[which])


def by_bucket(block: pa.RecordBatch, own: Array, buckets: int) -> Blocks:
    """Yield the rows of a block by the bucket of their ids."""
    yield from partition(block, bucket_of(own, buckets))


def bucket_of(own: Array, buckets: int) -> Array:
    """Return the bucket of each id: as many of its first bits as count a power of two, up to 65,536.

    >>> bucket_of(np.array([b"\\x80" + bytes(19), b"\\xff" * 20], "S20"), 4).tolist()
    [2, 3]
    """
    first = np.frombuffer(np.ascontiguousarray(own).tobytes(), "u1").reshape(-1, 20)[:, :2].astype("u4")
    return ((first[:, 0] << 8 | first[:, 1]) * buckets >> 16).astype("i8")


def fixed(own: Array) -> pa.Array:
    """Return ids as a column."""
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(20), len(own), [None, pa.py_buffer(own.tobytes())])


def unfixed(column: pa.Array | pa.ChunkedArray) -> Array:
    """Return a column of ids as an array."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], pa.binary(20))
    start = whole.offset * 20
    return np.frombuffer(whole.buffers()[1] or b"", "u1")[start : start + 20 * len(whole)].view("S20")
