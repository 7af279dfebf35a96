"""The trigrams of a release, made on any runner, part by part: that of a part depends on that part of the release alone.

It is no stage of a recipe's run: `starmill index --search` makes them of a release that is there (run/attribution.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from starmill.core.dataset import Count, Manifest, Sidecar, Workspace, output, part_path
from starmill.core.part import PartRef
from starmill.pipelines.stages.ledger import lineage
from starmill.transforms.attribution import trigrams
from starmill.transforms.attribution.portrait import RELEASE

if TYPE_CHECKING:
    import apache_beam as beam

NAME = "trigrams"


@dataclass(frozen=True)
class TrigramPart:
    """dataset/part-k -> trigrams/part-k. `digests`: of the release's parts."""

    workspace: Workspace
    digests: dict[int, str]

    def __call__(self, ref: PartRef) -> Sidecar:
        """Make one part and publish it."""
        inputs, found, size = lineage(self.workspace, ref.part, RELEASE), trigrams.Trigrams(), 0
        for block in replace(self.workspace, digests=inputs).blocks(part_path(RELEASE, ref.part), ["content"]):
            found.add(block.column(0))
            size += block.nbytes
        table = found.table()
        data = trigrams.file_of(table, self.digests[ref.part])
        made = (output(part_path(trigrams.DATASET, ref.part), data, table.num_rows),)
        counts = (Count("moved", "", "", table.num_rows, size),)
        sidecar = Sidecar(NAME, trigrams.DATASET, ref.part, ref.key, made, counts, inputs)
        self.workspace.commit(sidecar, [data])
        return sidecar


@dataclass(frozen=True)
class ByPart:
    """The graph over the parts that are due."""

    work: TrigramPart
    dataset: str = trigrams.DATASET

    def __call__(self, pipeline: "beam.Pipeline", due: Sequence[PartRef]) -> "beam.PCollection":
        """Add it to a pipeline; return the numbers of the published parts."""
        from starmill.transforms.beam import ProcessParts, references

        return pipeline | references(due) | ProcessParts(self.work)


def exchange(workspace: Workspace, release: Manifest) -> ByPart:
    """Return the graph that makes the trigrams of a release."""
    return ByPart(TrigramPart(workspace, {p.part: p.digest() for p in release.parts}))


def parts(release: Manifest) -> int:
    """Return how many parts the trigrams of a release have."""
    return len(release.parts)
