"""How every dataset of a catalog is made: what is read is cut into blocks by bucket, grouped once, and each bucket is published as a part.

A block travels as compressed bytes, one for a piece of what is read and a bucket, with its place in the input, so that a bucket is
the same whatever the runner's order. Only blocks of buckets that are due travel: a run that was killed moves no other again.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.metrics import Metrics

from starmill.core.dataset import Count, ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.part import PartRef
from starmill.transforms.beam import block_from_ipc, count, pack, references
from starmill.transforms.dedup.bands import partition

NAME = "catalog"
AT = b"at"  # where a block stands in the input, in the metadata of its schema
GROUP_BYTES = 1 << 20  # of a row group: what a reader of one row decompresses
Array = npt.NDArray[Any]
Blocks = Iterator[tuple[int, pa.RecordBatch]]
Tables = dict[str, tuple[pa.Table, int]]  # by the path of its folder: the rows, and the rows of a row group


@dataclass(frozen=True)
class Exchange:
    """One dataset. `read(input)` yields blocks by bucket, `write(part, blocks)` makes the tables of a bucket; the first is `dataset`'s."""

    workspace: Workspace
    dataset: str
    inputs: tuple[str, ...]
    read: Callable[[str], Blocks]
    write: Callable[[int, list[pa.RecordBatch]], Tables]

    def __call__(self, pipeline: beam.Pipeline, due: Sequence[PartRef]) -> beam.PCollection:
        """Add the graph to a pipeline; return the numbers of the published parts."""
        inputs = [(number, given) for number, given in enumerate(self.inputs)]
        blocks = (
            pipeline
            | "Inputs" >> beam.Create(inputs, reshuffle=False).with_output_types(tuple[int, str])
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_Read(self.read, frozenset(ref.part for ref in due))).with_output_types(tuple[int, bytes])
        )
        parts = (
            pipeline
            | references(due)
            | "Number" >> beam.Map(lambda r: (r[0], json.dumps(r).encode())).with_output_types(tuple[int, bytes])
        )
        joined = {"refs": parts, "blocks": blocks} | "Group" >> beam.CoGroupByKey()
        return joined | "Write" >> beam.FlatMap(self._publish).with_output_types(int)

    def _publish(self, group: tuple[int, dict[str, Iterable[bytes]]]) -> Iterator[int]:
        part, given = group
        [ref] = [PartRef(*json.loads(data)) for data in given["refs"]]
        sizes, blocks = [0], []
        for data in given["blocks"]:
            sizes.append(len(data))
            blocks.append(block_from_ipc(data))
        blocks.sort(key=lambda block: block.schema.metadata[AT])
        rows = sum(block.num_rows for block in blocks)
        outputs, contents = [], []
        for folder, (table, group_rows) in self.write(part, [b.replace_schema_metadata(None) for b in blocks]).items():
            made = ParquetPart(table.schema)
            for block in table.combine_chunks().to_batches(group_rows):
                made.write(block)
            contents.append(made.close())
            outputs.append(output(part_path(folder, part), contents[-1], made.rows))
        counts = (Count("moved", "", "", rows, sum(sizes)),)
        sidecar = Sidecar(NAME, self.dataset, part, ref.key, tuple(outputs), counts)
        self.workspace.commit(sidecar, contents)
        count(sidecar)
        yield part


class _Read(beam.DoFn):
    def __init__(self, read: Callable[[str], Blocks], due: frozenset[int]) -> None:
        self._read, self._due = read, due

    def process(self, element: tuple[int, str]) -> Iterator[tuple[int, bytes]]:
        number, given = element
        for piece, (bucket, block) in enumerate(self._read(given)):
            if bucket in self._due:
                data = pack(block.replace_schema_metadata({AT: b"%012d%012d" % (number, piece)}))
                Metrics.counter("starmill", f"{NAME}/shuffled/bytes").inc(len(data))
                yield bucket, data


def by_bucket(block: pa.RecordBatch, own: Array, buckets: int) -> Blocks:
    """Yield the rows of a block by the bucket of their ids."""
    yield from partition(block, bucket_of(own, buckets))


def bucket_of(own: Array, buckets: int) -> Array:
    """Return the bucket of each id: as many of its first bits as count a power of two, up to 65,536.

    >>> bucket_of(np.array([b"\\x80" + bytes(19), b"\\xff" * 20], "S20"), 4).tolist()
    [2, 3]
    """
    first = np.frombuffer(np.ascontiguousarray(own).tobytes(), "u1").reshape(-1, 20)[:, :2].astype("u4")
    return ((first[:, 0] << 8 | first[:, 1]) * buckets >> 16).astype("i8")


def fixed(own: Array) -> pa.Array:
    """Return ids as a column."""
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(20), len(own), [None, pa.py_buffer(own.tobytes())])


def unfixed(column: pa.Array | pa.ChunkedArray) -> Array:
    """Return a column of ids as an array."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks) if whole.num_chunks else pa.array([], pa.binary(20))
    start = whole.offset * 20
    return np.frombuffer(whole.buffers()[1] or b"", "u1")[start : start + 20 * len(whole)].view("S20")


def rows_of_group(table: pa.Table, least: int = 1 << 10) -> int:
    """Return how many rows make about GROUP_BYTES."""
    return max(1, min(1 << 20, GROUP_BYTES * max(1, table.num_rows) // max(1, table.nbytes)) or least)
