"""Fingerprints of a release: which files hold a gram, sorted by hash, at about 0.2 bytes per byte of the release.

Of every 50 grams in a row of a squashed text one is chosen by its hash (winnowing: kernel.py), so that any 99 characters that two texts
share have a fingerprint that both have. A row is a hash and a file; a file that has one several times has one row. Of a fingerprint of more
than COMMON files one file stands for all that have it in the same surroundings, that of most stars, then the first of the release: no
span of 99 characters reaches beyond these, so that none is lost. Such a row has the number of all files that have the fingerprint.
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

# As it travels to a partition. `file`: part << 32 | row of the file in the release; `around`: the hash of the gram with the 49 characters
# on each side of it; `stars`: the file's rank, -1 where nobody knows.
FOUND = pa.schema([("hash", pa.uint64()), ("file", pa.int64()), ("around", pa.uint64()), ("stars", pa.int64())])
# As it is kept, sorted by hash, part and row. `files`: how many have it, where some stand for all; else 0.
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
    hashes, rows, around = np.empty(room, np.uint64), np.empty(room, np.int64), np.empty(room, np.uint64)
    made = (hashes, rows, around)
    count = kernel.fingerprints_of(data, offsets, kernel.TURNS, kernel.WRITTEN, kernel.POWERS, WINDOW, *made)
    hashes, rows, around = kept(hashes[:count]), rows[:count], around[:count]
    order = np.lexsort((around, rows, hashes))
    hashes, rows, around = hashes[order], rows[order], around[order]
    new = _changes(hashes, rows, around)
    hashes, rows, around = hashes[new], rows[new], around[new]
    ranks = stars.fill_null(-1).to_numpy(zero_copy_only=False)[rows]
    return pa.record_batch([hashes, (part << 32) + first + rows, around, ranks.astype(np.int64)], schema=FOUND)


def _changes(*columns: np.ndarray) -> np.ndarray:
    """Return which rows are not as the one before, bool."""
    new = np.zeros(len(columns[0]), np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def merged(blocks: list[pa.RecordBatch]) -> pa.Table:
    """Return the KEPT rows of a partition from its FOUND rows, in any order."""
    table = pa.Table.from_batches(blocks, FOUND)
    hashes, files_of, around, stars = (table.column(name).to_numpy() for name in FOUND.names)
    order = np.lexsort((around, files_of, hashes))
    hashes, files_of, around, stars = hashes[order], files_of[order], around[order], stars[order]
    keep, files = _changes(hashes, files_of), np.zeros(len(hashes), np.int32)
    begins = np.flatnonzero(_changes(hashes))
    sizes = np.add.reduceat(keep, begins, dtype=np.int64) if len(begins) else begins
    ends = np.append(begins[1:], len(hashes))
    for which in np.flatnonzero(sizes > COMMON).tolist():
        rows = slice(begins[which], ends[which])
        ranked = np.lexsort((files_of[rows], -stars[rows], around[rows]))
        best = files_of[rows][ranked[_changes(around[rows][ranked])]]
        keep[rows] &= np.isin(files_of[rows], best)
        files[rows] = sizes[which]
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
