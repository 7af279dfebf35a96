"""Schemas: the published names of The Stack v2, and blocks that conform."""

import pyarrow as pa
import pytest

from starmill.core import schema

# Columns of bigcode/the-stack-v2 that a file-level row has here too (dataset card).
STACK_V2 = [
    "blob_id",
    "directory_id",
    "path",
    "content_id",
    "detected_licenses",
    "license_type",
    "repo_name",
    "snapshot_id",
    "revision_id",
    "branch_name",
    "visit_date",
    "revision_date",
    "committer_date",
    "github_id",
    "star_events_count",
    "fork_events_count",
    "gha_license_id",
    "gha_created_at",
    "gha_language",
    "src_encoding",
    "language",
    "is_vendor",
    "is_generated",
    "length_bytes",
    "extension",
]


def test_columns_are_those_of_the_stack_v2() -> None:
    assert set(STACK_V2) <= set(schema.CURATED.names)
    assert schema.DATASET.names == [*schema.CURATED.names, "redactions", "cuts"]


WANTED = pa.schema([("path", pa.string()), ("length_bytes", pa.int64()), ("language", pa.string())])
BLOCK = pa.record_batch({"length_bytes": pa.array([1, 2], pa.int32()), "path": ["/a", "/b"]})


def test_conform_orders_casts_and_fills_what_is_said_to_be_unknown() -> None:
    result = schema.conform(BLOCK, WANTED, nulls=["language", "path"])
    assert result.schema == WANTED
    assert result.to_pydict() == {"path": ["/a", "/b"], "length_bytes": [1, 2], "language": [None, None]}


@pytest.mark.parametrize(
    ("block", "nulls", "said"),
    [
        (BLOCK, [], "columns missing: language"),
        (BLOCK.append_column("score", pa.array([1, 2])), ["language"], "columns not declared: score"),
        (BLOCK, ["language", "score"], "columns in nulls and not declared: score"),
        (
            BLOCK.select(["path"]).append_column("length_bytes", pa.array(["x", "y"])),
            ["language"],
            "column length_bytes: .*parse",
        ),
        (pa.record_batch({"path": pa.array([], pa.string())}), ["language"], "columns missing: length_bytes"),
    ],
)
def test_a_block_of_other_columns_is_refused(block: pa.RecordBatch, nulls: list[str], said: str) -> None:
    with pytest.raises(schema.SchemaError, match=said):
        schema.conform(block, WANTED, nulls=nulls)
