"""The books of a part: what was kept and dropped adds up, and is published with the sidecar last."""

from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core import schema
from starmill.core.dataset import Count, Workspace
from starmill.pipelines.stages.ledger import Ledger, lineage
from starmill.transforms.step import drop_rows


def block(languages: list[str | None], sizes: list[int | None]) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "repo_name": ["r"] * len(sizes),
            "path": [f"/{i}" for i in range(len(sizes))],
            "language": pa.array(languages, pa.string()),
            "length_bytes": pa.array(sizes, pa.int64()),
        }
    )


def test_counts_and_outputs(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    ledger = Ledger("curate", "curated", 4, "key", {"records/part-00004.parquet": "0" * 64})
    ledger.keep(block(["C", "C", None], [10, 20, 5]))
    ledger.drop(
        [
            drop_rows(block(["C"], [7]), "curate", "alpha", ["few_letters"]),
            drop_rows(block([None], [None]), "curate", "x", ["y"]),
        ]
    )
    ledger.add("curated/part-00004.parquet", b"data", 3)
    sidecar = ledger.commit(workspace)
    assert sidecar.counts == (
        Count("", "", "", 1, 5),
        Count("", "", "C", 2, 30),
        Count("alpha", "few_letters", "C", 1, 7),
        Count("x", "y", "", 1, 0),
    )
    assert workspace.sidecar("curated", 4) == sidecar
    dropped = workspace.table("dropped/curate/part-00004.parquet")
    assert dropped.schema == schema.DROPPED and dropped.num_rows == 2
    assert list(lineage(workspace, 4, "curated")) == ["curated/part-00004.parquet"]


def test_lineage_names_what_to_run_first(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="run the stage that makes it first"):
        lineage(Workspace(str(tmp_path)), 0, "records")
