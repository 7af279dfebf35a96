"""Band keys of signatures as columnar blocks, and the candidate pairs inside one partition of keys.

A file is one int64, part << 32 | row. A signature's `bands` keys become rows of (key, part, row) blocks, one block per partition:
a shuffle moves arrays, never one element per key. Two files with an equal key are candidates (Leskovec et al., Mining of Massive
Datasets, 3.4); the key hides the band's number and, where the scope is a language or a split, that. A bucket of more
than HOT files is not paired here: see `hot`.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from starmill.core import seeds
from starmill.core.document import CODE
from starmill.transforms.dedup.minhash import MinHash, matrix

# The key's KEY_BITS bits, low and high, and the file. In a block `part` is one number and rows ascend, so compressed a key costs
# 7 bytes. Where 3 billion files have 100 billion keys, one in twenty meets another by chance: a pair that the estimate drops.
BAND = pa.schema([("low", pa.uint32()), ("high", pa.uint8()), ("part", pa.uint32()), ("row", pa.uint32())])
KEY_BITS = 40
PAIR = pa.schema([("a", pa.int64()), ("b", pa.int64())])

Partitioned = Iterator[tuple[int, pa.RecordBatch]]

HOT = 64  # files in a bucket above which pairing all of them costs more than a join

_BASE = np.uint64(0x9E3779B97F4A7C15)


def file_ids(part: int, rows: np.ndarray) -> np.ndarray:
    """Return the id of each row of a part, int64."""
    return (np.int64(part) << np.int64(32)) | rows.astype(np.int64)


def band_keys(signatures: pa.Array, scopes: np.ndarray, options: MinHash) -> np.ndarray:
    """Return uint64[n, bands] for `n` signatures without nulls; `scopes` (uint64[n]) parts files that are never compared."""
    bands, rows = options.banding
    banded = matrix(signatures, options)[:, : bands * rows].reshape(-1, bands, rows).astype(np.uint64, copy=False)
    key = seeds.mix(scopes[:, None] + np.arange(1, bands + 1, dtype=np.uint64)[None, :] * _BASE)
    for row in range(rows):
        key = seeds.mix(key + banded[:, :, row])
    return key >> np.uint64(64 - KEY_BITS)


def scopes(block: pa.RecordBatch, options: MinHash) -> np.ndarray:
    """Return what each record is compared within, as uint64[n]: its kind, and there all, or one language or split."""
    kinds = block.column("kind").dictionary_encode(null_encoding="encode")
    of_kind = [0 if kind in (CODE, None) else seeds.uint64(0, "kind", kind) for kind in kinds.dictionary.to_pylist()]
    return np.array(of_kind, np.uint64)[kinds.indices.to_numpy()] ^ _languages(block.column("language"), options)


def _languages(languages: pa.Array, options: MinHash) -> np.ndarray:
    if options.scope == "all":
        return np.zeros(len(languages), np.uint64)
    split_of = {language: split for split, names in options.splits.items() for language in names}
    encoded = languages.dictionary_encode(null_encoding="encode")
    names = [split_of.get(n, "") if options.scope == "split" else n or "" for n in encoded.dictionary.to_pylist()]
    return np.array([seeds.uint64(0, options.scope, n) for n in names], np.uint64)[encoded.indices.to_numpy()]


def band_blocks(signatures: pa.Array, files: np.ndarray, scope: np.ndarray, options: MinHash, partitions: int) -> Partitioned:
    """Yield (partition, BAND block) for the files whose signature is not null; equal keys always meet in one partition."""
    valid = signatures.is_valid().to_numpy(zero_copy_only=False)
    if not valid.any():
        return
    keys = band_keys(signatures, scope[valid], options)
    block = band_block(keys.ravel(), np.repeat(files[valid], keys.shape[1]))
    yield from partition(block, (keys.ravel() % np.uint64(partitions)).astype(np.int64))


def band_block(keys: np.ndarray, files: np.ndarray) -> pa.RecordBatch:
    """Return BAND rows of keys and files."""
    columns = [
        keys.astype(np.uint32),
        (keys >> np.uint64(32)).astype(np.uint8),
        (files >> 32).astype(np.uint32),
        files.astype(np.uint32),
    ]
    return pa.record_batch(columns, schema=BAND)


def keys_and_files(blocks: Iterable[pa.RecordBatch]) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys, uint64, and the files, int64, of BAND blocks."""
    table = pa.Table.from_batches(blocks, BAND)
    low, high, part, row = (table.column(c).to_numpy() for c in BAND.names)
    return (high.astype(np.uint64) << np.uint64(32)) | low, (part.astype(np.int64) << 32) | row


def partition(block: pa.RecordBatch, numbers: np.ndarray) -> Partitioned:
    """Yield (number, rows of `block` with that number), by ascending number; rows keep their order."""
    if not len(numbers):
        return
    order = np.argsort(numbers, kind="stable")
    block, numbers = block.take(pa.array(order)), numbers[order]
    bounds = [0, *(np.flatnonzero(numbers[1:] != numbers[:-1]) + 1).tolist(), len(numbers)]
    for start, end in itertools.pairwise(bounds):
        yield int(numbers[start]), block.slice(start, end - start)


@dataclass(frozen=True)
class Buckets:
    """The BAND rows of one partition, sorted by key and file, without the keys of one file: the files that share a key."""

    keys: np.ndarray
    files: np.ndarray
    hot: np.ndarray

    @classmethod
    def of(cls, blocks: Iterable[pa.RecordBatch]) -> "Buckets":
        """Sort BAND blocks; needs about 40 bytes per key."""
        keys, files = keys_and_files(blocks)
        ordered = np.sort(keys)
        shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        at = np.searchsorted(shared, keys)
        mine = np.flatnonzero(np.take(shared, at, mode="clip") == keys) if len(shared) else np.empty(0, np.int64)
        keys, files = keys[mine], files[mine]
        order = np.lexsort((files, keys))
        keys, files = keys[order], files[order]
        sizes = np.unique(keys, return_counts=True)[1]
        return cls(keys, files, np.repeat(sizes > HOT, sizes))

    def pairs(self, chunk: int = 1 << 21) -> Iterator[pa.RecordBatch]:
        """Yield PAIR blocks (a < b) of the files that share a key of a bucket that is not hot.

        A block holds no pair twice and about `chunk` pairs at most: memory is that of the keys plus a few chunks.
        """
        keys, files = self.keys[~self.hot], self.files[~self.hot]
        # Rows i and i + distance of the sorted keys, distance by distance: only rows whose bucket reaches that far stay.
        rows = np.flatnonzero(keys[1:] == keys[:-1])
        distance, waiting, count = 1, [], 0
        while len(rows):
            waiting.append(np.stack([files[rows], files[rows + distance]]))
            count += len(rows)
            if count >= chunk:
                yield _distinct(waiting)
                waiting, count = [], 0
            distance += 1
            rows = rows[rows + distance < len(keys)]
            rows = rows[keys[rows] == keys[rows + distance]]
        if waiting:
            yield _distinct(waiting)

    def hot_rows(self) -> pa.RecordBatch:
        """Return the BAND rows of the hot buckets."""
        return band_block(self.keys[self.hot], self.files[self.hot])


def merge(blocks: Iterable[pa.RecordBatch], limit: int = 1 << 22) -> np.ndarray:
    """Return the distinct pairs of PAIR blocks as int64[n, 2], sorted, in memory for the result and `limit` pairs."""
    merged, waiting, count = np.empty((0, 2), np.int64), [], 0
    for block in blocks:
        waiting.append(np.stack([block.column("a").to_numpy(), block.column("b").to_numpy()], axis=1))
        count += block.num_rows
        if count >= limit:
            merged, waiting, count = _unique(np.concatenate([merged, *waiting])), [], 0
    return _unique(np.concatenate([merged, *waiting]))


def anchors(pairs: pa.RecordBatch, group: int = 1) -> np.ndarray:
    """Return who verifies each pair: the group of `group` parts of one of its two files, by parity, which spreads the work."""
    first, second = ((pairs.column(c).to_numpy() >> 32) // group for c in ("a", "b"))
    return np.where((first + second) % 2 == 0, np.minimum(first, second), np.maximum(first, second))


def _distinct(waiting: list[np.ndarray]) -> pa.RecordBatch:
    pairs = _unique(np.concatenate(waiting, axis=1).T)
    return pa.record_batch([np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])], schema=PAIR)


def _unique(pairs: np.ndarray) -> np.ndarray:
    pairs = pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]
    fresh = np.concatenate([[True], (pairs[1:] != pairs[:-1]).any(axis=1)]) if len(pairs) else np.empty(0, bool)
    return pairs[fresh & (pairs[:, 0] != pairs[:, 1])]  # a file meets itself only where two of its keys collide
