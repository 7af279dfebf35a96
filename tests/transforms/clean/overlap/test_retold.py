"""The compiled words of a text against a regular expression's, and their hashes against Python's."""

import numpy as np
import pytest

from starmill.transforms.clean.overlap import forms, retold, words


@pytest.mark.parametrize("text", ["", "Two lists, snake_case x2", "é漢 end", " a", r"s ss S"])
def test_words_and_hashes_are_those_of_python(text: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    edges = np.zeros(len(data) + 2, np.int64)
    count = retold.edges_of(data, 0, len(data), words.within(), edges)
    spans = [(int(edges[2 * k]), int(edges[2 * k + 1])) for k in range(count)]
    assert [data[a:b].tobytes().lower() for a, b in spans] == words.spelled(text)
    assert [int(retold.hash_of(data, forms.kinds()[1], 0, a, b)) for a, b in spans] == [*map(words.hashed, words.spelled(text))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one two three", ""),
        ("one two three four. five", "one two three four"),
        ("a = one two three four five\nsix  seven eight nine", "one two three four five"),
        ("x.one two three four\tone two three four_5 six", "one two three four one two three four_5 six"),
    ],
)
def test_prose_is_words_with_one_space_between_two(text: str, said: str) -> None:
    data = np.frombuffer(text.encode(), np.uint8)
    edges, prose = np.zeros(len(data) + 2, np.int64), np.zeros(len(data), np.int64)
    found = prose[: retold.prose_of(data, edges, retold.edges_of(data, 0, len(data), words.within(), edges), prose)]
    assert [data[edges[2 * k] : edges[2 * k + 1]].tobytes().decode() for k in found] == said.split()


def test_a_word_is_no_matter_of_what_lies_before_its_text() -> None:
    data = np.frombuffer(b"\\names", np.uint8)
    lower = forms.kinds()[1]
    assert int(retold.hash_of(data, lower, 1, 1, 6)) == words.hashed(b"names")
    assert int(retold.hash_of(data, lower, 0, 1, 6)) == words.hashed(b"ames")
