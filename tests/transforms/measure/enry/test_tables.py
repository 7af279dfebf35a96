"""The list of languages is that of linguist's tables, and holds whatever the classifier and the filters say."""

import json

from starmill.core.names import languages
from starmill.transforms.decide.quality import Quality
from starmill.transforms.measure.enry.tables import TABLE
from starmill.transforms.measure.language import classify


def test_the_list_is_that_of_the_tables() -> None:
    assert tuple(json.loads(TABLE.read_text("utf-8"))["names"]) == languages(), (
        "run python -m starmill.transforms.measure.enry.tables"
    )


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
