"""The process in which tree-sitter looks for comments: a grammar is C code that others wrote, and one that crashes ends this process alone.

It is asked over a socket (core/messages.py) for the characters of comments in some texts, answers a message a text, and ends with its
parent. What a comment is, the grammar tells: its nodes of a kind such as `comment`, `line_comment`, `documentation_comment`.
"""

import functools
import inspect
import re
from collections.abc import Callable

from tree_sitter import Language, Parser, Query, QueryCursor

from starmill.core import parsing

COMMENT = re.compile("(?!keyword_)(?:[a-z]+_)?comment")
QUOTES = re.compile("(?i:[rbuf]*)(\"\"\"|'''|\"|')")
# A docstring is a string that comes first in a module, a class or a function.
DOCSTRINGS = """
(module . (comment)* . (string) @text)
(function_definition body: (block . (string) @text))
(class_definition body: (block . (string) @text))
"""


def comment_chars(parser: Parser, text: bytes) -> int:
    """Return the characters of comments; in Python those of docstrings too, and without the marks and the indentation.

    >>> import tree_sitter_language_pack
    >>> of = lambda grammar, text: comment_chars(Parser(tree_sitter_language_pack.get_language(grammar)), text)
    >>> of("java", b"int a; // one\\n/* two */"), of("python", b'def f():\\n    "one"\\n    return 1  # two')
    (15, 8)
    """
    language = parser.language
    assert language is not None
    prose = language.name == "python"
    query = _query(language, prose)
    if query is None:
        return 0
    end, found = 0, {"comment": list[str](), "text": list[str]()}
    for name, node in sorted(
        ((name, node) for name, nodes in QueryCursor(query).captures(parser.parse(text).root_node).items() for node in nodes),
        key=lambda pair: (pair[1].start_byte, -pair[1].end_byte),
    ):
        if node.end_byte > end:  # else it lies in the one before it
            found[name].append(text[max(node.start_byte, end) : node.end_byte].decode("utf-8", "replace"))
            end = node.end_byte
    if not prose:
        return sum(map(len, found["comment"]))
    docstrings = "\n".join(filter(None, map(_docstring, found["text"])))
    return len(f"{docstrings}\n{''.join(found['comment']).replace('#', '')}".strip())


def _docstring(part: str) -> str:
    """Return a docstring without its quotes and its indentation."""
    marks = QUOTES.match(part)
    return inspect.cleandoc(part[marks.end() : -len(marks[1])]) if marks else part


@functools.cache
def _query(language: Language, prose: bool) -> Query | None:
    numbers = range(language.node_kind_count)
    visible = (n for n in numbers if language.node_kind_is_named(n) and language.node_kind_is_visible(n))
    kinds = sorted({kind for n in visible if (kind := language.node_kind_for_id(n)) and COMMENT.fullmatch(kind)})
    patterns = [f"({kind}) @comment" for kind in kinds] + [DOCSTRINGS] * prose
    return Query(language, "\n".join(patterns)) if patterns else None


def answer(parser_of: Callable[[str], Parser], grammar: str, text: str) -> int:
    """Return the characters of comments in a text."""
    return comment_chars(parser_of(grammar), text.encode())


if __name__ == "__main__":
    parsing.serve(answer)
