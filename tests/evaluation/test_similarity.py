"""Edit similarity beside rapidfuzz, identifiers beside pygments' lexers."""

import random

import pytest
from pygments.lexers import get_lexer_by_name
from pygments.token import Name, Token

from starmill.evaluation.similarity import edit_similarity, identifier_f1, identifiers

TEXTS = {
    "python": "for row in self.rows:  # a remark about nothing\n    total += row.size('a \\' text', key=lambda x: x[0])\n",
    "java": 'String name = rows.get(key /* not this */, 7).toString() + "a text"; // nor this\n',
    "typescript": "const found = rows.map((row) => row.size ?? 'none');\n",
    "csharp": 'var found = rows.Select(row => row.Size).Where(size => size > 1.5) ?? "none";\n',
}


def test_edit_similarity_is_rapidfuzz_ratio() -> None:
    fuzz = pytest.importorskip("rapidfuzz.fuzz", reason="NOT RUN: no rapidfuzz")
    draw = random.Random(0)
    for _ in range(300):
        one, other = ("".join(draw.choices("ab\u00e9 (", k=draw.randint(0, 90))) for _ in range(2))
        assert edit_similarity(one, other) == pytest.approx(fuzz.ratio(one, other) / 100)
    assert edit_similarity("", "") == 1.0 and edit_similarity("a" * 5000, "b" * 5000) == 0.0


@pytest.mark.parametrize("language", TEXTS)
def test_identifiers_are_the_names_of_a_lexer(language: str) -> None:
    tokens = get_lexer_by_name(language).get_tokens(TEXTS[language])
    # Types such as String are keywords to some lexers, and words of `lambda` names to none.
    names = {text for kind, text in tokens if kind in Name or (kind in Token.Keyword.Type and text[0].isupper())}
    assert identifiers(TEXTS[language], language) == {name for name in names if name.isidentifier()}


def test_f1() -> None:
    assert identifier_f1(set(), set()) == 1.0 and identifier_f1({"a"}, set()) == 0.0 and identifier_f1({"a"}, {"a"}) == 1.0
