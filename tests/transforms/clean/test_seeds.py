"""Both sides of each of StarCoder2-Instruct's static filters."""

from typing import Any

import pyarrow as pa
import pytest

from starmill.transforms.clean.seeds import Seeds

DOC = '"""It is x."""'


def decided(text: str, language: str = "Python", marks: tuple[tuple[str, str | None], ...] = (), **options: Any) -> str | None:
    at = text.find(DOC)
    said = [{"role": "documentation", "name": None, "start": at, "end": at + len(DOC)}] if at >= 0 else []
    segments = said + [{"role": role, "name": name, "start": 0, "end": 0} for role, name in marks]
    split = Seeds(**options)(pa.record_batch({"content": [text], "language": [language], "segments": [segments]}))
    return split.reasons[0] if split.reasons else None


def function(body: str = "return x", head: str = "") -> str:
    return f"{head}def f(x):\n    {DOC}\n    {body}\n"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (function(), None),
        (function("return x  # ToDo"), "unfinished_word"),
        (function("return debug(x)"), "unfinished_word"),
        (function(head="import sys\n"), "unwanted_import"),
        (function(head="from os.path import join\n"), "unwanted_import"),
        (function(head="import ossaudiodev\n"), "unwanted_import"),
        (function(head="import re\n"), None),
        (function("\n    ".join(["x += 1"] * 148)), None),
        (function("\n    ".join(["x += 1"] * 149)), "too_many_lines"),
        (function().replace('"""', "'''"), "docstring_quotes"),
    ],
)
def test_a_text(text: str, reason: str | None) -> None:
    assert decided(text) == reason


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        (("parameters", "0"), "no_parameters"),
        (("parameters", "1"), None),
        (("needs", "helper"), "needs_its_file"),
        (("own_import", "from . import a"), "imports_its_program"),
        (("license", "MIT"), None),
    ],
)
def test_a_mark(mark: tuple[str, str], reason: str | None) -> None:
    assert decided(function(), marks=(mark,)) == reason


def test_options() -> None:
    assert decided(function("return debug(x)"), whole_words=True) is None
    assert decided(function("return x  # bug."), whole_words=True) == "unfinished_word"
    assert decided(function(head="import ossaudiodev\n"), whole_words=True) is None
    assert decided(function(head="import os.path\n"), whole_words=True) == "unwanted_import"
    assert decided(function("return x  # TODO\n    import sys"), words=(), modules=()) is None
    assert decided(function(), max_lines=3) is None and decided(function(), max_lines=2) == "too_many_lines"
    assert decided(function(), marks=(("parameters", "0"),), no_parameters=True) is None
    assert decided(function().replace('"""', "'''"), any_quotes=True) is None
    assert decided(function().replace('"""', "'''"), "JavaScript") is None
    assert decided(function(), marks=(("needs", "a"), ("own_import", "b")), standalone=False) is None
