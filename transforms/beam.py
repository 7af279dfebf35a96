"""The only file that knows Beam among the transforms: the Arrow coder, and the two ways to run steps in a graph.

`ProcessParts(work)` is how every map stage runs: an element is a part reference, and one DoFn does the whole part.
`Apply(step)` runs one step over a PCollection of blocks, for pipelines of the user's own.
A pickled slice of a RecordBatch drags its whole parent buffer along, so blocks always travel as Arrow IPC: by the registered
coder where Beam knows the type, by the copyreg reducer where it infers Any.
"""

import copyreg
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics
from apache_beam.typehints import typehints

from starmill.core.dataset import Sidecar
from starmill.core.process import note
from starmill.transforms.step import Step, apply


class ArrowBlockCoder(beam.coders.Coder):
    """A RecordBatch as an Arrow IPC stream: a slice costs its own bytes only; decoding copies nothing."""

    def encode(self, value: pa.RecordBatch) -> bytes:
        """Return the IPC stream of one block."""
        return ipc_bytes(value)

    def decode(self, encoded: bytes) -> pa.RecordBatch:
        """Return the block in an IPC stream."""
        return block_from_ipc(encoded)

    def is_deterministic(self) -> bool:
        """Return False: a block is never a key."""
        return False

    def to_type_hint(self) -> type:
        """Return the type that this coder carries."""
        return pa.RecordBatch


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


def _reduce(block: pa.RecordBatch) -> tuple[Callable[[bytes], pa.RecordBatch], tuple[bytes]]:
    return block_from_ipc, (ipc_bytes(block),)


# Registration has to happen where blocks are encoded, on the driver and in each worker: importing this module is that place.
beam.coders.registry.register_coder(pa.RecordBatch, ArrowBlockCoder)
copyreg.pickle(pa.RecordBatch, _reduce)


# What a PartRef is on its way between workers: a plain tuple, whose coder every runner knows. A type of ours would be pickled.
Reference = tuple[int, str, str, str]


class PartRef(NamedTuple):
    """One unit of work: the part's number, the key that its sidecar must carry, what the work needs to know of it, and which records
    steps leave out (core/skips.py).
    """

    part: int
    key: str
    plan: str = ""
    skips: str = ""


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


class Apply(beam.PTransform):
    """Blocks -> {kept, dropped} blocks, by one step."""

    def __init__(self, step: Step, stage: str) -> None:
        """Keep the step; `stage` labels its dropped rows."""
        super().__init__()
        self._step, self._stage = step, stage

    def expand(self, blocks: beam.PCollection) -> Any:
        """Wire one ParDo with a `dropped` side."""
        return blocks | self._step.name >> beam.ParDo(_Apply(self._step, self._stage)).with_outputs("dropped", main="kept")


class _Apply(beam.DoFn):
    def __init__(self, step: Step, stage: str) -> None:
        self._step, self._stage = step, stage

    def process(self, element: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        kept, dropped = apply(element, self._step, self._stage)
        yield kept
        for block in dropped:
            yield beam.pvalue.TaggedOutput("dropped", block)
