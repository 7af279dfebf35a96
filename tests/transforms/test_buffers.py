"""The bytes and offsets of a text column, whatever slice or type it is."""

from itertools import pairwise

import pyarrow as pa
import pytest

from starmill.transforms.buffers import text_buffers

TEXTS = ["", "ab", None, "é", "xyz"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.large_binary()])
@pytest.mark.parametrize("part", [slice(None), slice(1, 4), slice(2, 3), slice(5, 5)])
def test_each_value_is_where_the_offsets_say(kind: pa.DataType, part: slice) -> None:
    array = pa.array(TEXTS, pa.string()).cast(kind)[part.start or 0 : part.stop if part.stop is not None else 5]
    data, offsets = text_buffers(array)
    assert [bytes(data[a:b]).decode() for a, b in pairwise(offsets)] == [t or "" for t in TEXTS[part]]
    assert (data.dtype, offsets.dtype, data.flags.writeable) == ("uint8", "int64", False)


def test_chunks_are_joined() -> None:
    data, offsets = text_buffers(pa.chunked_array([["a"], ["b", "c"]]))
    assert (bytes(data), offsets.tolist()) == (b"abc", [0, 1, 2, 3])
