"""Schemas: the published names of The Stack v2, and blocks that conform."""

import pyarrow as pa

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
    assert schema.DATASET.names == [*schema.CURATED.names, "redactions"]


def test_conform_orders_casts_and_fills() -> None:
    block = pa.record_batch({"length_bytes": pa.array([1, 2], pa.int32()), "extra": [1, 2], "path": ["/a", "/b"]})
    result = schema.conform(block, schema.DROPPED)
    assert result.schema == schema.DROPPED
    assert result.column("length_bytes").to_pylist() == [1, 2]
    assert result.column("reason").null_count == 2
