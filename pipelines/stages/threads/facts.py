"""What all days say of each repository, by an exchange of ids, names and times; no text of a thread travels.

Three datasets, each an exchange (stages/catalog/exchange.py): `known` reduces what each part of days says of a repository, `names` finds
the repositories that had one name after each other, and `repositories` is `known` with names that are unique.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import pyarrow as pa

from starmill.core.dataset import Workspace, part_path
from starmill.pipelines.sources.gharchive.events import EVENT as DECODER
from starmill.pipelines.sources.gharchive.events import Facts
from starmill.pipelines.sources.gharchive.sorted import KNOWN
from starmill.pipelines.stages.catalog.blocks import Blocks
from starmill.pipelines.stages.catalog.exchange import Tables, pieces, rows_of_group
from starmill.transforms.dedup.bands import partition

BINARY = pa.large_binary()
FACT = pa.schema([(name, BINARY) for name in ("repo", "time", "id", "data")])
SEEN = pa.schema([*((name, BINARY) for name in ("repo", "last", "name")), ("threads", pa.int64()), ("bytes", pa.int64())])
NAMED = pa.schema([(name, BINARY) for name in ("name", "last", "repo")])
AGAIN = pa.schema([("repo", BINARY), ("place", pa.int64())])  # the repositories of a name but its last, from place 2


def _spread(blocks: Iterator[pa.RecordBatch], schema: pa.Schema, by: str, buckets: int) -> Blocks:
    """Yield rows by the bucket of a column, as gharchive_sorted.bucket_of has it of texts."""
    given = (b for block in blocks for b in pa.table(block).select(schema.names).cast(schema).to_batches())
    for block in pieces(given, schema):
        own = [zlib.crc32(text) & buckets - 1 for text in block.column(by).to_pylist()]
        yield from partition(block, np.array(own, "i8"))


@dataclass(frozen=True)
class KnownOf:
    """Reads the number of a part of days, gives `known`."""

    workspace: Workspace
    buckets: int
    schemas = (FACT, SEEN)

    def read(self, given: str) -> Blocks:
        """Yield FACT and SEEN rows."""
        for folder, schema in (("facts", FACT), ("seen", SEEN)):
            yield from _spread(self.workspace.blocks(part_path(folder, int(given))), schema, "repo", self.buckets)

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return KNOWN rows of the repositories that have threads, by their ids."""
        of = {schema: [b for b in blocks if b.schema.equals(schema)] for schema in self.schemas}
        told: dict[str, list[tuple[str, str, int, int]]] = {}
        for block in of[SEEN]:
            for repo, last, name, threads, size in zip(*(c.to_pylist() for c in block.columns), strict=True):
                told.setdefault(repo.decode(), []).append((last.decode(), name.decode(), threads, size))
        wanted = {repo for repo, some in told.items() if any(row[2] for row in some)}
        events: dict[str, list[tuple[bytes, bytes, int, bytes]]] = {}
        for block in of[FACT]:
            for repo, time, own, data in zip(*(c.to_pylist() for c in block.columns), strict=True):
                if (key := repo.decode()) in wanted:
                    events.setdefault(key, []).append((time, own, -len(data), data))
        rows = []
        for repo in sorted(wanted):
            last, name, *_ = max(told[repo])
            stars, forks, facts = _reduced(events.get(repo, []))
            values = {"repo": repo, "name": name, "last": last, "stars": stars, "forks": forks}
            values |= {"branch": facts.default_branch, "license": facts.license, "created": facts.created_at}
            sums = {"bytes": sum(row[3] for row in told[repo]), "rows": sum(row[2] for row in told[repo])}
            rows.append(values | sums | {"language": facts.language})
        made = pa.Table.from_pylist(rows, KNOWN)
        return {"known": (made, rows_of_group(made))}


def _reduced(events: list[tuple[bytes, bytes, int, bytes]]) -> tuple[int, int, Facts]:
    """Return the stars, the forks and the last facts; an event that several hours have counts once, as the fullest has it."""
    stars = forks = 0
    facts: Facts | None = None
    for _, same in groupby(sorted(events), key=lambda row: row[:2]):
        event = DECODER.decode(next(same)[3])
        stars += event.what == "star"
        forks += event.what == "fork"
        facts = event.facts or facts
    return stars, forks, facts or Facts()


@dataclass(frozen=True)
class Names:
    """Reads `<first> <end>`, parts of `known`, gives `names`: the repositories whose name a later one has, by name."""

    workspace: Workspace
    buckets: int
    schemas = (NAMED,)

    def read(self, given: str) -> Blocks:
        """Yield NAMED rows."""
        first, end = map(int, given.split())
        blocks = (b for part in range(first, end) for b in self.workspace.blocks(part_path("known", part), NAMED.names))
        yield from _spread(blocks, NAMED, "name", self.buckets)

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return AGAIN rows; the last repository keeps the name, and of equal times the one with the greater id."""
        rows = sorted(row for block in blocks for row in zip(*(c.to_pylist() for c in block.columns), strict=True))
        again = [
            {"repo": repo, "place": place}
            for _, some in groupby(rows, key=lambda row: row[0])
            for place, (_, _, repo) in enumerate(reversed([*some]), 1)
            if place > 1
        ]
        made = pa.Table.from_pylist(again, AGAIN)
        return {"names": (made, rows_of_group(made))}


@dataclass(frozen=True)
class Repositories:
    """Reads `<first> <end>`, parts of `names`, gives `repositories`, which has the parts of `known`."""

    workspace: Workspace
    buckets: int
    schemas = (AGAIN,)

    def read(self, given: str) -> Blocks:
        """Yield AGAIN rows."""
        first, end = map(int, given.split())
        blocks = (b for part in range(first, end) for b in self.workspace.blocks(part_path("names", part)))
        yield from _spread(blocks, AGAIN, "repo", self.buckets)

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return KNOWN rows with unique names: `owner/name~2` for the last but one of a name."""
        again = {row["repo"].decode(): row["place"] for block in blocks for row in block.to_pylist()}
        table = self.workspace.table(part_path("known", part))
        rows = table.to_pylist()
        for row in rows:
            if place := again.get(row["repo"]):
                row["name"] = f"{row['name']}~{place}"
        made = pa.Table.from_pylist(rows, KNOWN)
        return {"repositories": (made, rows_of_group(made))}
