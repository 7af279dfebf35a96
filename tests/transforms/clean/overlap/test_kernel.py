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


def compiled(text: str) -> tuple[bytes, bytes]:
    data, offsets = text_buffers(pa.array([text]))
    made = []
    for form, *tables in ((kernel.squash, *forms.kinds()), (kernel.letters, forms.folded())):
        room = np.full(2 * len(data) + 2 * forms.ROUND, 7, np.uint8)
        count = form(data, offsets[0], offsets[1], *tables, forms.lowers(), room)
        assert not room[count : count + forms.ROUND].any()
        made.append(room[:count].tobytes())
    return made[0], made[1]


@settings(derandomize=True, max_examples=400, deadline=None)
@given(st.one_of(st.lists(PIECES).map("".join), st.text(st.characters(exclude_categories=["Cs"]))))
@example("\\u212a\\")
@example("\\u004")
def test_the_compiled_forms_are_those_of_python(text: str) -> None:
    assert compiled(text) == (forms.squashed(text)[0], forms.letters(text)[0])


def test_tedious_texts() -> None:
    for name, text in texts(2000):
        assert compiled(text) == (forms.squashed(text)[0], forms.letters(text)[0]), name
