"""Blocks on a real Beam runner: a slice travels as its own bytes, whatever type Beam infers; steps route; parts are processed."""

import pickle

import apache_beam as beam
import pyarrow as pa
from apache_beam.coders import registry
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to

from starmill.core.dataset import Count, Output, Sidecar
from starmill.transforms.beam import Apply, ArrowBlockCoder, PartRef, ProcessParts, references
from starmill.transforms.step import Split, judge_rows

BIG = pa.record_batch({"content": ["x" * 1000] * 10_000, "path": ["/p"] * 10_000, "length_bytes": [1000] * 10_000})


def slices(n: int) -> pa.RecordBatch:
    return BIG.slice(n, 2)


def test_a_slice_costs_its_own_bytes() -> None:
    coder = registry.get_coder(pa.RecordBatch)
    assert isinstance(coder, ArrowBlockCoder)
    for encoded, decoded in [
        (coder.encode(BIG.slice(5, 1)), coder.decode(coder.encode(BIG.slice(5, 1)))),
        (pickle.dumps(BIG.slice(5, 1)), pickle.loads(pickle.dumps(BIG.slice(5, 1)))),
    ]:
        assert len(encoded) < 4000
        assert decoded == BIG.slice(5, 1)


def test_blocks_survive_a_shuffle() -> None:
    with TestPipeline("FnApiRunner") as pipeline:
        rows = (
            pipeline | beam.Create([0, 3, 9]) | beam.Map(slices) | beam.Reshuffle() | "Count" >> beam.Map(lambda b: b.num_rows)
        )
        assert_that(rows, equal_to([2, 2, 2]))


class Odd:
    name = "odd"

    def __call__(self, block: pa.RecordBatch) -> Split:
        return judge_rows(block, ["n"], lambda n: "odd" if n % 2 else None)


def test_apply_routes_kept_and_dropped() -> None:
    block = pa.record_batch(
        {"n": list(range(5)), "repo_name": ["r"] * 5, "path": [f"/{i}" for i in range(5)], "length_bytes": [1] * 5}
    )
    with TestPipeline("FnApiRunner") as pipeline:
        result = pipeline | beam.Create([block]) | Apply(Odd(), "curate")
        assert_that(result.kept | "K" >> beam.FlatMap(lambda b: b.column("n").to_pylist()), equal_to([0, 2, 4]), "kept")
        assert_that(
            result.dropped | "D" >> beam.FlatMap(lambda b: b.column("path").to_pylist()), equal_to(["/1", "/3"]), "dropped"
        )


def work(ref: PartRef) -> Sidecar:
    counts = (Count("", "", "Python", 2, 20), Count("", "", "C", 1, 3), Count("alpha", "few_letters", "C", 1, 5))
    outputs = (Output("curated/part-00000.parquet", "0", 100, 3), Output("shards/part-00000.bin", "0", 7))
    return Sidecar("curate", "curated", ref.part, ref.key, outputs, counts)


def test_parts_are_processed_once_and_counted() -> None:
    pipeline = TestPipeline("FnApiRunner")
    done = pipeline | references([PartRef(k, "key") for k in range(4)]) | ProcessParts(work)
    assert_that(done, equal_to([0, 1, 2, 3]))
    result = pipeline.run()
    counters = {
        c.key.metric.name: c.committed for c in result.metrics().query()["counters"] if c.key.metric.namespace == "starmill"
    }
    assert counters == {
        "curate/parts": 4,
        "curate/shuffled/bytes": 4 * (1 + 1 + 3 + 1),  # a number, the key with its length, an empty plan, nothing to leave out
        "curate/kept/files": 12,
        "curate/kept/bytes": 92,
        "curate/dropped/alpha/few_letters/files": 4,
        "curate/dropped/alpha/few_letters/bytes": 20,
        "curate/written/curated/rows": 12,
        "curate/written/curated/bytes": 400,
        "curate/written/shards/bytes": 28,
    }
