"""Measures against the plainest Python, on any text."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.transforms.measure.text import Measure, stats


def naive(text: str) -> tuple[int, int, float, float, float]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    if not lines:
        return 0, 0, 0.0, 0.0, 0.0
    lengths = [len(line) for line in lines]
    alpha, alphanum = (sum(map(test, text)) / len(text) for test in (str.isalpha, str.isalnum))
    return len(lines), max(lengths), sum(lengths) / len(lines), alpha, alphanum


@settings(max_examples=400, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\n\n\r ab1é漢²Ⅷ")))
def test_against_naive(text: str) -> None:
    found = stats(text.encode())
    expected = naive(text)
    assert (found.num_lines, found.max_line_length) == expected[:2]
    assert (found.avg_line_length, found.alpha_fraction, found.alphanum_fraction) == pytest.approx(expected[2:])


def test_columns() -> None:
    block = Measure()(pa.record_batch({"content": ["ab\ncdé1\n", ""]}))
    assert block.to_pylist()[0] == {
        "content": "ab\ncdé1\n",
        "num_lines": 2,
        "max_line_length": 4,
        "avg_line_length": 3.0,
        "alpha_fraction": 0.625,
        "alphanum_fraction": 0.75,
    }
    assert block.to_pylist()[1]["num_lines"] == 0
