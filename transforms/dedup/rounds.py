"""The resolution of `clusters.resolve` in distributed rounds: files and edges are spread over hash partitions.

The first half of a round keeps each file that has no undecided file above it, and marks the edges below that file. The second half
removes the lower file of each marked edge, with all edges of that file. A decision is final, so any number of rounds may be followed
by `clusters.resolve` over the undecided edges. A chain of versions, each like the next, takes one round per link: hence the bound.
Files of hot buckets are never decided kept here: they may have neighbors that only their own resolution sees (`hot`).
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from starmill.core import seeds
from starmill.transforms.dedup.bands import Partitioned, partition
from starmill.transforms.dedup.clusters import GONE

# An edge between undecided files, `a` above `b`; `kept`: whether `a` is known to be kept.
LINK = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("kept", pa.bool_())])


def partition_of(files: np.ndarray, partitions: int) -> np.ndarray:
    """Return the hash partition of each file."""
    return (seeds.mix(files.astype(np.uint64)) % np.uint64(partitions)).astype(np.int64)


def send(a: np.ndarray, b: np.ndarray, kept: np.ndarray, partitions: int) -> Partitioned:
    """Yield LINK blocks by the partition of each end, once where both ends are in one partition."""
    above, below = partition_of(a, partitions), partition_of(b, partitions)
    block = pa.record_batch([a, b, kept], schema=LINK)
    yield from partition(block, above)
    apart = above != below
    yield from partition(block.filter(pa.array(apart)), below[apart])


def mark_kept(number: int, partitions: int, links: pa.Table, members: pa.Table, gone: pa.Table) -> Partitioned:
    """First half of a round, at partition `number`: LINK rows -> LINK rows with `kept` set, for the partitions of both ends."""
    (a, b, _), out = _columns(links), _ids(gone)
    mine = partition_of(b, partitions) == number
    undecided = np.concatenate([b[mine & ~np.isin(b, out)], _ids(members)])
    asked = partition_of(a, partitions) == number
    a, b = a[asked], b[asked]
    yield from send(a, b, ~np.isin(a, undecided), partitions)
    yield from _pass_on(number, members, gone)


def remove_below(number: int, partitions: int, links: pa.Table, members: pa.Table, gone: pa.Table) -> Partitioned:
    """Second half: LINK rows with `kept` set -> LINK rows still undecided; each file below a kept file is gone."""
    a, b, kept = _columns(links)
    out = np.union1d(_ids(gone), b[kept & (partition_of(b, partitions) == number)])
    still = (partition_of(a, partitions) == number) & ~kept & ~np.isin(a, out)
    yield from send(a[still], b[still], kept[still], partitions)
    here = members.filter(pa.array(~np.isin(_ids(members), out)))
    yield from _pass_on(number, here, pa.table([out], schema=GONE))


def undecided_edges(number: int, partitions: int, links: pa.Table, gone: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the edges whose lower file is undecided and in partition `number`."""
    a, b, _ = _columns(links)
    mine = (partition_of(b, partitions) == number) & ~np.isin(b, _ids(gone))
    return a[mine], b[mine]


def _columns(links: pa.Table) -> list[np.ndarray]:
    return [links.column(c).to_numpy() for c in LINK.names]


def _ids(table: pa.Table) -> np.ndarray:
    return table.column("file").to_numpy()


def _pass_on(number: int, *tables: pa.Table) -> Iterator[tuple[int, pa.RecordBatch]]:
    for table in tables:
        yield from ((number, block) for block in table.to_batches() if block.num_rows)
