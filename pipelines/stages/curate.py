"""Curate: decide by rules over what measure found, in StarCoder2's order. No rule looks into a text.

Emits, beside the kept rows, the MinHash signature and the rank columns of each: dedup never reads text that nothing resembles.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import pyarrow as pa

from starmill.core import schema, skips
from starmill.core.dataset import ParquetPart, Sidecar, Workspace, part_path
from starmill.core.part import PartRef
from starmill.pipelines.stages.ledger import Ledger, has_columns, lineage
from starmill.pipelines.stages.stage import Options, Stage, by_kind, of_parts
from starmill.transforms.chain import check_chain
from starmill.transforms.dedup.minhash import MinHash, signature_rows, signature_schema
from starmill.transforms.step import Step, append, chain, leave_out

SIGN = "signature"  # what makes the signatures, as a step
JUDGED = ("license_type", "license_rule")  # null where no rule over licences decides


class Rules(NamedTuple):
    """What decides over the records of one kind, and how dedup compares the records that stay: near (and exact), exact or none."""

    steps: tuple[Step, ...]
    dedup: str


@dataclass(frozen=True)
class CuratePart:
    """records/part-k and measures/part-k -> curated/part-k, signatures/part-k, dropped/curate/part-k. The join is by row number."""

    workspace: Workspace
    rules: Mapping[str, Rules]
    minhash: MinHash
    max_error_rate: float = 1.0

    def __call__(self, ref: PartRef) -> Sidecar:
        """Decide over one part, row group by row group, and publish it; what measure dropped is in dropped/measure already."""
        inputs = lineage(self.workspace, ref.part, "records", "measures")
        ledger = Ledger("curate", "curated", ref.part, ref.key, inputs, self.max_error_rate)
        curated, signatures = ParquetPart(schema.CURATED), ParquetPart(signature_schema(self.minhash))
        for block in measured(replace(self.workspace, digests=inputs), ref.part):
            for kind, rows in by_kind(block, self.rules):
                kept, dropped = chain(rows, self.rules[kind].steps, "curate")
                kept, left_out = leave_out(kept, SIGN, "curate")
                ledger.drop(dropped + left_out)
                ledger.keep(kept)
                kept = schema.conform(kept, schema.CURATED, nulls=JUDGED)
                curated.write(kept)
                compared = self.rules[kind].dedup
                signed = replace(self.minhash, near=self.minhash.near and compared == "near")
                # First of no row: what is compiled on first use is no record's time. All are one row group, however they were made.
                some = itertools.chain([kept.slice(0, 0)], skips.pieces("curate", SIGN, kept))
                made = [signature_rows(rows, signed, exact=compared != "none") for rows in some]
                signatures.write(pa.concat_batches(made))
        ledger.add(part_path("curated", ref.part), curated.close(), curated.rows)
        ledger.add(part_path("signatures", ref.part), signatures.close(), signatures.rows)
        return ledger.commit(self.workspace)


def measured(workspace: Workspace, part: int, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the blocks of records/part-k (all columns or these) with the columns of measures/part-k, without what measure dropped.

    Raises InputError for a part that was measured before a column was there.
    """
    measures = workspace.table(part_path("measures", part)).combine_chunks()
    has_columns(workspace, part_path("measures", part), measures.schema.names, schema.ANNOTATIONS, "measure")
    row = 0
    for block in workspace.blocks(part_path("records", part), columns):
        found = measures.slice(row, block.num_rows)
        row += block.num_rows
        annotations = {name: found.column(name).combine_chunks() for name in schema.ANNOTATIONS.names}
        yield append(block, annotations).filter(found.column("keep").combine_chunks())


def rules_of(options: Options) -> dict[str, Rules]:
    """Return what decides over the records of each kind."""
    return {name: Rules(kind.decide(options.of(name).curate), kind.dedup) for name, kind in options.table.items()}


def _work(options: Options, workspace: Workspace) -> CuratePart:
    return CuratePart(workspace, rules_of(options), options.minhash, options.max_error_rate)


def _checked(options: Options, workspace: Workspace) -> tuple[()]:
    # A chain that cannot work is told here, not by a worker. What a kind's own steps do not measure is null, and no rule's to read.
    for name, kind in options.table.items():
        added = [n for s in kind.measure(options.of(name).measure) for n in getattr(s, "adds", pa.schema([])).names]
        check_chain(kind.decide(options.of(name).curate), [*schema.RECORDS.names, *added])
    return ()


STAGE = Stage(
    name="curate",
    dataset="curated",
    needs=("records", "measures"),
    reads=lambda options: (options.minhash.signed(),),
    steps=lambda options: {name: (*rules.steps, rules.dedup) for name, rules in rules_of(options).items()},
    material=_checked,
    graph=of_parts(_work),
    sketch=of_parts(_work),
)
