"""From the heads of the origins to all that lies below their roots: level by level, every directory opened once a level.

A pair is a root, by its number, and a directory below it; however many ways lead there, it is one. A level is the folders of the
level before, joined with the directories by bucket.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa

from starmill.core.dataset import Workspace, part_path
from starmill.pipelines.sources.git.objects import CorruptObject
from starmill.pipelines.sources.git.snapshots import entries as entries_of
from starmill.pipelines.sources.swh.heads import FIELDS, heads, is_id
from starmill.pipelines.sources.swh.index import FOLDER_MODE, lookup
from starmill.pipelines.sources.swh.tables import ID, Export
from starmill.pipelines.stages.catalog.blocks import Array, Blocks, by_bucket, fixed, unfixed
from starmill.pipelines.stages.catalog.exchange import Tables, pieces, rows_of_group

PAIRS = 1 << 22  # made at once
NUMBERED = 32  # bits of a root's number in its bucket
COMMIT_MODE = 0o160000
HEAD = pa.schema([("head", pa.large_binary())])  # as JSON
NODE = pa.schema([("node", pa.binary(20))])
PAIR = pa.schema([("root", pa.uint64()), ("node", pa.binary(20))])
# `cut`: a directory of more roots than are followed; of these roots it is not opened.
LEVEL = pa.schema([*PAIR, ("cut", pa.bool_())])
FILE = pa.schema([("root", pa.uint64()), ("id", pa.binary(20))])


def level(number: int) -> str:
    """Return the dataset of a level.

    >>> level(3)
    'level-03'
    """
    return f"level-{number:02}"


@dataclass(frozen=True)
class Heads:
    """Reads the number of a part, gives `heads`: the origins of that part, each with its revision and its root."""

    export: Export
    parts: int
    schemas = (HEAD,)

    def read(self, given: str) -> Blocks:
        """Yield HEAD rows. Reads the tables of visits, branches, releases and revisions; its memory is that of its origins."""
        found = heads(self.export, (int(given), self.parts))
        for start in range(0, len(found), 1 << 16):
            told = [msgspec.json.encode(head) for head in found[start : start + (1 << 16)]]
            yield int(given), pa.record_batch([pa.array(told, pa.large_binary())], schema=HEAD)

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return the heads, a column for each field."""
        rows = [msgspec.json.decode(row) for block in blocks for row in block.column("head").to_pylist()]
        made = pa.Table.from_pylist(rows, pa.schema(FIELDS))
        return {"heads": (made, rows_of_group(made))}


@dataclass(frozen=True)
class Roots:
    """Reads the number of a part of `heads`, gives the first level: each root once. Its number is its bucket and its place there."""

    workspace: Workspace
    buckets: int
    schemas = (NODE,)

    def read(self, given: str) -> Blocks:
        """Yield NODE rows."""
        for block in self.workspace.blocks(part_path("heads", int(given)), ["directory"]):
            own = [text for text in block.column("directory").to_pylist() if is_id(text)]
            found = np.unique(np.array([bytes.fromhex(text) for text in own], ID))
            yield from by_bucket(pa.record_batch([fixed(found)], schema=NODE), found, self.buckets)

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return LEVEL rows, sorted by node."""
        found = np.unique(unfixed(pa.Table.from_batches(blocks, NODE).column("node")))
        numbers = np.arange(len(found), dtype="u8") + np.uint64(part << NUMBERED)
        made = pa.table([pa.array(numbers), fixed(found), pa.array(np.zeros(len(found), bool))], schema=LEVEL)
        return {level(0): (made, rows_of_group(made))}


@dataclass(frozen=True)
class Level:
    """Reads `<first> <end>`, some buckets, gives level `number` (from 1): the folders of the level before.

    `most`: the roots of one directory that are followed at a level; of the others, those of higher numbers, it is cut.
    """

    workspace: Workspace
    buckets: int
    number: int
    most: int
    schemas = (PAIR,)

    def read(self, given: str) -> Blocks:
        """Yield PAIR rows."""
        for block in pieces((b for part in parts_of(given) for b in self._below(part)), PAIR):
            yield from by_bucket(block, unfixed(block.column("node")), self.buckets)

    def _below(self, part: int) -> Iterator[pa.RecordBatch]:
        found = Pairs.of(self.workspace, part, [level(self.number - 1)])
        for block in self.workspace.blocks(part_path("directories", part), ["id", "folders"]) if len(found.nodes) else ():
            own = unfixed(block.column("id"))
            _, there = lookup(found.nodes, own)
            folders = [unfixed_bytes(data) for data in block.column("folders").filter(pa.array(there)).to_pylist()]
            for roots, nodes in found.fan_out(own[there], folders):
                yield pa.record_batch([pa.array(roots), fixed(nodes)], schema=PAIR)

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return LEVEL rows, sorted by node and root."""
        roots, nodes = distinct(pa.Table.from_batches(blocks, PAIR))
        starts = np.flatnonzero(np.concatenate([[True], nodes[1:] != nodes[:-1]])[: len(nodes)])
        place = np.arange(len(nodes)) - np.repeat(starts, np.diff([*starts, len(nodes)]))
        made = pa.table([pa.array(roots), fixed(nodes), pa.array(place >= self.most)], schema=LEVEL)
        return {level(self.number): (made, rows_of_group(made))}


@dataclass(frozen=True)
class Files:
    """Reads `<first> <end>`, some buckets of directories, gives `files`: what is known of each content below each root."""

    workspace: Workspace
    buckets: int
    levels: int
    schemas = (FILE,)

    def read(self, given: str) -> Blocks:
        """Yield FILE rows."""
        for block in pieces((b for part in parts_of(given) for b in self._below(part)), FILE):
            yield from by_bucket(block, unfixed(block.column("id")), self.buckets)

    def _below(self, part: int) -> Iterator[pa.RecordBatch]:
        found = Pairs.of(self.workspace, part, [level(n) for n in range(self.levels)])
        for block in self.workspace.blocks(part_path("directories", part), ["id", "tree"]) if len(found.nodes) else ():
            own = unfixed(block.column("id"))
            _, there = lookup(found.nodes, own)
            # Only those are parsed that a root leads to.
            contents = [files_of(tree) for tree in block.column("tree").filter(pa.array(there)).to_pylist()]
            for roots, files in found.fan_out(own[there], contents):
                yield pa.record_batch([pa.array(roots), fixed(files)], schema=FILE)

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return KNOWN rows, sorted by id and root."""
        roots, own = distinct(pa.Table.from_batches(blocks, FILE))
        contents = self.workspace.table(part_path("contents", part)).combine_chunks()
        at, there = lookup(unfixed(contents.column("id")), own)
        facts = contents.take(pa.array(at[there]))
        made = pa.table(
            {"root": pa.array(roots[there]), **{name: facts.column(name) for name in ("id", "sha1", "length", "state")}}
        )
        return {"files": (made, rows_of_group(made))}


@dataclass(frozen=True)
class Pairs:
    """The pairs of some levels in a bucket: each distinct node, and its roots `roots[starts[i] : starts[i + 1]]`."""

    nodes: Array
    starts: Array
    roots: Array

    @classmethod
    def of(cls, workspace: Workspace, part: int, levels: list[str], cut: bool = False) -> "Pairs":
        """Return the distinct pairs that are not cut; `cut`: those that are."""
        tables = [workspace.table(part_path(name, part)) for name in levels]
        table = pa.concat_tables(tables)
        chosen = np.asarray(table.column("cut"), bool) == cut
        roots, nodes = distinct(table.filter(pa.array(chosen)))
        starts = np.flatnonzero(np.concatenate([[True], nodes[1:] != nodes[:-1]])[: len(nodes)])
        return cls(nodes[starts], np.append(starts, len(nodes)), roots)

    def fan_out(self, own: Array, below: list[Array]) -> Iterator[tuple[Array, Array]]:
        """Yield (roots, ids) of what lies `below` each of some nodes, for each of its roots, at most PAIRS at once."""
        at, there = lookup(self.nodes, own)
        kept = np.flatnonzero(there)
        at, lists = at[kept], [below[i] for i in kept.tolist()]
        lengths = np.array([len(some) for some in lists], "i8")
        flat = np.concatenate([np.empty(0, ID), *lists])
        first, each = np.cumsum(lengths) - lengths, self.starts[at + 1] - self.starts[at]
        ends = np.cumsum(lengths * each)
        for low in range(0, int(ends[-1]) if len(ends) else 0, PAIRS):
            pair = np.arange(low, min(low + PAIRS, int(ends[-1])))
            i = np.searchsorted(ends, pair, "right")
            inside = pair - (ends[i] - lengths[i] * each[i])
            # A node of many roots beside it once for all of them.
            yield self.roots[self.starts[at[i]] + inside % each[i]], flat[first[i] + inside // each[i]]


def parts_of(given: str) -> range:
    """Return the buckets that an input names.

    >>> parts_of("4 8")
    range(4, 8)
    """
    return range(*map(int, given.split(" ")))


def distinct(table: pa.Table) -> tuple[Array, Array]:
    """Return the distinct (root, id) rows of a table, sorted by id and root."""
    both = np.empty(table.num_rows, [("id", ID), ("root", ">u8")])
    both["id"], both["root"] = unfixed(table.column(1)), np.asarray(table.column("root"))
    found = np.unique(both.view("S28")).view(both.dtype)
    return found["root"].astype("u8"), np.ascontiguousarray(found["id"])


def files_of(tree: bytes) -> Array:
    """Return the distinct ids of a tree's files."""
    try:
        found = dict.fromkeys(own for mode, _, own in entries_of(tree) if mode & 0o170000 not in (FOLDER_MODE, COMMIT_MODE))
    except CorruptObject:
        return np.empty(0, ID)
    return unfixed_bytes(b"".join(found))


def unfixed_bytes(data: bytes) -> Array:
    """Return ids that lie one behind another as an array."""
    return np.frombuffer(data, ID)
