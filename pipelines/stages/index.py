"""The fingerprints of a release, made on any runner: those of a part go to the partitions of their hashes, where they are sorted.

It is no stage of a recipe's run: `starmill index` makes them of a release that is there (run/attribution.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from starmill.core.dataset import Manifest, Workspace, part_path
from starmill.pipelines.stages.catalog.blocks import Blocks
from starmill.pipelines.stages.catalog.exchange import Exchange, File, Tables, pieces
from starmill.pipelines.stages.ledger import lineage
from starmill.pipelines.stages.portrait import RELEASE, size_of
from starmill.transforms.attribution import fingerprints
from starmill.transforms.dedup.bands import partition

NAME = "index"


@dataclass(frozen=True)
class Fingerprints:
    """Reads parts of the release, gives `partitions` of fingerprints. `digest`: that of the release."""

    workspace: Workspace
    partitions: int
    digest: str

    def read(self, given: str) -> Blocks:
        """Yield FOUND rows of a part, by partition."""
        for piece in pieces(self._found(int(given)), fingerprints.FOUND):
            yield from partition(piece, fingerprints.partition_of(piece.column("hash").to_numpy(), self.partitions))

    def _found(self, part: int) -> Iterator[pa.RecordBatch]:
        place, row = replace(self.workspace, digests=lineage(self.workspace, part, RELEASE)), 0
        for block in place.blocks(part_path(RELEASE, part), ["content", "star_events_count"]):
            yield fingerprints.found(block.column("content"), block.column("star_events_count"), part, row)
            row += block.num_rows

    def write(self, part: int, blocks: list[pa.RecordBatch]) -> Tables:
        """Return the partition."""
        made = fingerprints.merged(blocks)
        return {fingerprints.DATASET: File("parquet", fingerprints.file_of(made, self.digest), made.num_rows)}


def exchange(workspace: Workspace, release: Manifest) -> Exchange:
    """Return the graph that makes the fingerprints of a release."""
    work = Fingerprints(workspace, parts(release), release.digest)
    inputs = tuple(str(p.part) for p in release.parts)
    return Exchange(workspace, fingerprints.DATASET, inputs, (fingerprints.FOUND,), work.read, work.write, NAME)


def parts(release: Manifest) -> int:
    """Return how many parts the fingerprints of a release have."""
    return fingerprints.partitions(size_of(release))
