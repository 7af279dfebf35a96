"""Steps over a block: decisions carry reasons, a row that breaks a step is dropped alone, nothing is lost."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from starmill.core import schema
from starmill.transforms.step import Split, apply, chain, drop_rows, judge_rows


def block(*contents: str) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "repo_name": ["r"] * len(contents),
            "path": [f"/{i}" for i in range(len(contents))],
            "content": pa.array(contents, pa.string()),
            "length_bytes": pa.array([len(c) for c in contents], pa.int64()),
        }
    )


@dataclass(frozen=True)
class Upper:
    name: str = "upper"

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        if "boom" in block.column("content").to_pylist():
            raise RuntimeError("a boom in the block")
        return pa.RecordBatch.from_arrays(
            [*block.columns, pc.utf8_upper(block.column("content"))], [*block.schema.names, "upper"]
        )


@dataclass(frozen=True)
class Short:
    limit: int = 3
    name: str = "short"

    def __call__(self, block: pa.RecordBatch) -> Split:
        return judge_rows(block, ["content"], lambda text: "too_short" if len(text) < self.limit else None)


def test_kept_and_dropped_sum_to_the_input() -> None:
    kept, dropped = chain(block("abc", "boom", "x", "defg"), [Upper(), Short()], "curate")
    assert kept.column("upper").to_pylist() == ["ABC", "DEFG"]
    losses = [row for b in dropped for row in b.to_pylist()]
    assert [(r["path"], r["stage"], r["step"], r["reason"]) for r in losses] == [
        ("/1", "curate", "upper", "error:upper:RuntimeError"),
        ("/2", "curate", "short", "too_short"),
    ]
    assert losses[0]["detail"] == "a boom in the block"
    assert all(b.schema == schema.DROPPED for b in dropped)


def test_every_row_lost_still_gives_the_columns() -> None:
    kept, dropped = apply(block("boom", "boom"), Upper(), "curate")
    assert kept.num_rows == 0 and "upper" in kept.schema.names
    assert sum(b.num_rows for b in dropped) == 2


@pytest.mark.parametrize("contents", [(), ("a",), ("abc",)])
def test_small_blocks(contents: tuple[str, ...]) -> None:
    kept, dropped = chain(block(*contents), [Upper(), Short()], "curate")
    assert kept.num_rows + sum(b.num_rows for b in dropped) == len(contents)


def test_a_duplicate_names_its_kept_file() -> None:
    dropped = drop_rows(block("a"), "dedup", "near", ["near_duplicate"], kept_path=pa.array(["/b"]), jaccard=pa.array([0.8]))
    assert (dropped.to_pylist()[0]["kept_path"], dropped.to_pylist()[0]["jaccard"]) == ("/b", 0.8)
