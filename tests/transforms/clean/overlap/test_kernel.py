"""The compiled normal forms against those in Python, on texts of all that either treats apart."""

import numpy as np
import pyarrow as pa
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tedious_texts import texts

from starmill.transforms.buffers import text_buffers
from starmill.transforms.clean.overlap import forms, kernel

PIECES = st.sampled_from(
    [
        *r"a B 9 _ \ \\ \n \u00e9 \u00 \ud83d\ude00 \ud83d u n é É 漢 😀 ς Σ ab12 ,".split(),
        *(" ", "\n", "\r\n", "\0", '"', "\u00a0", "\u2003", "\u200b", "\x1c", "\x85", "\u212a", "\u0130"),
    ]
)


def spread(text: str) -> tuple[bytes, bytes]:
    data, offsets = text_buffers(pa.array([text]))
    buffers = [np.full(2 * len(data) + 2 * forms.ROUND, 7, np.uint8) for _ in range(2)]
    counts = kernel.spread(data, offsets[0], offsets[1], *forms.kinds(), forms.lowers(), *buffers)
    for made, count in zip(buffers, counts, strict=True):
        assert not made[count : count + forms.ROUND].any()
    plain, bare = (made[:count].tobytes() for made, count in zip(buffers, counts, strict=True))
    return plain, bare


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.one_of(st.lists(PIECES).map("".join), st.text(st.characters(exclude_categories=["Cs"]))))
@example("\\u212a\\")
@example("\\u004")
def test_the_compiled_forms_are_those_of_python(text: str) -> None:
    assert spread(text) == (forms.squashed(text)[0], forms.letters(text)[0])


def test_tedious_texts() -> None:
    for name, text in texts(2000):
        assert spread(text) == (forms.squashed(text)[0], forms.letters(text)[0]), name
