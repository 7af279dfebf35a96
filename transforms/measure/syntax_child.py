"""The process in which tree-sitter parses: a grammar is C code that others wrote, and one that crashes ends this process alone.

It is asked over a socket (core/messages.py) for the share of errors in some texts, answers a message a text, and ends with its parent.
"""

from collections.abc import Callable

from tree_sitter import Parser

from starmill.core import parsing


def error_fraction(parser: Parser, text: bytes, cut: bool = False) -> float:
    """Return the bytes that lie in outermost ERROR nodes, of all bytes; a MISSING node counts as one byte.

    Only what has an error inside is looked into, so that a sound file costs its parse. Of the beginning of a text (`cut`) an error that
    reaches its end is the cut's, as an open bracket is: what lies inside counts, and it itself does not.

    >>> import tree_sitter_language_pack
    >>> python = Parser(tree_sitter_language_pack.get_language("python"))
    >>> [error_fraction(python, text) for text in (b"x = 1", b"x = $$ 1", b"")]
    [0.0, 0.25, 0.0]
    >>> [error_fraction(python, b"x = {'a': 1,\\n'b': [\\n", cut) for cut in (False, True)]
    [0.95, 0.0]
    """
    ahead, wrong, end = [parser.parse(text).root_node], 0, len(text.rstrip()) if cut else len(text) + 1
    while ahead:
        node = ahead.pop()
        of_the_cut = node.end_byte >= end
        if node.is_error and not of_the_cut:
            wrong += node.end_byte - node.start_byte
        elif node.is_missing:
            wrong += not of_the_cut
        elif node.has_error:
            ahead += node.children
    return min(1.0, wrong / max(1, len(text)))


def answer(parser_of: Callable[[str], Parser], grammar: str, text: str, cut: bool) -> float:
    """Return the share of errors in a text."""
    return error_fraction(parser_of(grammar), text.encode(), cut)


if __name__ == "__main__":
    parsing.serve(answer)
