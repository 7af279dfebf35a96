"""How every dataset of a catalog is made: what is read is cut into blocks by bucket, grouped once, and each bucket is published as a part.

A block travels as compressed bytes, one for a piece of what is read and a bucket, with its place in the input, so that a bucket is
the same whatever the runner's order. Only blocks of buckets that are due travel: a run that was killed moves no other again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import apache_beam as beam
import pyarrow as pa
from apache_beam.metrics import Metrics

from starmill.core.dataset import Count, ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.part import PartRef
from starmill.pipelines.stages.catalog.blocks import Blocks, decode, encode
from starmill.transforms.beam import count

NAME = "catalog"
PIECE_BYTES = 256 << 20  # of an input that are cut into blocks at once: with 65,536 buckets, a block has 4 kB
PIECES = 1 << 40  # that an input may have
GROUP_BYTES = 1 << 20  # of a row group: what a reader of one row decompresses


class File(NamedTuple):
    """A file that is no table of ours: its suffix, its bytes, and how many things it holds."""

    suffix: str
    data: bytes
    rows: int


Tables = dict[str, tuple[pa.Table, int] | File]  # by the path of its folder: the rows, and the rows of a row group; or a file


@dataclass(frozen=True)
class Exchange:
    """One dataset. `read(input)` yields blocks by bucket, `write(part, blocks)` makes the tables of a bucket; the first is `dataset`'s."""

    workspace: Workspace
    dataset: str
    inputs: tuple[str, ...]
    schemas: tuple[pa.Schema, ...]  # of the blocks
    read: Callable[[str], Blocks]
    write: Callable[[int, list[pa.RecordBatch]], Tables]
    maker: str = NAME  # whose datasets these are

    def __call__(self, pipeline: beam.Pipeline, due: Sequence[PartRef]) -> beam.PCollection:
        """Add the graph to a pipeline; return the numbers of the published parts."""
        inputs = [(number, given) for number, given in enumerate(self.inputs)]
        blocks = (
            pipeline
            | "Inputs" >> beam.Create(inputs, reshuffle=False).with_output_types(tuple[int, str])
            | "Spread" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(Read(self, frozenset(ref.part for ref in due))).with_output_types(tuple[int, bytes])
        )
        # An empty block for each part that is due, or one without rows would never be written.
        empty = pipeline | "Due" >> beam.Create([(ref.part, b"") for ref in due], reshuffle=False).with_output_types(
            tuple[int, bytes]
        )
        grouped = (blocks, empty) | "Flatten" >> beam.Flatten() | "Group" >> beam.GroupByKey()
        return grouped | "Write" >> beam.FlatMap(Publish(self, {ref.part: ref.key for ref in due})).with_output_types(int)


@dataclass(frozen=True)
class Publish:
    """Writes a bucket, whose part has the key in `keys`."""

    exchange: Exchange
    keys: dict[int, str]

    def __call__(self, group: tuple[int, Iterable[bytes]]) -> Iterator[int]:
        """Write one bucket; yield its number."""
        (part, given), made = group, self.exchange
        size, placed = 0, []
        for data in given:
            if data:
                size += len(data)
                placed.append(decode(data, made.schemas))
        blocks = [block for _, block in sorted(placed, key=lambda pair: pair[0])]
        rows = sum(block.num_rows for block in blocks)
        outputs, contents = [], []
        for folder, held in made.write(part, blocks).items():
            if isinstance(held, File):
                contents.append(pa.py_buffer(held.data))
                outputs.append(output(part_path(folder, part, held.suffix), held.data, held.rows))
                continue
            table, group_rows = held
            file = ParquetPart(table.schema)
            for block in table.combine_chunks().to_batches(group_rows):
                file.write(block)
            contents.append(file.close())
            outputs.append(output(part_path(folder, part), contents[-1], file.rows))
        counts = (Count("moved", "", "", rows, size),)
        sidecar = Sidecar(made.maker, made.dataset, part, self.keys[part], tuple(outputs), counts)
        made.workspace.commit(sidecar, contents)
        count(sidecar)
        yield part


class Read(beam.DoFn):
    """Reads an input, and yields its blocks for the buckets that are due, each with its bucket."""

    def __init__(self, exchange: Exchange, due: frozenset[int]) -> None:
        """Keep what to read, and for which buckets."""
        self._exchange, self._due = exchange, due

    def process(self, element: tuple[int, str]) -> Iterator[tuple[int, bytes]]:
        """Read the input of this number."""
        number, given = element
        for piece, (bucket, block) in enumerate(self._exchange.read(given)):
            if bucket in self._due:
                data = encode(block, number * PIECES + piece, self._exchange.schemas)
                Metrics.counter("starmill", f"{self._exchange.maker}/shuffled/bytes").inc(len(data))
                yield bucket, data


def pieces(blocks: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield blocks of a schema put together to about PIECE_BYTES: the larger a piece, the fewer blocks it is cut into for its rows."""
    held, size = list[pa.RecordBatch](), 0
    for block in blocks:
        held.append(block)
        size += block.nbytes
        if size >= PIECE_BYTES:
            yield from pa.Table.from_batches(held, schema).combine_chunks().to_batches()
            held, size = [], 0
    yield from pa.Table.from_batches(held, schema).combine_chunks().to_batches()


def rows_of_group(table: pa.Table, least: int = 1 << 10) -> int:
    """Return how many rows make about GROUP_BYTES."""
    return max(1, min(1 << 20, GROUP_BYTES * max(1, table.num_rows) // max(1, table.nbytes)) or least)
