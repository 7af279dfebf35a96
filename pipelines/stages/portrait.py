"""The portrait of a release, made on any runner: hashes of grams go to the partition that they are in, and each partition is one OR.

It is no stage of a recipe's run: `starmill portrait` makes it of a release that is there (run/attribution.py).
"""

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from starmill.core.dataset import Manifest, Workspace, part_path
from starmill.pipelines.stages.catalog.blocks import Blocks
from starmill.pipelines.stages.catalog.exchange import Exchange, File, Tables, pieces
from starmill.pipelines.stages.ledger import lineage
from starmill.transforms.attribution import portrait
from starmill.transforms.dedup.bands import partition

NAME, RELEASE = "portrait", portrait.RELEASE
GRAM = pa.schema([("hash", pa.uint64())])


@dataclass(frozen=True)
class Grams:
    """Reads parts of the release, gives partitions of the portrait. `digest`: 16 bytes of that of the release."""

    workspace: Workspace
    shape: portrait.Shape
    digest: bytes

    @property
    def partitions(self) -> int:
        """How many parts it makes."""
        return self.shape.partitions

    def read(self, given: str) -> Blocks:
        """Yield GRAM rows of a part, by partition."""
        place = replace(self.workspace, digests=lineage(self.workspace, int(given), RELEASE))
        blocks = place.blocks(part_path(RELEASE, int(given)), ["content"])
        for piece in pieces((pa.record_batch([portrait.tiles(b.column(0))], schema=GRAM) for b in blocks), GRAM):
            yield from partition(piece, portrait.partition_of(piece.column(0).to_numpy(), self.partitions))

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return the partition."""
        hashes = [np.asarray(block.column(0)) for block in blocks]
        data = portrait.made(part, self.shape, hashes, self.digest)
        return {portrait.DATASET: File(portrait.SUFFIX, data, sum(map(len, hashes)))}


def size_of(release: Manifest) -> int:
    """Return the bytes of text in a release."""
    return sum(count.bytes for part in release.parts for count in part.counts if not count.reason)


def exchange(workspace: Workspace, release: Manifest) -> Exchange:
    """Return the graph that makes the portrait of a release."""
    work = Grams(workspace, portrait.Shape.of(size_of(release)), bytes.fromhex(release.digest)[:16])
    inputs = tuple(str(p.part) for p in release.parts)
    return Exchange(workspace, portrait.DATASET, inputs, (GRAM,), work.read, work.write, NAME)


def parts(release: Manifest) -> int:
    """Return how many parts the portrait of a release has."""
    return portrait.Shape.of(size_of(release)).partitions
