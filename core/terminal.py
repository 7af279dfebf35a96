"""What is printed: every line goes through `say`, so that nothing from a dump, a workspace, a model or a recipe controls a terminal.

Escape sequences, carriage returns and marks that turn the direction of writing are shown as Python writes them (`\\x1b`).
"""

import logging
import sys
from typing import TextIO


def escaped(text: str, keep: str = "") -> str:
    """Return a text with all characters that do not print escaped, but for those in `keep`.

    >>> print(escaped("a\\x1b[31m\\r\\u202eb"))
    a\\x1b[31m\\r\\u202eb
    """
    return text if text.isprintable() else "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def say(*lines: str, to: TextIO | None = None, flush: bool = False) -> None:
    """Print lines, in one write, since several threads do: to `to`, or to standard output."""
    if lines:
        print("".join(f"{escaped(line)}\n" for line in lines), end="", file=to, flush=flush)


def say_text(text: str, to: TextIO | None = None) -> None:
    """Print a text of several lines, such as an error's, a traceback or a script."""
    say(*text.split("\n"), to=to)


class Escaping(logging.Formatter):
    """Writes log records with what does not print escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's text."""
        return escaped(super().format(record), keep="\n")


def log_errors() -> None:
    """Print the errors that libraries log to standard error; their warnings are about what nobody asked for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Escaping(logging.BASIC_FORMAT))
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
