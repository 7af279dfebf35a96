"""The language that a notebook states."""

import pyarrow as pa

from starmill.core import schema
from starmill.transforms.measure.notebooks import StatedLanguage


def test_the_first_that_is_named() -> None:
    rows = [None, [], [("markdown", None), ("code", "R"), ("code", "C")], [("output", None)]]
    segments = [row and [{"role": role, "name": name, "start": 0, "end": 0} for role, name in row] for row in rows]
    block = pa.record_batch({"segments": pa.array(segments, pa.list_(schema.SEGMENT))})
    assert StatedLanguage()(block).column("language").to_pylist() == [None, None, "R", None]
