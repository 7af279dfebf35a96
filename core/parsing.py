"""Processes that parse: grammars are C code that others wrote, and some crash. One is started on first use, and again where it died.

A child is a module that answers a message a text over a socket (core/messages.py), as measure/syntax_child.py and functions/child.py are.
"""

import functools
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from starmill.core import messages
from starmill.core.errors import MachineError, one_line
from starmill.core.process import CRASHES

LIBRARIES = ("tree_sitter", "tree_sitter_language_pack")
BATCH = 1 << 18  # characters of one request: its answers fit into a socket's buffer, so that neither side waits for the other
REPEATS, SLICE, DISTINCT = (
    4096,
    16,
    0.05,
)  # from so many bytes on fewer than this share of aligned slices differ: the text repeats itself
ORPHAN_SECONDS = 3600  # after which a child ends that a grammar holds fast, and whose parent may be gone
own = threading.local()
Asked = tuple[Any, ...]  # what is asked of one text, which is the second value


def repeats(text: bytes) -> bool:
    """Say whether a text is mostly a few pieces over and over.

    >>> repeats(b"{" * 5000), repeats(b"x = 1\\n" * 1000), repeats(b"".join(b"x = %d\\n" % n for n in range(1000)))
    (True, True, False)
    """
    slices = {text[at : at + SLICE] for at in range(0, len(text), SLICE)}
    return len(text) >= REPEATS and len(slices) < DISTINCT * len(text) / SLICE


class _Died(Exception):
    """The child died after some answers; `status` is how."""

    def __init__(self, answers: list[Any], status: int) -> None:
        super().__init__(f"the process that parses ended with status {status}")
        self.answers, self.status = answers, status


class _Child:
    """A process that parses. It ends when nobody holds the other end of its socket."""

    def __init__(self, module: str) -> None:
        ours, its = socket.socketpair()
        with its:
            command = [sys.executable, "-m", module, str(its.fileno())]
            quiet = subprocess.DEVNULL
            self.process = subprocess.Popen(command, pass_fds=[its.fileno()], stdin=quiet, stdout=quiet, stderr=quiet)
        self._socket = ours

    def ask(self, asked: Sequence[Asked]) -> list[Any]:
        """Return the answers. Raises _Died with those that came before."""
        answers: list[Any] = []
        try:
            messages.send(self._socket, asked)
            while len(answers) < len(asked):
                answers.append(messages.receive(self._socket))
        except (EOFError, ConnectionError):
            self._socket.close()
            raise _Died(answers, self.process.wait()) from None
        return answers


def refuse_without_grammars(section: str) -> None:
    """Raise MachineError where the grammars are not installed; `section` of the recipe asks for them."""
    if missing := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
        raise MachineError(
            f"{section}: {missing[0]} is not installed: pip install 'starmill[syntax]', or leave the section out"
        )


def answers(module: str, section: str, asked: Sequence[Asked]) -> list[Any]:
    """Return what the child `module` says of each text; None where a grammar crashes on it.

    Raises MachineError, which names the `section` of the recipe, for a process that does not start, or that something outside ends, twice.
    """
    found: list[Any] = []
    for batch in _batches(asked):
        found += _answers(module, section, batch)
    return found


def serve(answer: Callable[..., Any]) -> None:
    """Be a child, whose first argument is its socket: answer until the other side ends.

    `answer` gets a function that returns the parser of a grammar, made once, and what was asked of a text.
    """
    import tree_sitter_language_pack  # in the child alone
    from tree_sitter import Parser

    @functools.cache
    def parser_of(grammar: Any) -> Parser:
        return Parser(tree_sitter_language_pack.get_language(grammar))

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    asked = socket.socket(fileno=int(sys.argv[1]))
    while True:
        try:
            request = messages.receive(asked)
        except EOFError:
            return
        for one in request:
            signal.alarm(ORPHAN_SECONDS)
            messages.send(asked, answer(parser_of, *one))


def _batches(asked: Sequence[Asked]) -> Iterator[list[Asked]]:
    batch: list[Asked] = []
    size = 0
    for one in asked:
        if batch and size + len(one[1]) > BATCH:
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += len(one[1]) + 100
    if batch:
        yield batch


def _answers(module: str, section: str, batch: list[Asked]) -> list[Any]:
    found: list[Any] = []
    while len(found) < len(batch):
        try:
            found += _child(module, section).ask(batch[len(found) :])
        except _Died as first:
            own.children.clear()
            found += first.answers
            # It may have died of what came before: only a fresh one's death is about this text.
            try:
                found += _child(module, section).ask(batch[len(found) : len(found) + 1])
            except _Died as died:
                own.children.clear()
                if died.status not in CRASHES:
                    raise MachineError(
                        f"{section}: {died}, twice; see `{sys.executable} -m {module}`, and the memory that is left"
                    ) from None
                found.append(None)
    return found


def _child(module: str, section: str) -> _Child:
    """Return this thread's process: a forked process must not share its parent's."""
    known: dict[tuple[int, str], _Child] = own.__dict__.setdefault("children", {})
    if (os.getpid(), module) not in known:
        for other in [place for place in known if place[0] != os.getpid()]:
            del known[other]
        try:
            known[os.getpid(), module] = _Child(module)
        except OSError as error:
            raise MachineError(f"{section}: the process that parses does not start: {one_line(error)}") from None
    return known[os.getpid(), module]
