"""One dataset of a catalog: only what is due moves, in any order to the same bytes, and a bucket without rows is a part too."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from starmill.core.dataset import Workspace, part_path
from starmill.core.part import PartRef
from starmill.pipelines.run import job
from starmill.pipelines.runners import choose
from starmill.pipelines.stages.catalog import exchange
from starmill.pipelines.stages.catalog.blocks import Blocks
from starmill.pipelines.stages.catalog.exchange import Exchange, Publish, Read, Tables, pieces, rows_of_group

ROW = pa.schema([("number", pa.int64())])


def read(given: str) -> Blocks:
    for number in range(int(given), int(given) + 3):
        yield number % 2, pa.record_batch([pa.array([number])], schema=ROW)


def write(part: int, blocks: list[pa.RecordBatch]) -> Tables:
    return {"numbers": (pa.Table.from_batches(blocks, ROW), 2)}


def made(place: Path) -> Exchange:
    return Exchange(Workspace(str(place)), "numbers", ("10", "20"), (ROW,), read, write)


def test_buckets_become_parts_in_the_order_of_the_inputs(tmp_path: Path) -> None:
    of = made(tmp_path / "beam")
    job.run("numbers", [PartRef(n, f"key{n}") for n in range(3)], of, choose((), 1), quiet=True)
    numbers = [of.workspace.table(part_path("numbers", part)).column("number").to_pylist() for part in range(3)]
    assert numbers == [[10, 12, 20, 22], [11, 21], []]
    sidecars = [of.workspace.sidecar("numbers", part) for part in range(3)]
    assert [s and (s.key, s.counts[0].files) for s in sidecars] == [("key0", 4), ("key1", 2), ("key2", 0)]
    other = made(tmp_path / "other")
    for part in range(3):
        blocks = [data for n in (1, 0) for bucket, data in Read(other, frozenset([part])).process((n, other.inputs[n]))]
        assert [*Publish(other, {part: f"key{part}"})((part, [*reversed(blocks), b""]))] == [part]
    same = [{p.name: p.read_bytes() for p in (tmp_path / name / "numbers").iterdir()} for name in ("beam", "other")]
    assert same[0] == same[1] and len(same[0]) == 6


def test_only_blocks_of_buckets_that_are_due_move(tmp_path: Path) -> None:
    assert {bucket for bucket, _ in Read(made(tmp_path), frozenset([1])).process((0, "10"))} == {1}


def test_pieces_are_as_large_as_they_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [pa.record_batch([pa.array(np.arange(100))], schema=ROW)] * 10
    assert [piece.num_rows for piece in pieces(blocks, ROW)] == [1000] and [*pieces([], ROW)] == []
    monkeypatch.setattr(exchange, "PIECE_BYTES", 2000)
    assert [piece.num_rows for piece in pieces(blocks, ROW)] == [300, 300, 300, 100]
    assert rows_of_group(pa.table({"a": np.arange(1 << 20)})) == 1 << 17 and rows_of_group(ROW.empty_table()) > 0
