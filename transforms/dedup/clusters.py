"""Which file of a group of duplicates stays: a total order of files, and the first maximal independent set under it.

A file is removed only for a kept file that ranks above it and is itself at or over the threshold: no chains, unlike connected
components, which remove files that resemble nothing that is left. The order is The Stack v2's, made total by name.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# `rank` is 33 bytes that sort as the order does; what it leaves equal, repo_name and path decide.
FILE = pa.schema(
    [
        ("file", pa.int64()),
        ("rank", pa.binary(33)),
        ("repo_name", pa.string()),
        ("path", pa.string()),
        ("content_id", pa.string()),
    ]
)
# `a` ranks above `b`.
EDGE = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("jaccard", pa.float64())])
# `file` goes because of `kept`. `exact`: their bytes are equal.
REMOVAL = pa.schema(
    [
        ("file", pa.int64()),
        ("kept", pa.int64()),
        ("kept_repo_name", pa.string()),
        ("kept_path", pa.string()),
        ("kept_content_id", pa.string()),
        ("jaccard", pa.float64()),
        ("exact", pa.bool_()),
    ]
)
# A file that may have exact copies: `blob_id` and `scope` say which.
COPY = pa.schema([("blob_id", pa.string()), ("scope", pa.uint64()), *FILE])
RANKING = ["license_type", "star_events_count", "fork_events_count", "revision_date", "visit_date"]
IDENTITY = ["repo_name", "path", "content_id"]

_LICENSES = pa.array(["permissive", "no_license", "non_permissive"])


def describe(block: pa.RecordBatch, files: np.ndarray) -> pa.RecordBatch:
    """Return the FILE rows of a block that has the columns RANKING and IDENTITY. Lower ranks are better.

    License type, then stars, forks, newest revision, newest visit; a missing number is 0, a missing date the oldest.
    """
    license_type = pc.fill_null(pc.index_in(block.column("license_type"), _LICENSES), len(_LICENSES))
    ranks = np.zeros((block.num_rows, 33), np.uint8)
    ranks[:, 0] = license_type.to_numpy()
    for i, name in enumerate(RANKING[1:]):
        missing = 0 if name.endswith("_count") else np.iinfo(np.int64).min
        values = pc.fill_null(block.column(name).cast(pa.int64()), missing).to_numpy()
        # Flipping all bits but the sign's turns ascending signed integers into descending unsigned ones.
        descending = values.view(np.uint64) ^ np.uint64((1 << 63) - 1)
        ranks[:, 1 + 8 * i : 9 + 8 * i] = descending.astype(">u8").view(np.uint8).reshape(-1, 8)
    rank = pa.Array.from_buffers(pa.binary(33), block.num_rows, [None, pa.py_buffer(ranks.tobytes())])
    return pa.record_batch([pa.array(files), rank, *(block.column(c) for c in IDENTITY)], schema=FILE)


def exact(blocks: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Return REMOVAL rows for the COPY rows of some blob ids: of equal blob id and scope, the best file stays."""
    table = _ordered(pa.Table.from_batches(blocks, COPY), "blob_id", "scope")
    same = np.ones(max(len(table) - 1, 0), bool)
    for column in (table.column(c).combine_chunks() for c in ("blob_id", "scope")):
        same &= pc.equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False) if len(same) else same
    rows = np.arange(len(table))
    best = np.maximum.accumulate(np.where(np.concatenate([[False], same])[: len(table)], 0, rows))
    lower = np.flatnonzero(best != rows)
    return _removals(table, lower, best[lower], np.ones(len(lower)), True)


def orient(pairs: np.ndarray, jaccards: np.ndarray, files: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Return EDGE rows of pairs of ids (int64[n, 2]), the better file first; `files` describe all of them."""
    places = _places(_ranked(files), pairs)
    better = places[:, 0] < places[:, 1]
    a, b = np.where(better, pairs[:, 0], pairs[:, 1]), np.where(better, pairs[:, 1], pairs[:, 0])
    return pa.record_batch([a, b, jaccards], schema=EDGE)


def resolve(files: Iterable[pa.RecordBatch], edges: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Return REMOVAL rows: all but the lexicographically first maximal independent set, in the total order.

    Each removed file names, of the kept files above it, the most similar; of equals, the best. One process holds all edges:
    about 60 bytes an edge and 300 a file, so 16 GB are good for 100 million edges between 20 million files.
    """
    table = _ranked(files)
    graph = pa.Table.from_batches(edges, EDGE)
    above, below = (_places(table, graph.column(c).to_numpy()) for c in ("a", "b"))
    jaccards = graph.column("jaccard").to_numpy()
    # By the lower file, so that every file is decided before it is asked about; then by preference for its kept twin.
    order = np.lexsort((above, -jaccards, below))
    above, below, jaccards = above[order], below[order], jaccards[order]
    removed = bytearray(table.num_rows)
    for first in range(0, len(below), 1 << 20):
        chunk = slice(first, first + (1 << 20))
        for upper, lower in zip(above[chunk].tolist(), below[chunk].tolist(), strict=True):
            if not removed[upper]:
                removed[lower] = 1
    by_kept = np.flatnonzero(np.frombuffer(removed, np.uint8)[above] == 0)
    lower, first_edge = np.unique(below[by_kept], return_index=True)
    chosen = by_kept[first_edge]
    return _removals(table, lower, above[chosen], jaccards[chosen], False)


def follow(blocks: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Return REMOVAL rows that all name a kept file, from near removals and from exact ones that name those files.

    A copy whose twin was itself removed as a near duplicate is a near duplicate of the same kept file: their bytes are equal.
    """
    table = pa.Table.from_batches(blocks, REMOVAL)
    table = table.take(pc.sort_indices(table, [("file", "ascending")]))
    is_exact = table.column("exact").to_numpy()
    near = np.flatnonzero(~is_exact)
    removed, kept = table.column("file").to_numpy()[near], table.column("kept").to_numpy()
    source = np.arange(len(table))  # the row that says why
    if len(near):
        at = np.minimum(np.searchsorted(removed, kept), len(near) - 1)
        moved = is_exact & (removed[at] == kept)
        source[moved] = near[at[moved]]
    return _one_block(table.take(pa.array(source)).set_column(0, "file", table.column("file")))


def _ordered(table: pa.Table, *before: str) -> pa.Table:
    """Sort rows in the total order; the columns `before` go first. The id decides only where all else is equal."""
    keys = [*before, "rank", *IDENTITY, "file"]
    return table.take(pc.sort_indices(table, [(k, "ascending") for k in keys]))


def _ranked(files: Iterable[pa.RecordBatch]) -> pa.Table:
    """Return distinct FILE rows in the total order: the row number is the place."""
    table = _ordered(pa.Table.from_batches(files, FILE))
    ids = table.column("file").to_numpy()
    return table.filter(pa.array(np.concatenate([[True], ids[1:] != ids[:-1]])[: len(ids)]))


def _places(table: pa.Table, files: np.ndarray) -> np.ndarray:
    ids = table.column("file").to_numpy()
    sorter = np.argsort(ids)
    return sorter[np.searchsorted(ids, files, sorter=sorter)] if len(files) else np.empty(files.shape, np.int64)


def _removals(table: pa.Table, lower: np.ndarray, upper: np.ndarray, jaccards: np.ndarray, is_exact: bool) -> pa.RecordBatch:
    kept = table.select(["file", *IDENTITY]).take(pa.array(upper, pa.int64()))
    gone = table.column("file").take(pa.array(lower, pa.int64()))
    columns = [gone, *kept.columns, pa.array(jaccards, pa.float64()), pa.array(np.full(len(lower), is_exact))]
    return _one_block(pa.table(columns, schema=REMOVAL))


def _one_block(table: pa.Table) -> pa.RecordBatch:
    blocks = table.combine_chunks().to_batches()
    return blocks[0] if blocks else pa.RecordBatch.from_pylist([], schema=table.schema)
