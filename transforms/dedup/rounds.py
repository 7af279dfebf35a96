"""The resolution of `clusters.resolve` in distributed rounds: vertices live in partitions, and edges ask and tell.

In a round each edge asks its upper file whether it is kept, which it is once nothing undecided lies above it; then the lower
files that heard so are gone, and their edges with them. What a round decides is final, so any number of rounds may be followed
by `clusters.resolve` over what is left. Chains of versions, each like the next, take a round a link: hence the bound.
Files of hot buckets are never decided kept here: they may have neighbors that only their own resolution sees (`hot`).
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from starmill.transforms.dedup.bands import Partitioned, partition
from starmill.transforms.dedup.clusters import GONE
from starmill.transforms.dedup.minhash import mix

# An edge between undecided files, `a` above `b`; `kept`: the answer that `a` is kept.
LINK = pa.schema([("a", pa.int64()), ("b", pa.int64()), ("kept", pa.bool_())])


def home(files: np.ndarray, partitions: int) -> np.ndarray:
    """Return the partition that a file's vertex lives in."""
    return (mix(files.astype(np.uint64)) % np.uint64(partitions)).astype(np.int64)


def send(a: np.ndarray, b: np.ndarray, kept: np.ndarray, partitions: int) -> Partitioned:
    """Yield LINK blocks by the home of each end, once where both have one home."""
    above, below = home(a, partitions), home(b, partitions)
    block = pa.record_batch([a, b, kept], schema=LINK)
    yield from partition(block, above)
    apart = above != below
    yield from partition(block.filter(pa.array(apart)), below[apart])


def ask(number: int, partitions: int, links: pa.Table, members: pa.Table, gone: pa.Table) -> Partitioned:
    """First half of a round, at partition `number`: LINK rows of edges -> LINK rows with answers, for both ends' homes."""
    (a, b, _), out = _columns(links), _ids(gone)
    mine = home(b, partitions) == number
    undecided = np.concatenate([b[mine & ~np.isin(b, out)], _ids(members)])
    asked = home(a, partitions) == number
    a, b = a[asked], b[asked]
    yield from send(a, b, ~np.isin(a, undecided), partitions)
    yield from _pass_on(number, members, gone)


def tell(number: int, partitions: int, links: pa.Table, members: pa.Table, gone: pa.Table) -> Partitioned:
    """Second half: LINK rows with answers -> those that are still open; the files that heard of a kept one are gone."""
    a, b, kept = _columns(links)
    out = np.union1d(_ids(gone), b[kept & (home(b, partitions) == number)])
    still = (home(a, partitions) == number) & ~kept & ~np.isin(a, out)
    yield from send(a[still], b[still], kept[still], partitions)
    here = members.filter(pa.array(~np.isin(_ids(members), out)))
    yield from _pass_on(number, here, pa.table([out], schema=GONE))


def left(number: int, partitions: int, links: pa.Table, gone: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends of the edges whose lower file lives here and is undecided."""
    a, b, _ = _columns(links)
    mine = (home(b, partitions) == number) & ~np.isin(b, _ids(gone))
    return a[mine], b[mine]


def _columns(links: pa.Table) -> list[np.ndarray]:
    return [links.column(c).to_numpy() for c in LINK.names]


def _ids(table: pa.Table) -> np.ndarray:
    return table.column("file").to_numpy()


def _pass_on(number: int, *tables: pa.Table) -> Iterator[tuple[int, pa.RecordBatch]]:
    for table in tables:
        yield from ((number, block) for block in table.to_batches() if block.num_rows)
