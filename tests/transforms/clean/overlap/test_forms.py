"""The normal forms against what they are said to be, and against the compiled ones."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.transforms.clean.overlap import forms

TEXTS = st.text(
    st.one_of(st.sampled_from('aBz09 _-"\\nrtu\n\t\u00a0\u200bÉ漢😀ΣςİK#/'), st.characters(exclude_categories=["Cs"]))
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(TEXTS)
def test_squashed_is_lower_case_without_white_space(text: str) -> None:
    made, places = forms.squashed(text)
    assert len(made) == len(places) and places == sorted(places)
    if text.isascii():
        assert made.decode() == "".join(text.lower().split())
    assert made == forms.squashed(f" \n{text}\u3000")[0] == forms.squashed("\u00a0".join(text))[0]


PIECES = st.sampled_from([*r"\n \u00e9 \u 00e9 \ud83d\ude00 \\ \t \r n u t 00e9 def abc X é 漢 Ⓐ _ ( =".split(), " ", "\n"])


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join), TEXTS, st.integers(0, 40), st.integers(0, 40))
def test_a_core_is_in_the_letters_of_every_text_that_has_the_symbols(text: str, more: str, first: int, length: int) -> None:
    for part in (text[first : first + length], text, more):
        symbols = forms.squashed(part)[0]
        core, places = forms.core(symbols)
        assert core in forms.letters(text + more)[0]
        assert bytes(symbols[place] for place in places) == core


@settings(derandomize=True, max_examples=300, deadline=None)
@given(TEXTS)
def test_letters_are_the_same_in_json_and_behind_comments(text: str) -> None:
    made, places = forms.letters(text)
    assert len(made) == len(places) and places == sorted(places)
    for kind in (False, True):
        # As a value, and as a value in a value. Control characters that JSON writes as \b, \f or a number are letters of their own.
        if not any(ord(c) < 32 and c not in "\n\r\t" for c in text):
            once = json.dumps(text, ensure_ascii=kind)
            assert forms.letters(once)[0] == made
    lines = text.split("\n")
    assert made == forms.letters("\n// ".join(lines))[0] == forms.letters("\r\n  ; ".join(lines))[0]


@pytest.mark.parametrize(
    ("text", "letters"),
    [
        ("x_1 = F(2)", b"x1f2"),
        (r"a\n b\\t c\\\r d\q e", b"abcdqe"),
        (r"\u0041\u000a\u00e9", b"a" + bytes((0xFF, 0, 0, 0xE9))),
        (r"\ud83d\ude00x\ud83dy\u12", b"xyu12"),
        ("\u200b\u2014\u201cquoted\u201d", b"quoted"),
        ("\\" * 9, b""),
    ],
)
def test_letters(text: str, letters: bytes) -> None:
    assert forms.letters(text)[0] == letters


def test_where_a_letter_stands() -> None:
    assert forms.letters("-a\\n É")[1] == [1, 5, 5, 5, 5]
    assert forms.squashed("-a\\n É")[1] == [0, 1, 2, 3, 5, 5, 5, 5]


def test_a_run_of_backslashes_takes_linear_time() -> None:
    assert forms.letters("\\" * 1_000_000 + "nx")[0] == b"x"
