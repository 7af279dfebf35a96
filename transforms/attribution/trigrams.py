"""The trigrams of a part of a release: which of its files have three bytes in a row, at about 0.13 bytes per byte of text.

Bytes are those of UTF-8, with capitals of ASCII as small letters, so that one index answers whatever the case. A row is a trigram, how
many files have it, and which: their rows in the part, each as what is added to the one before, less one, in LEB128 (7 bits a byte, the
least first, 128 where another follows). The source is Russ Cox, Regular Expression Matching with a Trigram Index (2012).
"""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from starmill.transforms.buffers import text_buffers
from starmill.transforms.jit import jit

DATASET = "trigrams"
SIZE = 1 << 24  # trigrams that there are
PAGE = 512  # rows of a row group: what a look-up reads
KEPT = pa.schema([("trigram", pa.uint32()), ("files", pa.int32()), ("rows", pa.large_binary())])
PART = b"starmill.part"  # the key of the digest of the part of the release, in a file's metadata


@jit
def _found(data, offsets, first, seen, trigrams, rows):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write the distinct trigrams of each text and its row, `first` and what follows; return how many there are."""
    count = 0
    for text in range(len(offsets) - 1):
        start, value = offsets[text], 0
        for i in range(start, offsets[text + 1]):
            byte = np.int64(data[i])
            value = ((value << 8) | (byte + 32 if 65 <= byte <= 90 else byte)) & 0xFFFFFF
            if i >= start + 2 and seen[value] != first + text:
                seen[value] = first + text
                trigrams[count], rows[count] = value, first + text
                count += 1
    return count


@jit
def _sizes(trigrams, rows, last, sizes, files):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Add up the bytes and the files of each trigram. `last`: -1 for all."""
    for i in range(len(trigrams)):
        trigram = trigrams[i]
        gap = rows[i] - last[trigram] - 1
        last[trigram] = rows[i]
        files[trigram] += 1
        sizes[trigram] += 1
        while gap > 127:
            gap >>= 7
            sizes[trigram] += 1


@jit
def _write(trigrams, rows, last, ends, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write the rows of each trigram from `ends`, which moves on. `last`: -1 for all."""
    for i in range(len(trigrams)):
        trigram = trigrams[i]
        gap, at = rows[i] - last[trigram] - 1, ends[trigram]
        last[trigram] = rows[i]
        while gap > 127:
            out[at] = 128 | (gap & 127)
            at += 1
            gap >>= 7
        out[at] = gap
        ends[trigram] = at + 1


@jit
def _read(data, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write the rows that `data` holds; return how many they are."""
    count, row, gap, shift = 0, -1, 0, 0
    for byte in data:
        gap |= np.int64(byte & 127) << shift
        shift += 7
        if byte < 128:
            row += gap + 1
            if count < len(out):
                out[count] = row
            count += 1
            gap = shift = 0
    return count


class Trigrams:
    """Gathers the trigrams of the texts of a part, which come in blocks, in order."""

    def __init__(self) -> None:
        """Begin before the first row."""
        self._seen, self._rows = np.full(SIZE, -1, np.int32), 0
        self._found: list[tuple[np.ndarray, np.ndarray]] = []

    def add(self, texts: pa.Array) -> None:
        """Take the texts of the rows that come next."""
        data, offsets = text_buffers(texts)
        room = int(offsets[-1] - offsets[0])
        trigrams, rows = np.empty(room, np.uint32), np.empty(room, np.int32)
        count = _found(data, offsets, self._rows, self._seen, trigrams, rows)
        self._found.append((trigrams[:count].copy(), rows[:count].copy()))
        self._rows += len(texts)

    def table(self) -> pa.Table:
        """Return KEPT rows, sorted by trigram."""
        last, sizes, files = np.full(SIZE, -1, np.int32), np.zeros(SIZE, np.int64), np.zeros(SIZE, np.int32)
        for trigrams, rows in self._found:
            _sizes(trigrams, rows, last, sizes, files)
        ends = np.cumsum(sizes)
        out = np.empty(int(ends[-1]), np.uint8)
        last[:], starts = -1, ends - sizes
        for trigrams, rows in self._found:
            _write(trigrams, rows, last, starts, out)
        there = np.flatnonzero(files)
        offsets = np.concatenate([np.zeros(1, np.int64), ends[there]])
        held = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(there), [None, *map(pa.py_buffer, (offsets, out))])
        return pa.table([there.astype(np.uint32), files[there], held], schema=KEPT)


def rows_of(data: bytes, files: int) -> np.ndarray:
    """Return the rows that a trigram's `data` names, int64. Raises ValueError where they are not as many as `files`."""
    out = np.empty(files, np.int64)
    if _read(np.frombuffer(data, np.uint8), out) != files:
        raise ValueError("rows that are not as many as they should be")
    return out


def file_of(table: pa.Table, part: str) -> bytes:
    """Return KEPT rows as a Parquet file of PAGE rows a row group. `part`: the digest of the part of the release."""
    sink = io.BytesIO()
    encoding = {"trigram": "DELTA_BINARY_PACKED", "files": "DELTA_BINARY_PACKED"}
    table = table.replace_schema_metadata({PART: part.encode()})
    kept = {"compression": "zstd", "use_dictionary": False, "column_encoding": encoding, "write_statistics": ["trigram"]}
    with pq.ParquetWriter(sink, table.schema, **kept) as writer:
        if table.num_rows:  # a row group of none has no bounds
            writer.write_table(table, row_group_size=PAGE)
    return sink.getvalue()
