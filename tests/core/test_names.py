"""The list of languages, and the nearest name."""

from starmill.core import names


def test_languages_are_sorted_and_there_once() -> None:
    found = names.languages()
    assert list(found) == sorted(set(found)) and {"C", "C#", "Motorola 68K Assembly", "Python"} <= set(found)


def test_far_names_are_not_suggested() -> None:
    assert names.did_you_mean("PYTHON", ["Python", "C"]) == "; did you mean 'Python'?"
    assert names.did_you_mean("zzzz", ["Python", "C"]) == ""
