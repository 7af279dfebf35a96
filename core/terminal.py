"""What is printed: every line goes through `say`, so that nothing from a dump, a workspace, a model or a recipe controls a terminal.

Escape sequences, carriage returns and marks that turn the direction of writing are shown as Python writes them (`\\x1b`).
Nobody's work depends on whether its messages are heard: what standard error does not take, on a full disk or after its reader has gone, is
left out. An answer on standard output that is lost is an error.
"""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from starmill.core.errors import MachineError, one_line

EVERY = 2.0  # seconds between two lines of progress


def escaped(text: str, keep: str = "") -> str:
    """Return a text with all characters that do not print escaped, but for those in `keep`.

    >>> print(escaped("a\\x1b[31m\\r\\u202eb"))
    a\\x1b[31m\\r\\u202eb
    """
    return text if text.isprintable() else "".join(c if c.isprintable() or c in keep else ascii(c)[1:-1] for c in text)


def say(*lines: str, to: TextIO | None = None, flush: bool = False) -> None:
    """Print lines, in one write, since several threads do: to `to`, or to standard output. Raises MachineError, BrokenPipeError."""
    if lines:
        with _answering():
            print("".join(f"{escaped(line)}\n" for line in lines), end="", file=to, flush=flush)


def seldom(quiet: bool = False) -> Callable[[str], None]:
    """Return what says a line of progress on stderr, and leaves out lines that come within EVERY seconds of the last one it said."""
    last = 0.0

    def tell(said: str) -> None:
        nonlocal last
        if not quiet and time.monotonic() - last >= EVERY:
            last = time.monotonic()
            say(said, to=sys.stderr)

    return tell


def flush() -> None:
    """Write what standard output holds back. Raises as `say`."""
    with _answering():
        sys.stdout.flush()


def say_text(text: str, to: TextIO | None = None) -> None:
    """Print a text of several lines, such as an error's, a traceback or a script."""
    say(*text.split("\n"), to=to)


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:  # who reads the output has enough of it, as `head` does
        raise
    except OSError as error:
        raise MachineError(f"the output cannot be written: {one_line(error)}; give it a file or device with room") from None


class Unheard:
    """A stream that leaves out what it cannot write: one of Beam's threads that failed to print would never answer its driver.

    >>> print("a line", file=Unheard(open("/dev/full", "w")), flush=True)
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or not; return the length of the text."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is held back, or not."""
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        """Return what the stream has."""
        return getattr(self._stream, name)


@contextmanager
def talking() -> Iterator[None]:
    """In the block standard error is Unheard, and a stream that is closed is the null device.

    Else the next file that is opened would have its number, and get what this process and its children print.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115  stays open
    before = sys.stderr
    sys.stderr = Unheard(before)
    try:
        yield
    finally:
        sys.stderr = before
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except OSError:  # what is left would be tried again at the very end, and change the exit status
                unheard(stream)


def unheard(stream: TextIO) -> None:
    """Let what is still written to a stream go nowhere: whoever read it has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


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


def tell_damage(place: str, why: str) -> None:
    """Say in one line, once in a process, that a file is damaged."""
    if place not in _TOLD:
        _TOLD.add(place)
        say(f"{place}: damaged ({why}); it counts as absent, and a run makes it again", to=sys.stderr)


_TOLD: set[str] = set()
