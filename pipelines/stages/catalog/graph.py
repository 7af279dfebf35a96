"""Directories of a compressed graph in place of an export's table: those alone that lie at or below a root.

They are made after the roots, become the same dataset as the table's do, and are held against their ids there.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from starmill.core.dataset import Workspace, part_path
from starmill.pipelines.sources.swh.graph import Graph
from starmill.pipelines.sources.swh.index import EMPTY_TREE
from starmill.pipelines.sources.swh.tables import ID, Export, plain
from starmill.pipelines.stages.catalog.blocks import Blocks, by_bucket, fixed, unfixed
from starmill.pipelines.stages.catalog.exchange import Tables, pieces
from starmill.pipelines.stages.catalog.frontier import level, parts_of
from starmill.pipelines.stages.catalog.store import RUN, Directories

BLOCK_BYTES = 8 << 20  # of trees in a block


@dataclass(frozen=True)
class Traversed:
    """Reads `roots <first> <end>`, some buckets of roots, or `directory <path>`, the raw manifests; gives `directories`."""

    workspace: Workspace
    export: Export
    graph: Graph
    buckets: int
    schemas = (RUN,)

    def read(self, given: str) -> Blocks:
        """Yield RUN rows."""
        what, some = given.split(" ", 1)
        if what != "roots":
            yield from Directories(self.export, self.buckets).read(given)
            return
        for block in pieces((block for part in parts_of(some) for block in self._below(part)), RUN):
            yield from by_bucket(block, unfixed(block.column("id")), self.buckets)

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return what `Directories` does."""
        return Directories(self.export, self.buckets).write(part, blocks)

    def _below(self, part: int) -> Iterator[pa.RecordBatch]:
        roots = plain(unfixed(self.workspace.table(part_path(level(0), part), ["node"]).column("node")))
        own, trees, size = list[bytes](), list[bytes](), 0
        for directory, tree in self.graph.directories([root for root in roots if root.hex() != EMPTY_TREE]):
            own.append(directory)
            trees.append(tree)
            size += len(tree)
            if size >= BLOCK_BYTES:
                yield _block(own, trees)
                own, trees, size = [], [], 0
        yield _block(own, trees)


def _block(own: list[bytes], trees: list[bytes]) -> pa.RecordBatch:
    columns = [fixed(np.array(own, ID)), pa.array([False] * len(own), pa.bool_()), pa.array(trees, pa.large_binary())]
    return pa.record_batch(columns, schema=RUN)
