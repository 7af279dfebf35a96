"""The process in which functions are found: a grammar is C code that others wrote, and one that crashes ends this process alone.

It is asked over a socket (core/messages.py) for the functions of some texts, answers a message a text, and ends with its parent.
"""

from collections.abc import Callable
from typing import Any

from tree_sitter import Parser

from starmill.core import parsing
from starmill.pipelines.sources.functions.extract import functions
from starmill.pipelines.sources.functions.languages import LANGUAGES


def answer(parser_of: Callable[[str], Parser], language: str, text: str) -> list[dict[str, Any]]:
    """Return the functions of a text."""
    data = text.encode()
    return functions(parser_of(LANGUAGES[language].grammar).parse(data).root_node, data, language)


if __name__ == "__main__":
    parsing.serve(answer)
