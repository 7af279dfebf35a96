"""Arrow's text columns as numpy arrays, without a copy of the bytes."""

import numpy as np
import pyarrow as pa


def text_buffers(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes, uint8, and the offsets, int64[n + 1], of n string or binary values; a null counts as empty.

    >>> data, offsets = text_buffers(pa.array(["ab", None, "é"]))
    >>> offsets.tolist(), bytes(data[offsets[2] : offsets[3]]).decode()
    ([0, 2, 2, 4], 'é')
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if texts.null_count:
        texts = texts.fill_null("" if pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type) else b"")
    wide = pa.types.is_large_string(texts.type) or pa.types.is_large_binary(texts.type)
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return np.frombuffer(b"", np.uint8), np.zeros(len(texts) + 1, np.int64)
    positions = np.frombuffer(offsets, np.int64 if wide else np.int32)[texts.offset : texts.offset + len(texts) + 1]
    values = np.frombuffer(data, np.uint8)
    values.setflags(write=False)  # one type, whoever allocated the buffer: a kernel compiles once
    return values, positions.astype(np.int64)
