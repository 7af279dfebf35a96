"""What the child counts: nodes that are comments by their kind, each character once; in Python what a person wrote alone."""

import pytest
import tree_sitter_language_pack
from tree_sitter import Parser

from starmill.transforms.measure.comments_child import COMMENT, comment_chars


@pytest.mark.parametrize(
    ("grammar", "text", "chars"),
    [
        ("rust", "/// é\nfn a() {}", 6),  # and the doc_comment within it is no second one
        ("lua", "--[[ a ]] x = 1", 9),
        ("python", "#!x\n# a\nx = 1", 4),
        ("python", 'class A:\n    r"""One.\n\n    Two."""\n', 10),
        ("python", 'def f():\n    x = 1\n    "no docstring"\n', 0),
        ("python", 'def f(:\n  """broken"""\n# a', 9),  # what is broken is read on
        ("xml", "<a/>", 0),
        ("c", "", 0),
    ],
)
def test_characters(grammar: str, text: str, chars: int) -> None:
    assert comment_chars(Parser(tree_sitter_language_pack.get_language(grammar)), text.encode()) == chars  # type: ignore[arg-type]


def test_kinds() -> None:
    named = ("comment", "line_comment", "documentation_comment", "keyword_comment", "comment_content", "comment_statement")
    assert [bool(COMMENT.fullmatch(kind)) for kind in named] == [True] * 3 + [False] * 3
