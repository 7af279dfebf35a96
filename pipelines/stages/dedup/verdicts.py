"""Verdicts of one part: the removals that dedup found, written as one row per curated row, and as dropped rows that name the twin."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import schema
from starmill.core.dataset import ParquetPart, Sidecar, part_path
from starmill.core.part import PartRef
from starmill.pipelines.stages.dedup.candidates import Candidates
from starmill.pipelines.stages.ledger import Ledger, lineage
from starmill.transforms.step import drop_rows

# What VERDICTS and DROPPED say of the file that is kept instead.
# Of a file, as its row in dropped/ shows it.
COLUMNS = ["kind", "repo_name", "path", "blob_id", "content_id", "language", "length_bytes"]
TWIN = ("kept_repo_name", "kept_path", "kept_content_id", "kept_release", "jaccard", "cluster_id")
STEPS = {"duplicate_repository": "repository", "exact_duplicate": "exact", "near_duplicate": "near"}


def publish(candidates: Candidates, ref: PartRef, removed: pa.Table, roots: np.ndarray) -> Sidecar:
    """Publish verdicts/part-k and dropped/dedup/part-k from REMOVAL rows, one per removed file.

    `roots` (int64) are the first files of repositories that go whole: their files' verdicts say so.
    """
    removed = removed.combine_chunks().take(pc.sort_indices(removed, [("file", "ascending")]))
    gone = removed.column("file").to_numpy()
    # The first reader of the part compared them.
    inputs = lineage(candidates.workspace, ref.part, "curated", folders=("curated", "signatures"), compare=False)
    ledger = Ledger("dedup", "verdicts", ref.part, ref.key, inputs)
    verdicts = ParquetPart(schema.VERDICTS)
    whole: set[str] = set()
    for files, block in candidates.blocks(ref.part, COLUMNS):
        names = block.column("repo_name")
        whole |= set(names.filter(pa.array(np.isin(files, roots))).to_pylist())
        at = pa.array(np.searchsorted(gone, files), mask=~np.isin(files, gone))
        verdict = _verdicts(removed.take(at), pc.is_in(names, pa.array(sorted(whole), pa.string())))
        verdicts.write(verdict)
        ledger.keep(block.filter(verdict.column("keep")))
        for reason, step in STEPS.items():
            chosen = pc.fill_null(pc.equal(verdict.column("reason"), reason), False)
            twins = {name: verdict.column(name).filter(chosen) for name in TWIN}
            lost = block.filter(chosen)
            ledger.drop([drop_rows(lost, "dedup", step, [reason] * lost.num_rows, **twins)])
    ledger.add(part_path("verdicts", ref.part), verdicts.close(), verdicts.rows)
    return ledger.commit(candidates.workspace)


def _verdicts(removed: pa.Table, whole: pa.Array) -> pa.RecordBatch:
    """REMOVAL rows, all null where a file stays, and which rows are of a removed repository -> VERDICTS rows."""
    is_exact = removed.column("exact")
    verdict = {
        "keep": pc.is_null(is_exact),
        "reason": pc.if_else(
            pc.and_(whole, pc.is_valid(is_exact)),
            "duplicate_repository",
            pc.if_else(is_exact, "exact_duplicate", "near_duplicate"),
        ),
        **{name: removed.column(name) for name in TWIN[:-1]},
        "cluster_id": removed.column("kept_content_id"),
    }
    table = pa.table([verdict[n] for n in schema.VERDICTS.names], schema=schema.VERDICTS).combine_chunks()
    return table.to_batches()[0]
