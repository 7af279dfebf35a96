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
    assert [int(retold.hash_of(data, forms.kinds()[1], a, b)) for a, b in spans] == [*map(words.hashed, words.spelled(text))]
