"""The list of languages is that of the pinned module, and holds whatever the classifier and the filters say."""

import pytest

from starmill.core.names import languages
from starmill.transforms.decide.quality import Quality
from starmill.transforms.measure.enry import names
from starmill.transforms.measure.language import classify


def test_the_list_is_that_of_the_pinned_module() -> None:
    data = names.module_data()
    if data is None:
        pytest.skip("the library was not built with Go here")
    found = tuple(names.names(data))
    assert found == languages(), "run python -m starmill.transforms.measure.enry.names"
    assert len(found) == data.read_text().count('":')


def test_the_classifier_gives_names_of_the_list() -> None:
    files = (
        "a.py",
        "a.cs",
        "a.h",
        "ls.1",
        "go.mod",
        "pom.xml",
        "a.ipynb",
        "a.vb",
        "a.m",
        "CMakeLists.txt",
        "a.tsx",
        "a.wat",
        "a.X68",
    )
    for file in files:
        assert classify(file, b"x")[0] in {None, *languages()}, file


def test_defaults_of_the_filters_are_languages() -> None:
    quality = Quality()
    named = [*quality.long_lines.data_languages, *quality.alpha.alphanum_languages, *quality.data_lines.languages]
    assert named and set(named) <= set(languages())
