"""Fingerprints of a release: which files hold a gram, sorted by hash, at about 0.2 bytes per byte of the release.

Of every 50 grams in a row of a squashed text one is chosen by its hash (winnowing: kernel.py), so that any 99 characters that two texts
share have a fingerprint that both have. A row is a hash and a file; a file that has one several times has one row. A fingerprint of more
than COMMON files keeps one row, that of the best-ranked file (most stars, then the first of the release), and the number of its files.
A hash has 48 bits: what it names is compared in the text anyway, and shorter ones take less room.
"""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core.seeds import mix
from starmill.transforms.attribution import kernel
from starmill.transforms.buffers import text_buffers

DATASET = "fingerprints"
WINDOW = 50  # grams in a row of which one is chosen
COMMON = 1000
PARTITION_BYTES = 256 << 20  # of the release: 8 million rows
MOST_PARTITIONS = 1 << 14
PAGE = 1 << 14  # rows of a row group: what a look-up reads
HASH_BITS = 48

# As it travels to a partition. `file`: part << 32 | row of the file in the release; `stars`: its rank, -1 where nobody knows.
FOUND = pa.schema([("hash", pa.uint64()), ("file", pa.int64()), ("stars", pa.int64())])
# As it is kept, sorted by hash, part and row. `files`: how many have it, where one stands for all; else 0.
KEPT = pa.schema([("hash", pa.uint64()), ("part", pa.int32()), ("row", pa.int32()), ("files", pa.int32())])
RELEASE = b"starmill.release"  # the key of the digest of the release, in a file's metadata


def partitions(size: int) -> int:
    """Return how many partitions a release of `size` bytes of text has."""
    return min(MOST_PARTITIONS, 1 + size // PARTITION_BYTES)


def partition_of(hashes: np.ndarray, count: int) -> np.ndarray:
    """Return the partition of each hash, int64: equal ranges, so that all partitions in a row are sorted."""
    return (hashes * np.uint64(count) >> np.uint64(HASH_BITS)).astype(np.int64)


def chosen(grams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which grams of a text are its fingerprints, int64, and their hashes, uint64."""
    at = np.empty(len(grams) + 1, np.int64)
    at = at[: kernel.winnow(grams, len(grams), WINDOW, at)]
    return at, kept(grams[at])


def kept(grams: np.ndarray) -> np.ndarray:
    """Return the hashes of fingerprints, uint64: those of their grams mixed once more, since the least of 50 are all small."""
    return np.asarray(mix(grams)) >> np.uint64(64 - HASH_BITS)


def found(texts: pa.Array, stars: pa.Array, part: int, first: int) -> pa.RecordBatch:
    """Return FOUND rows of texts that are the rows from `first` on of a part, sorted by hash and row."""
    data, offsets = text_buffers(texts)
    room = int(offsets[-1] - offsets[0]) + 1
    hashes, rows = np.empty(room, np.uint64), np.empty(room, np.int64)
    count = kernel.fingerprints_of(data, offsets, kernel.TURNS, kernel.WRITTEN, kernel.POWERS, WINDOW, hashes, rows)
    hashes, rows = kept(hashes[:count]), rows[:count]
    order = np.lexsort((rows, hashes))
    hashes, rows = hashes[order], rows[order]
    new = np.ones(count, np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (rows[1:] != rows[:-1])
    hashes, rows = hashes[new], rows[new]
    ranks = stars.fill_null(-1).to_numpy(zero_copy_only=False)[rows]
    return pa.record_batch([hashes, (part << 32) + first + rows, ranks.astype(np.int64)], schema=FOUND)


def merged(blocks: list[pa.RecordBatch]) -> pa.Table:
    """Return the KEPT rows of a partition from its FOUND rows, in any order."""
    table = pa.Table.from_batches(blocks, FOUND)
    hashes, files_of, stars = (table.column(name).to_numpy() for name in FOUND.names)
    order = np.lexsort((files_of, hashes))
    hashes, files_of, stars = hashes[order], files_of[order], stars[order]
    begins = np.flatnonzero(np.concatenate([np.ones(min(1, len(hashes)), np.bool_), hashes[1:] != hashes[:-1]]))
    sizes = np.diff(np.append(begins, len(hashes)))
    keep, files = np.ones(len(hashes), np.bool_), np.zeros(len(hashes), np.int32)
    for begin, size in zip(begins[sizes > COMMON].tolist(), sizes[sizes > COMMON].tolist(), strict=True):
        best = begin + int(np.argmax(stars[begin : begin + size]))  # of equal ones the first
        keep[begin : begin + size] = False
        keep[best], files[best] = True, size
    hashes, files_of, files = hashes[keep], files_of[keep], files[keep]
    return pa.table([hashes, (files_of >> 32).astype(np.int32), files_of.astype(np.int32), files], schema=KEPT)


def file_of(table: pa.Table, release: str) -> bytes:
    """Return KEPT rows as a Parquet file of PAGE rows a row group; what is sorted is kept as differences. `release`: its digest."""
    table = table.replace_schema_metadata({RELEASE: release.encode()})
    sink = io.BytesIO()
    encoding = {"hash": "DELTA_BINARY_PACKED", "row": "DELTA_BINARY_PACKED"}
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        use_dictionary=["part", "files"],
        column_encoding=encoding,
        write_statistics=["hash"],
    ) as writer:
        for block in table.combine_chunks().to_batches(PAGE):
            writer.write_batch(block, row_group_size=PAGE)
    return sink.getvalue()
