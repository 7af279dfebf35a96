"""Where a completion's block of code ends: a rule over indentation, for Python and for languages with brackets.

A block follows its definition, the line above it. The block begins with the first line that is indented deeper than the definition, and
ends before the next line that is not; a line that closes a bracket, or says `end`, is the block's last one. Text inside a triple-quoted
string ends no block, and code without indentation has none.
"""

import re

CLOSING = re.compile(r"\s*([)\]}]|end\b)")
OPENING = re.compile(r"[:{(\[]\s*(#.*|//.*)?$")
BLANKS = re.compile(r"\n(?:[ \t\r\f]*\n)+([ \t]*)$")


def block_end(prompt: str, text: str, finished: bool = False) -> int | None:
    r"""Return how many characters of `text`, which follows `prompt`, belong to the block; None if the block goes on.

    A line counts once its line end is there, or once `text` is `finished`.

    >>> text = "\n    return len(numbers)\n\nprint(1)\n"
    >>> text[:block_end("def count(numbers):", text)]
    '\n    return len(numbers)\n\n'
    >>> block_end("def count(numbers):", "\n    return 1\n") is None
    True
    """
    above, below = prompt.rstrip(), prompt[len(prompt.rstrip()) :] + text
    base, begun = _definition(above)
    before = len(below) - len(text)  # characters of line ends and indentation at the prompt's end
    first, *lines = below.split("\n")
    start, quotes = len(first) + 1, _quotes(above) + _quotes(first)
    for number, line in enumerate(lines, 1):
        if number == len(lines) and not finished:
            return None
        after = start + len(line) + 1
        if line.strip() and quotes % 2 == 0:
            if _indent(line) > base:
                begun = True
            elif begun and not CLOSING.match(line):
                return max(start - before, 0)
            elif begun and not OPENING.search(line):
                return min(after, len(below)) - before
            else:  # `) -> int:` and `} else {` go on with the same definition
                begun = False
        quotes += _quotes(line)
        start = after
    return None


def without_blank_end(text: str) -> str:
    r"""Return the text with one line end where it ended with several; the indentation after them stays.

    >>> without_blank_end("    return 1\n\n \n    ")
    '    return 1\n    '
    """
    return BLANKS.sub(r"\n\1", text)


def _definition(above: str) -> tuple[int, bool]:
    """Return the indentation of the definition that the text after `above` belongs to, and whether its block has begun."""
    lines = [line for line in above.split("\n") if line.strip()]
    if not lines or OPENING.search(lines[-1]):
        return (_indent(lines[-1]) if lines else 0), False
    here = _indent(lines[-1])
    outer = next((_indent(line) for line in reversed(lines) if _indent(line) < here), None)
    return (here, False) if outer is None else (outer, True)


def _indent(line: str) -> int:
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def _quotes(line: str) -> int:
    return line.count('"""') + line.count("'''")
