"""The process answers a text a message, also of what crashes a grammar or is not closed."""

from starmill.core.parsing import answers
from starmill.pipelines.sources.functions import child
from starmill.pipelines.sources.functions.languages import LANGUAGES


def test_every_language_answers_any_text() -> None:
    texts = ["", "\x00", "((((", "/** ", "def f(", '"""', "é" * 50, "\ud7ff\U0001f600 = 1"]
    asked = [(language, text) for language in LANGUAGES for text in texts]
    found = answers(child.__name__, "sources", asked)
    assert len(found) == len(asked) and all(isinstance(f["name"], str) for one in found for f in one)


def test_characters_are_counted_and_not_bytes() -> None:
    text = '# ä😀\ndef f(ä):\n    """Über 😀."""\n    return ä\n'
    [[f]] = answers(child.__name__, "sources", [("Python", text)])
    assert f["text"][slice(*f["documentation"])] == '"""Über 😀."""' and f["first"] == 2
