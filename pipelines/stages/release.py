"""Release: what dedup kept, decontaminated and redacted: the dataset that one would publish."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, part_path
from starmill.core.part import PartRef
from starmill.pipelines.stages.ledger import Ledger, has_columns, lineage
from starmill.pipelines.stages.stage import Options, Stage, by_kind, of_parts
from starmill.transforms.step import Step, chain


@dataclass(frozen=True)
class ReleasePart:
    """curated/part-k and verdicts/part-k -> dataset/part-k, dropped/release/part-k. The join is by row number. `steps`: by kind."""

    workspace: Workspace
    steps: Mapping[str, tuple[Step, ...]]
    max_error_rate: float = 1.0

    def __call__(self, ref: PartRef) -> Sidecar:
        """Release one part and publish it; what dedup removed is in dropped/dedup already. Raises InputError for an older one."""
        inputs = lineage(self.workspace, ref.part, "curated", "verdicts")
        ledger = Ledger("release", "dataset", ref.part, ref.key, inputs, self.max_error_rate)
        workspace = replace(self.workspace, digests=inputs)
        keep = workspace.table(part_path("verdicts", ref.part), ["keep"]).column("keep").combine_chunks()
        dataset = ParquetPart(schema.DATASET)
        row = 0
        for block in workspace.blocks(part_path("curated", ref.part)):
            has_columns(workspace, part_path("curated", ref.part), block.schema.names, schema.CURATED, "curate")
            unique = block.filter(keep.slice(row, block.num_rows))
            row += block.num_rows
            for kind, rows in by_kind(unique, self.steps):
                kept, dropped = chain(rows, self.steps[kind], "release")
                ledger.drop(dropped)
                ledger.keep(kept)
                dataset.write(schema.conform(kept, schema.DATASET, nulls=("cuts",)))
        ledger.add(part_path("dataset", ref.part), dataset.close(), dataset.rows)
        return ledger.commit(self.workspace)


def _steps(options: Options) -> dict[str, tuple[Step, ...]]:
    return {name: kind.clean(options.of(name).release) for name, kind in options.table.items()}


def _checked(options: Options) -> list[object]:
    # A daemon or a file that a step needs is asked for now, and not after five stages.
    return [material() for steps in _steps(options).values() for s in steps if (material := getattr(s, "material", None))]


def _work(options: Options, workspace: Workspace) -> ReleasePart:
    return ReleasePart(workspace, _steps(options), options.max_error_rate)


STAGE = Stage(
    name="release",
    dataset="dataset",
    needs=("curated", "verdicts"),
    reads=lambda options: (),
    steps=_steps,
    check=_checked,
    graph=of_parts(_work),
    sketch=of_parts(_work),
)
