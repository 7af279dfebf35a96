"""Parts on a real Beam runner: each is processed once, and counted; a slice of a block travels as its own bytes."""

import pyarrow as pa
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that, equal_to

from starmill.core.dataset import Count, Output, Sidecar
from starmill.core.part import PartRef
from starmill.transforms.beam import ProcessParts, block_from_ipc, ipc_bytes, references


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


def test_a_slice_costs_its_own_bytes() -> None:
    whole = pa.record_batch({"content": ["x" * 1000] * 10_000})
    encoded = ipc_bytes(whole.slice(5, 1))
    assert len(encoded) < 4000 and block_from_ipc(encoded) == whole.slice(5, 1)
