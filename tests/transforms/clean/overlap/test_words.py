"""The words of docstrings: what they weigh, and which pairs are looked up."""

from starmill.transforms.clean.overlap import words


def test_what_many_docstrings_say_weighs_little() -> None:
    often = words.common([f"Write a function number{n}" for n in range(9)])
    assert often == {b"write", b"a", b"function"}
    row = words.row("Write a kumquat", often)
    assert row["symbols"] == b"write a kumquat" and row["weights"][0] < row["weights"][2] / 3


def test_a_docstring_of_common_words_has_no_pair() -> None:
    said = [words.row(text, frozenset()) for text in ("return the self of def", "kumquats ripen slowly in orchards")]
    (table, _), units = words.tables(said, 10, 0.7)
    assert {*table[5].tolist()} == {1} and units[3].tolist() == [5, 5]
