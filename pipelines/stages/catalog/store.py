"""The tables of an export by id: directories as git's trees, and what is known of contents. Built once, for every selection of origins.

A directory's entries lie together in a file, so that they become a tree before they move, and move once. What an export says twice or
apart is one tree again in its bucket; whether it hashes to its id is known from then on.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starmill.core.swhid import object_id
from starmill.pipelines.sources.git.objects import CorruptObject
from starmill.pipelines.sources.git.snapshots import entries as entries_of
from starmill.pipelines.sources.swh.index import FOLDER_MODE, HIDDEN, SKIPPED, VISIBLE
from starmill.pipelines.sources.swh.tables import Export, ids, plain
from starmill.pipelines.stages.catalog.blocks import Blocks, by_bucket, fixed, unfixed
from starmill.pipelines.stages.catalog.exchange import Tables, pieces, rows_of_group

RUN = pa.schema([("id", pa.binary(20)), ("manifest", pa.bool_()), ("tree", pa.large_binary())])
# `folders`: the ids of a tree's folders, 20 bytes each; none where the tree does not hash to its id, so that nothing holds itself.
DIRECTORY = pa.schema([("id", pa.binary(20)), ("folders", pa.large_binary()), ("tree", pa.large_binary())])
CONTENT = pa.schema([("id", pa.binary(20)), ("sha1", pa.binary(20)), ("length", pa.int64()), ("state", pa.large_binary())])


@dataclass(frozen=True)
class Directories:
    """Reads `<table> <path>` of the export, gives `directories`."""

    export: Export
    buckets: int
    schemas = (RUN,)

    def read(self, given: str) -> Blocks:
        """Yield RUN rows."""
        table, path = given.split(" ", 1)
        found = self._manifests(path) if table == "directory" else self._runs(path)
        for block in pieces(found, RUN):
            yield from by_bucket(block, unfixed(block.column("id")), self.buckets)

    def _manifests(self, path: str) -> Iterator[pa.RecordBatch]:
        for block in self.export.only(path).blocks("directory", ["id", "raw_manifest"]):
            odd = block.filter(block.column("raw_manifest").is_valid())
            bodies = [data.partition(b"\0")[2] for data in odd.column("raw_manifest").to_pylist()]
            yield pa.record_batch(
                [fixed(ids(odd.column("id"))), pa.array([True] * len(bodies), pa.bool_()), pa.array(bodies, pa.large_binary())],
                schema=RUN,
            )

    def _runs(self, path: str) -> Iterator[pa.RecordBatch]:
        for block in self.export.only(path).blocks("directory_entry", ["directory_id", "name", "target", "perms"]):
            if block.num_rows:
                yield runs(block)

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return DIRECTORY rows, sorted by id."""
        table = pa.Table.from_batches(blocks, RUN)
        own = unfixed(table.column("id"))
        order = np.argsort(own, kind="stable")
        manifests, trees = table.column("manifest").to_pylist(), table.column("tree")
        starts = np.flatnonzero(np.concatenate([[True], own[order][1:] != own[order][:-1]])[: len(own)])
        kept, folders = [], []
        for run, hex_id in zip(np.split(order, starts[1:]) if len(own) else [], plain(own[order][starts]), strict=True):
            given = [(manifests[i], trees[i].as_py()) for i in run.tolist()]
            tree = one_tree(given, hex_id.hex())
            kept.append(tree)
            folders.append(b"".join(_folders(tree)) if object_id("tree", tree) == hex_id.hex() else b"")
        made = pa.table(
            [fixed(own[order][starts]), pa.array(folders, pa.large_binary()), pa.array(kept, pa.large_binary())],
            schema=DIRECTORY,
        )
        return {"directories": (made, rows_of_group(made))}


def runs(block: pa.RecordBatch) -> pa.RecordBatch:
    """Return RUN rows of directory_entry rows (directory_id, name, target, perms): one for each run of rows of one directory."""
    own, count = ids(block.column("directory_id")), block.num_rows
    modes, which = np.unique(np.asarray(block.column("perms").fill_null(0)) & 0xFFFFFFFF, return_inverse=True)
    shown = pa.array([b"%o " % mode for mode in modes.tolist()], pa.large_binary())
    rows = pc.binary_join_element_wise(
        shown.take(pa.array(which.ravel())),
        block.column("name").fill_null(b""),
        pa.scalar(b"\0", pa.large_binary()),
        fixed(ids(block.column("target"))).cast(pa.large_binary()),
        pa.scalar(b"", pa.large_binary()),
    )
    starts = np.concatenate([[0], np.flatnonzero(own[1:] != own[:-1]) + 1])
    ends = np.frombuffer(rows.buffers()[1], "<i8", count + 1, rows.offset * 8)[[*starts, count]]
    trees = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(starts), [None, pa.py_buffer(ends.tobytes()), rows.buffers()[2]]
    )
    return pa.record_batch([fixed(own[starts]), pa.array(np.zeros(len(starts), bool)), trees], schema=RUN)


def one_tree(given: list[tuple[bool, bytes]], hex_id: str) -> bytes:
    """Return the tree of a directory: its raw manifest, or else what its runs of entries say, which may be in pieces, or twice."""
    for is_manifest, tree in given:
        if is_manifest and tree:
            return tree
    for _, tree in given:
        if object_id("tree", tree) == hex_id:
            return tree
    entries: dict[tuple[bytes, bytes], None] = {}
    for _, tree in given:
        try:
            for mode, name, target in entries_of(tree):
                entries[name + b"/" if mode == FOLDER_MODE else name, b"%o %s\0%s" % (mode, name, target)] = None
        except CorruptObject:  # a name or mode that no tree can have
            return b"".join(dict.fromkeys(tree for _, tree in given))
    return b"".join(data for _, data in sorted(entries))


def _folders(tree: bytes) -> list[bytes]:
    try:
        return [*dict.fromkeys(target for mode, _, target in entries_of(tree) if mode & 0o170000 == FOLDER_MODE)]
    except CorruptObject:
        return []


@dataclass(frozen=True)
class Contents:
    """Reads `<table> <path>` of the export, gives `contents`."""

    export: Export
    buckets: int
    schemas = (CONTENT,)

    def read(self, given: str) -> Blocks:
        """Yield CONTENT rows."""
        table, path = given.split(" ", 1)
        for block in pieces(self._rows(table, path), CONTENT):
            yield from by_bucket(block, unfixed(block.column("id")), self.buckets)

    def _rows(self, table: str, path: str) -> Iterator[pa.RecordBatch]:
        last = "status" if table == "content" else "reason"
        for block in self.export.only(path).blocks(table, ["sha1_git", "sha1", "length", last]):
            said = block.column(last).dictionary_encode()
            shown = [state(table, text).encode() for text in (*said.dictionary.to_pylist(), None)]
            at = np.asarray(said.indices.fill_null(len(shown) - 1))
            states = pa.array(shown, pa.large_binary()).take(pa.array(at))
            own, sha1 = (fixed(ids(block.column(name))) for name in ("sha1_git", "sha1"))
            yield pa.record_batch([own, sha1, block.column("length").fill_null(0), states], schema=CONTENT)

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return CONTENT rows sorted by id, of each the first: one that was skipped once and archived later is archived."""
        table = pa.Table.from_batches(blocks, CONTENT)
        _, first = np.unique(unfixed(table.column("id")), return_index=True)
        made = table.take(pa.array(first))
        return {"contents": (made, rows_of_group(made))}


def state(table: str, text: bytes | None) -> str:
    """Return the state of a content: what is not visible is not handed out, whatever else it is called."""
    shown = (text or b"").decode("utf-8", "backslashreplace")[:200]
    if table == "content":
        return shown if shown in (VISIBLE, HIDDEN, SKIPPED) else HIDDEN
    return f"{SKIPPED}: {shown}" if shown else SKIPPED
