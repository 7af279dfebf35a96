"""Squashing is data-portraits' four substitutions, on any text; each byte knows where it stood."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.transforms.attribution.squash import Squashed

# All white space that Python knows, what looks like it and is none, and letters of one to four bytes.
LETTERS = "ab\n\r\t \v\f\x1c\x1f\x85\xa0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000" + "\u200b\u180e\u0084é漢ⁿ😀"


def reference(text: str) -> str:
    text = re.sub(r"[\r\n]+", "\n", text)
    text = re.sub(r"[^\S\n]+", " ", text)
    return re.sub(r"\n\s", "\n", text).strip()


def test_all_white_space_is_tried_and_what_begins_as_it_does() -> None:
    near = (*range(0x100), *range(0x1670, 0x1690), *range(0x2000, 0x2070), *range(0x2FF0, 0x3010))
    assert {c for c in range(0x110000) if chr(c).isspace()} <= {*near}
    text = "".join(f"{chr(c)}{chr(c)}{chr(c - 1)}b" for c in near if c)
    assert bytes(Squashed.of(text).data).decode() == reference(text)


@settings(deadline=None, max_examples=60)
@given(st.text(LETTERS, max_size=40))
def test_it_is_the_four_substitutions(text: str) -> None:
    squashed = Squashed.of(text)
    assert bytes(squashed.data).decode() == reference(text)
    assert squashed.characters == len(reference(text))


@settings(deadline=None, max_examples=60)
@given(st.text(LETTERS, min_size=1, max_size=40), st.data())
def test_a_span_is_what_its_bytes_were_made_of(text: str, data: st.DataObject) -> None:
    squashed = Squashed.of(text)
    if squashed.characters:
        first = data.draw(st.integers(0, squashed.characters - 1))
        last = data.draw(st.integers(first + 1, squashed.characters))
        start, end = (int(squashed.starts[i]) for i in (first, last))
        a, b = squashed.characters_of(start, end)
        inside = bytes(squashed.data[start:end]).decode().strip()
        # A line of white space leaves two ends of lines, which the substitutions, done again, would make one.
        once, again = (re.sub(r"\n+", "\n", reference(some)) for some in (text[a:b], inside))
        assert once == again and 0 <= a < b <= len(text)


def test_a_lone_surrogate_is_a_question_mark_and_counts_as_one() -> None:
    squashed = Squashed.of("a\ud800b" * 30)
    assert bytes(squashed.data[:3]) == b"a?b" and squashed.characters_of(0, 90) == (0, 90)
