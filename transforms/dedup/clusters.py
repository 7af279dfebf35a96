"""Which file of a group of duplicates stays: a total order of files, and the first maximal independent set under it.

A file is removed only for a kept file that ranks above it and is itself at or over the threshold: no chains, unlike connected
components, which remove files that resemble nothing that is left. The order is The Stack v2's, made total by name.
"""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

# `rank` is 33 bytes that sort as the order does; what it leaves equal, repo_name, path and the rest decide. `release`: null, or
# the earlier release that the file lies in.
FILE = pa.schema(
    [
        ("file", pa.int64()),
        ("rank", pa.binary(33)),
        ("repo_name", pa.string()),
        ("path", pa.string()),
        ("content_id", pa.string()),
        ("release", pa.string()),
    ]
)
# `a` ranks above `b`.
EDGE = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("jaccard", pa.float64())])
# `file` is removed because `kept` is kept. `exact`: their bytes are equal.
REMOVAL = pa.schema(
    [
        ("file", pa.int64()),
        ("kept", pa.int64()),
        *(pa.field(f"kept_{f.name}", f.type) for f in FILE if f.name != "file"),
        ("jaccard", pa.float64()),
        ("exact", pa.bool_()),
    ]
)
# A file that may have exact copies: `blob_id` and `scope` say which.
COPY = pa.schema([("blob_id", pa.string()), ("scope", pa.uint64()), *FILE])
# A file that is removed.
GONE = pa.schema([("file", pa.int64())])
RANKING = ["license_type", "star_events_count", "fork_events_count", "revision_date", "visit_date"]
IDENTITY = ["repo_name", "path", "content_id"]

_LICENSES = pa.array(["permissive", "no_license", "non_permissive"])


def describe(block: pa.RecordBatch, files: np.ndarray, release: str | None = None) -> pa.RecordBatch:
    """Return the FILE rows of a block that has the columns RANKING and IDENTITY. Lower ranks are better.

    Files of an earlier release come first. Then license type, stars, forks, newest revision, newest visit; a missing number
    is 0, a missing date the oldest.
    """
    license_type = pc.fill_null(pc.index_in(block.column("license_type"), _LICENSES), len(_LICENSES))
    ranks = np.zeros((block.num_rows, 33), np.uint8)
    ranks[:, 0] = 0 if release else 1 + license_type.to_numpy()
    for i, name in enumerate(RANKING[1:]):
        missing = 0 if name.endswith("_count") else np.iinfo(np.int64).min
        values = pc.fill_null(block.column(name).cast(pa.int64()), missing).to_numpy()
        # Flipping all bits but the sign's turns ascending signed integers into descending unsigned ones.
        descending = values.view(np.uint64) ^ np.uint64((1 << 63) - 1)
        ranks[:, 1 + 8 * i : 9 + 8 * i] = descending.astype(">u8").view(np.uint8).reshape(-1, 8)
    rank = pa.Array.from_buffers(pa.binary(33), block.num_rows, [None, pa.py_buffer(ranks.tobytes())])
    releases = pa.array([release] * block.num_rows, pa.string())
    return pa.record_batch([pa.array(files), rank, *(block.column(c) for c in IDENTITY), releases], schema=FILE)


def exact(blocks: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Return REMOVAL rows for the COPY rows of some blob ids: of equal blob id and scope, the best file stays."""
    table = _ordered(pa.Table.from_batches(blocks, COPY), "blob_id", "scope")
    same = np.ones(max(len(table) - 1, 0), bool)
    for column in (table.column(c).combine_chunks() for c in ("blob_id", "scope")):
        same &= pc.equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False) if len(same) else same
    rows = np.arange(len(table))
    best = np.maximum.accumulate(np.where(np.concatenate([[False], same])[: len(table)], 0, rows))
    lower = np.flatnonzero(best != rows)
    gone = table.column("file").take(pa.array(lower, pa.int64()))
    return _removals(table, gone, best[lower], pa.array(np.ones(len(lower))), True)


def orient(pairs: np.ndarray, jaccards: np.ndarray, files: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Return EDGE rows of pairs of ids (int64[n, 2]), the better file first; `files` describe all of them."""
    places = _places(ranked(files), pairs)
    better = places[:, 0] < places[:, 1]
    a, b = np.where(better, pairs[:, 0], pairs[:, 1]), np.where(better, pairs[:, 1], pairs[:, 0])
    return pa.record_batch([a, b, jaccards], schema=EDGE)


def resolve(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Return the removed files, ascending: all but the lexicographically first maximal independent set in the order of rank.

    `above[i]` ranks above `below[i]`, and no chain of these closes a circle. A file is kept once all above it are removed, and
    removed once one above it is kept; the loop goes down the graph and looks at each edge twice. About 60 bytes per edge.
    """
    files, places = np.unique(np.concatenate([above, below]), return_inverse=True)
    upper, lower = places[: len(above)], places[len(above) :]
    order = np.argsort(upper, kind="stable")
    lower, first = lower[order], np.searchsorted(upper[order], np.arange(len(files) + 1))
    waits_for = np.bincount(lower, minlength=len(files))
    removed = np.zeros(len(files), bool)
    keep, drop = np.flatnonzero(waits_for == 0), np.empty(0, np.int64)
    while len(keep) or len(drop):
        beaten = np.unique(lower[_spans(first, keep)])
        fresh = beaten[~removed[beaten]]
        removed[fresh] = True
        freed, counts = np.unique(lower[_spans(first, drop)], return_counts=True)
        waits_for[freed] -= counts
        keep, drop = freed[(waits_for[freed] == 0) & ~removed[freed]], fresh
    return files[removed]


def choose(edges: pa.RecordBatch, files: Iterable[pa.RecordBatch], gone: np.ndarray) -> pa.RecordBatch:
    """Return REMOVAL rows for the edges whose upper file is kept: not in `gone` (sorted). `files` describe the upper files."""
    kept = edges.filter(pa.array(~np.isin(edges.column("a").to_numpy(), gone)))
    table = ranked(files)
    return _removals(table, kept.column("b"), _places(table, kept.column("a").to_numpy()), kept.column("jaccard"), False)


def follow(blocks: Iterable[pa.RecordBatch]) -> pa.RecordBatch:
    """Return REMOVAL rows, one per file, that all name a kept file, from near removals and exact ones that name those files.

    A copy whose twin was itself removed as a near duplicate is a near duplicate of the same kept file: their bytes are equal.
    """
    # Of the kept files above a file the most similar one is named; of equals, the best.
    keys = ["file", "exact", "jaccard", "kept_rank", *(f"kept_{c}" for c in IDENTITY), "kept"]
    table = pa.Table.from_batches(blocks, REMOVAL)
    table = table.take(pc.sort_indices(table, [(k, "descending" if k == "jaccard" else "ascending") for k in keys]))
    table = table.take(pa.array(np.unique(table.column("file").to_numpy(), return_index=True)[1]))
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


def ranked(files: Iterable[pa.RecordBatch]) -> pa.Table:
    """Return distinct FILE rows in the total order: the row number is the place."""
    table = _ordered(pa.Table.from_batches(files, FILE))
    ids = table.column("file").to_numpy()
    return table.filter(pa.array(np.concatenate([[True], ids[1:] != ids[:-1]])[: len(ids)]))


def _places(table: pa.Table, files: np.ndarray) -> np.ndarray:
    ids = table.column("file").to_numpy()
    sorter = np.argsort(ids)
    return sorter[np.searchsorted(ids, files, sorter=sorter)] if len(files) else np.empty(files.shape, np.int64)


def _removals(table: pa.Table, gone: pa.Array, upper: np.ndarray, jaccards: pa.Array, is_exact: bool) -> pa.RecordBatch:
    kept = table.select(FILE.names).take(pa.array(upper, pa.int64()))
    columns = [gone, *kept.columns, jaccards, pa.array(np.full(len(upper), is_exact))]
    return _one_block(pa.table(columns, schema=REMOVAL))


def _spans(first: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the places first[r], first[r] + 1, ... first[r + 1] - 1 of all rows, one after the other."""
    lengths = first[rows + 1] - first[rows]
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(first[rows] - ends + lengths, lengths)


def _one_block(table: pa.Table) -> pa.RecordBatch:
    blocks = table.combine_chunks().to_batches()
    return blocks[0] if blocks else pa.RecordBatch.from_pylist([], schema=table.schema)
