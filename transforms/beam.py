"""The only file that knows Beam among the transforms: what travels between workers, and how the parts of a stage run.

`ProcessParts(work)` is how every map stage runs: an element is a part reference, and one DoFn does the whole part.
A pickled slice of a RecordBatch drags its whole parent buffer along, so blocks always travel as Arrow IPC.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.typehints import typehints

from starmill.core.dataset import Sidecar
from starmill.core.part import PartRef
from starmill.core.process import note


def ipc_bytes(block: pa.RecordBatch, options: pa.ipc.IpcWriteOptions | None = None) -> bytes:
    """Serialise one block."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, block.schema, options=options) as writer:
        writer.write_batch(block)
    return sink.getvalue().to_pybytes()


def block_from_ipc(encoded: bytes) -> pa.RecordBatch:
    """Read one block back."""
    return pa.ipc.open_stream(pa.py_buffer(encoded)).read_next_batch()


def pack(block: pa.RecordBatch) -> bytes:
    """Serialise one block for a shuffle, compressed: numbers that hardly change and names cost next to nothing."""
    return ipc_bytes(block, pa.ipc.IpcWriteOptions(compression="zstd"))


# What a PartRef is on its way between workers: a plain tuple, whose coder every runner knows. A type of ours would be pickled.
Reference = tuple[int, str, str, str]


def references(refs: Sequence[PartRef]) -> beam.PTransform:
    """Return the transform that puts part references into a pipeline."""
    return "Parts" >> beam.Create([tuple(ref) for ref in refs], reshuffle=False).with_output_types(Reference)


def count(sidecar: Sidecar) -> None:
    """Count a published part in Beam's counters: what was kept and dropped, by reason, and what was written, by dataset."""
    stage = sidecar.stage
    Metrics.counter("starmill", f"{stage}/parts").inc()
    for decided in sidecar.counts:
        what = f"dropped/{decided.step}/{decided.reason}" if decided.reason else "kept"
        Metrics.counter("starmill", f"{stage}/{what}/files").inc(decided.files)
        Metrics.counter("starmill", f"{stage}/{what}/bytes").inc(decided.bytes)
    for output in sidecar.outputs:
        dataset = output.path.rpartition("/")[0]
        Metrics.counter("starmill", f"{stage}/written/{dataset}/bytes").inc(output.bytes)
        if output.rows is not None:
            Metrics.counter("starmill", f"{stage}/written/{dataset}/rows").inc(output.rows)


def count_asked(stage: str, asked: Mapping[str, int]) -> None:
    """Count what a part asked of other machines: no sidecar has it, since a store that fails now and then is asked more often."""
    for name, number in asked.items():
        Metrics.counter("starmill", f"{stage}/asked/{name}").inc(number)


_REFERENCE = beam.coders.registry.get_coder(typehints.normalize(Reference))  # Beam's own tuple, as in a pipeline


class _Work(beam.DoFn):
    def __init__(self, work: Callable[[PartRef], Sidecar]) -> None:
        self._work = work

    def process(self, element: Reference) -> Iterator[int]:
        ref = PartRef(*element)
        note(str(ref.part))
        sidecar = self._work(ref)
        note("")
        # Read back from a shuffle: the references are all that a map stage sends.
        Metrics.counter("starmill", f"{sidecar.stage}/shuffled/bytes").inc(len(_REFERENCE.encode(element)))
        count(sidecar)
        yield sidecar.part


class ProcessParts(beam.PTransform):
    """Part references -> part numbers, once each part is published. The references are spread before the work starts."""

    def __init__(self, work: Callable[[PartRef], Sidecar]) -> None:
        """Keep `work`, which must be picklable and must publish the part that it is given."""
        super().__init__()
        self._work = work

    def expand(self, parts: beam.PCollection) -> beam.PCollection:
        """Wire Reshuffle and the one ParDo."""
        return parts | "Spread" >> beam.Reshuffle() | "Process" >> beam.ParDo(_Work(self._work)).with_output_types(int)
