"""A chain that reads what nothing gives is refused, and the message says how to mend it."""

import pytest

from starmill.core.errors import UsageError
from starmill.transforms.chain import annotated, check_chain
from starmill.transforms.decide.quality import Alpha, DataLines
from starmill.transforms.measure.html import VisibleText
from starmill.transforms.measure.language import DetectLanguage
from starmill.transforms.measure.text import Text

FILE = ("repo_name", "path", "content")


def test_what_a_step_adds_is_there_for_the_next() -> None:
    check_chain([DetectLanguage(), Text(), VisibleText(), Alpha(), DataLines()], FILE)


@pytest.mark.parametrize(
    ("steps", "columns", "message"),
    [
        ([Text(), Alpha()], FILE, "step alpha reads language, which nothing before it adds; the nearest there is"),
        ([VisibleText(), DetectLanguage()], FILE, "step visible_text reads language, .*; put it after step language"),
        ([Text()], ("contents",), "step text reads content, .*; the nearest there is contents"),
        ([Text()], (), "step text reads content, .*; there is none"),
    ],
)
def test_refused(steps: list, columns: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_chain(steps, columns)


def test_fields_are_those_of_the_schema() -> None:
    assert annotated("num_lines", "language").names == ["num_lines", "language"]
    with pytest.raises(KeyError):
        annotated("num_line")
