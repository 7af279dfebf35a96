"""What a source reads of a catalog: by the first bits of a root its repositories, the trees below it, and what is known of their contents.

Rows of one root lie together, so that a reader opens a few row groups of one part.
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa

from starmill.core.dataset import Workspace, part_path
from starmill.core.swhid import object_id
from starmill.pipelines.sources.git.objects import CorruptObject
from starmill.pipelines.sources.git.snapshots import entries as entries_of
from starmill.pipelines.sources.swh.heads import FIELDS, is_id
from starmill.pipelines.sources.swh.index import FOLDER_MODE, LARGEST, VISIBLE
from starmill.pipelines.sources.swh.tables import ID, plain
from starmill.pipelines.stages.catalog.blocks import Array, Blocks, bucket_of, fixed, unfixed
from starmill.pipelines.stages.catalog.exchange import Tables, pieces, rows_of_group
from starmill.pipelines.stages.catalog.frontier import HEAD, NUMBERED, Pairs, level, parts_of
from starmill.transforms.dedup.bands import partition

TREE_BYTES = 64 << 20  # of trees, copied for each of their roots at once
TREE = pa.schema([("root", pa.uint64()), ("id", pa.binary(20)), ("tree", pa.large_binary())])  # no tree where it is cut
FACTS = [("id", pa.binary(20)), ("sha1", pa.binary(20)), ("length", pa.int64()), ("state", pa.large_binary())]
KNOWN = pa.schema([("root", pa.uint64()), *FACTS])
DATASETS = ("repositories", "trees", "blobs")


@dataclass(frozen=True)
class Rows:
    """Reads `trees <first> <end>`, `files <first> <end>` (buckets) or `heads <first> <end>`; gives `repositories`, `trees` and `blobs`."""

    workspace: Workspace
    buckets: int
    levels: int
    schemas = (TREE, KNOWN, HEAD)

    def read(self, given: str) -> Blocks:
        """Yield TREE, KNOWN or HEAD rows."""
        what, some = given.split(" ", 1)
        if what == "heads":
            for block in (b for part in parts_of(some) for b in self.workspace.blocks(part_path("heads", part))):
                told = pa.array([msgspec.json.encode(row) for row in block.to_pylist()], pa.large_binary())
                yield from partition(pa.record_batch([told], schema=HEAD), self._bucket(block))
            return
        read = self._trees if what == "trees" else lambda part: self.workspace.blocks(part_path("files", part))
        for block in pieces((b for part in parts_of(some) for b in read(part)), TREE if what == "trees" else KNOWN):
            yield from partition(block, (np.asarray(block.column("root")) >> np.uint64(NUMBERED)).astype("i8"))

    def _bucket(self, block: pa.RecordBatch) -> Array:
        texts = block.column("directory").to_pylist()
        own = np.array([bytes.fromhex(text) if is_id(text) else bytes(20) for text in texts], ID)
        names = np.array([zlib.crc32(name.encode()) for name in block.column("name").to_pylist()])
        return np.where([is_id(text) for text in texts], bucket_of(own, self.buckets), names % self.buckets)

    def _trees(self, part: int) -> Iterator[pa.RecordBatch]:
        names = [level(n) for n in range(self.levels)]
        found = Pairs.of(self.workspace, part, names)
        for block in self.workspace.blocks(part_path("directories", part), ["id", "tree"]):
            own, trees = unfixed(block.column("id")), block.column("tree")
            lengths = np.diff(np.frombuffer(trees.buffers()[1], "<i8", len(trees) + 1, trees.offset * 8))
            for roots, nodes in found.fan_out(own, [own[i : i + 1] for i in range(len(own))]):
                at = np.searchsorted(own, nodes)
                piece = np.cumsum(lengths[at]) // TREE_BYTES
                for start, end in _runs(piece):
                    some = pa.array(at[start:end])
                    yield pa.record_batch([pa.array(roots[start:end]), fixed(nodes[start:end]), trees.take(some)], schema=TREE)
        cut = Pairs.of(self.workspace, part, names, cut=True)
        nodes = np.repeat(cut.nodes, np.diff(cut.starts))
        yield pa.record_batch([pa.array(cut.roots), fixed(nodes), pa.nulls(len(nodes), pa.large_binary())], schema=TREE)

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return the repositories of some roots, with the bytes of their files, by name; and TREE and KNOWN rows by root and id."""
        of = {schema: [b for b in blocks if b.schema.equals(schema)] for schema in (TREE, KNOWN, HEAD)}
        roots = unfixed(self.workspace.table(part_path(level(0), part), ["node"]).column("node"))
        trees = _sorted(pa.Table.from_batches(of[TREE], TREE))
        blobs = _sorted(pa.Table.from_batches(of[KNOWN], KNOWN))
        sizes = dict(zip((own.hex() for own in plain(roots)), _sizes(roots, trees, blobs), strict=True))
        told = [msgspec.json.decode(row) for block in of[HEAD] for row in block.column("head").to_pylist()]
        found = sorted(told, key=lambda row: str(row["name"]))
        heads = [{**row, "size": sizes.get(row["directory"], 0)} for row in found]
        made = pa.Table.from_pylist(heads, pa.schema([*FIELDS, ("size", pa.int64())]))
        named = [_named(table, roots) for table in (trees, blobs)]
        return {name: (table, rows_of_group(table)) for name, table in zip(DATASETS, (made, *named), strict=True)}


def _runs(numbers: Array) -> Iterator[tuple[int, int]]:
    bounds = np.flatnonzero(np.diff(numbers, prepend=-1, append=-1))
    yield from zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)


def _sorted(table: pa.Table) -> pa.Table:
    """Return rows by (root, id), of each the first that has a tree."""
    key = np.empty(table.num_rows, [("root", ">u8"), ("id", ID), ("cut", "u1")])
    key["root"], key["id"] = np.asarray(table.column("root")), unfixed(table.column("id"))
    key["cut"] = np.asarray(table.column(2).is_null())
    order = np.argsort(key.view("S29"), kind="stable")
    pairs = np.ascontiguousarray(key[order]).view("u1").reshape(-1, 29)[:, :28].copy().view("S28").ravel()
    first = np.concatenate([[True], pairs[1:] != pairs[:-1]])[: len(pairs)]
    return table.take(pa.array(order[first])).combine_chunks()


def _named(table: pa.Table, roots: Array) -> pa.Table:
    """Return rows with the root's id for its number."""
    places = np.asarray(table.column("root")) & np.uint64((1 << NUMBERED) - 1)
    return table.set_column(0, "root", fixed(roots[places.astype("i8")]))


def _sizes(roots: Array, trees: pa.Table, blobs: pa.Table) -> Iterator[int]:
    """Yield the bytes of the files below each root, in their order: of a folder, each of its distinct folders once."""
    at = [0, 0]
    numbers = [np.asarray(table.column("root")) & np.uint64((1 << NUMBERED) - 1) for table in (trees, blobs)]
    ends = [np.searchsorted(some, np.arange(len(roots)), "right").tolist() for some in numbers]
    for place, root in enumerate(plain(roots)):
        mine, known = (table.slice(a, e[place] - a) for table, a, e in zip((trees, blobs), at, ends, strict=True))
        at = [e[place] for e in ends]
        lengths = {
            own: max(0, length)
            for own, length, state in zip(*(known.column(c).to_pylist() for c in ("id", "length", "state")), strict=True)
            if state == VISIBLE.encode()
        }
        yield size_of(root, mine.column("id").to_pylist(), mine.column("tree").to_pylist(), lengths)


def size_of(root: bytes, own: list[bytes], trees: list[bytes | None], lengths: Mapping[bytes, int]) -> int:
    """Return the bytes of the files below a root, from its trees and the lengths of contents; 0 where it is not among them."""
    base, folders = dict[bytes, int](), dict[bytes, list[bytes]]()
    for tree_id, tree in zip(own, trees, strict=True):
        base[tree_id], folders[tree_id] = _look(tree_id, tree or b"", lengths)
    # Children first: none of these trees holds itself, because each of them that names folders hashes to its id.
    total, due = dict[bytes, int](), [root]
    while due:
        tree_id = due[-1]
        if tree_id in total or tree_id not in base:
            due.pop()
        elif ahead := [f for f in folders[tree_id] if f in base and f not in total]:
            due += ahead
        else:
            total[tree_id] = min(LARGEST, base[tree_id] + sum(total[f] for f in folders[tree_id] if f in total))
            due.pop()
    return total.get(root, 0)


def _look(tree_id: bytes, tree: bytes, lengths: Mapping[bytes, int]) -> tuple[int, list[bytes]]:
    try:
        found = [*entries_of(tree)]
    except CorruptObject:
        return 0, []
    size = sum(lengths.get(target, 0) for mode, _, target in found if mode & 0o170000 != FOLDER_MODE)
    if object_id("tree", tree) != tree_id.hex():
        return size, []
    return size, [*dict.fromkeys(target for mode, _, target in found if mode & 0o170000 == FOLDER_MODE)]
