"""How much of a file does not follow its language's grammar: the share of bytes in error nodes of a tree-sitter parse.

A signal that other sets of 2026 have only as a yes or no of one language (SwallowCode: whether Python compiles). Nothing is decided here:
curate.signals and mix.weights hold thresholds against the column. No limit is one of time, since the answer must be the same on every
machine: a file above `max_bytes` is not parsed, and neither is one that repeats itself, over which nearly every grammar takes quadratic
time. What is left (noise that is made to be slow) is the watcher's (core/watch.py). Grammars run in a process of their own
(syntax_child.py), started on first use, since some crash.
"""

import importlib.util
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from starmill.core import messages
from starmill.core.errors import MachineError, one_line
from starmill.core.names import AtLeast1
from starmill.core.process import CRASHES
from starmill.transforms.chain import annotated
from starmill.transforms.step import append

CHILD = "starmill.transforms.measure.syntax_child"  # named here, and never imported
LIBRARIES = ("tree_sitter", "tree_sitter_language_pack")
REPEATS, SLICE, DISTINCT = (
    4096,
    16,
    0.05,
)  # from so many bytes on fewer than this share of aligned slices differ: the text repeats itself
BATCH = 1 << 18  # characters of one request: its answers fit into a socket's buffer, so that neither side waits for the other

# The grammar of a language, by linguist's name. Markdown's is left out: it knows no error.
GRAMMARS = {
    "C": "c",
    "C#": "csharp",
    "C++": "cpp",
    "CSS": "css",
    "Dart": "dart",
    "Elixir": "elixir",
    "Go": "go",
    "Groovy": "groovy",
    "HTML": "html",
    "Haskell": "haskell",
    "JSON": "json",
    "Java": "java",
    "JavaScript": "javascript",
    "Julia": "julia",
    "Kotlin": "kotlin",
    "Lua": "lua",
    "Makefile": "make",
    "Objective-C": "objc",
    "PHP": "php",
    "Perl": "perl",
    "PowerShell": "powershell",
    "Python": "python",
    "R": "r",
    "Ruby": "ruby",
    "Rust": "rust",
    "SCSS": "scss",
    "SQL": "sql",
    "Scala": "scala",
    "Shell": "bash",
    "Swift": "swift",
    "TSX": "tsx",
    "TypeScript": "typescript",
    "Vue": "vue",
    "XML": "xml",
    "YAML": "yaml",
}
_own = threading.local()
Asked = tuple[str, str, bool]  # a grammar and a text, and whether more of it follows


@dataclass(frozen=True)
class Syntax:
    """Annotates syntax_error_fraction; null without a grammar of the language, above `max_bytes`, for what repeats
    itself, and where a grammar crashes on the text. With `first_bytes` the share is that of a file's first lines, whatever its size: some
    times as fast, and blind to what comes later.

    >>> block = pa.record_batch({"language": ["Python", "Python", "Text"], "content": ["x = 1", "x = $$ 1", "x = $$ 1"]})
    >>> Syntax()(block).column("syntax_error_fraction").to_pylist()
    [0.0, 0.25, None]
    """

    reads: ClassVar[tuple[str, ...]] = ("language", "content")
    adds: ClassVar[pa.Schema] = annotated("syntax_error_fraction")

    max_bytes: AtLeast1 = 1 << 17  # of UTF-8; a larger file is not parsed, and its share is null
    first_bytes: AtLeast1 | None = None  # parse the whole lines that begin a larger file, up to so many bytes; null: all
    name: str = "syntax"  # in `dropped/`; leave it

    def children(self) -> tuple[str, ...]:
        """Return the module that the process of the step runs."""
        return (CHILD,)

    def material(self) -> tuple[()]:
        """Return nothing: the keys count the libraries' versions. Raises MachineError where they are not installed."""
        if missing := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
            raise MachineError(
                f"measure.syntax: {missing[0]} is not installed: pip install 'starmill[syntax]', or leave the section out"
            )
        return ()

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Parse the rows of known languages."""
        rows, asked = [], []
        for row, language in enumerate(block.column("language").to_pylist()):
            text = block.column("content")[row]
            if language not in GRAMMARS or not text.is_valid:
                continue
            data = beginning(text.as_buffer(), self.first_bytes)
            if len(data) <= self.max_bytes and not repeats(data):
                rows.append(row)
                asked.append((GRAMMARS[language], data.decode(), len(data) < text.as_buffer().size))
        found: list[float | None] = [None] * block.num_rows
        for row, share in zip(rows, error_fractions(asked), strict=True):
            found[row] = share
        return append(block, {"syntax_error_fraction": pa.array(found, pa.float32())})


def beginning(data: pa.Buffer, most: int | None) -> bytes:
    """Return a text, or of a larger one its first whole lines within `most` bytes; of one long line its first whole characters.

    >>> beginning(pa.py_buffer(b"a = 1\\nb = 2\\n"), 9), beginning(pa.py_buffer("äöü".encode()), 3).decode()
    (b'a = 1\\n', 'ä')
    """
    if most is None or data.size <= most:
        return bytes(data.to_pybytes())
    head: bytes = data.slice(0, most).to_pybytes()
    return head[: head.rfind(b"\n") + 1] or head.decode("utf-8", "ignore").encode()


def repeats(text: bytes) -> bool:
    """Say whether a text is mostly a few pieces over and over.

    >>> repeats(b"{" * 5000), repeats(b"x = 1\\n" * 1000), repeats(b"".join(b"x = %d\\n" % n for n in range(1000)))
    (True, True, False)
    """
    slices = {text[at : at + SLICE] for at in range(0, len(text), SLICE)}
    return len(text) >= REPEATS and len(slices) < DISTINCT * len(text) / SLICE


class _Died(Exception):
    """The child died after some answers; `status` is how."""

    def __init__(self, answers: list[float], status: int) -> None:
        super().__init__(f"the process that parses ended with status {status}")
        self.answers, self.status = answers, status


class _Child:
    """A process that parses. It ends when nobody holds the other end of its socket."""

    def __init__(self) -> None:
        ours, its = socket.socketpair()
        with its:
            command = [sys.executable, "-m", CHILD, str(its.fileno())]
            quiet = subprocess.DEVNULL
            self._process = subprocess.Popen(command, pass_fds=[its.fileno()], stdin=quiet, stdout=quiet, stderr=quiet)
        self._socket = ours

    def ask(self, asked: Sequence[Asked]) -> list[float]:
        """Return the answers. Raises _Died with those that came before."""
        answers: list[float] = []
        try:
            messages.send(self._socket, asked)
            while len(answers) < len(asked):
                answers.append(messages.receive(self._socket))
        except (EOFError, ConnectionError):
            self._socket.close()
            raise _Died(answers, self._process.wait()) from None
        return answers


def error_fractions(asked: Sequence[Asked]) -> list[float | None]:
    """Return the share of each text that is in error nodes; None where the grammar crashes on it.

    Raises MachineError for a process that does not start, or that something outside ends, twice.
    """
    found: list[float | None] = []
    for batch in _batches(asked):
        found += _answers(batch)
    return found


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


def _answers(batch: list[Asked]) -> list[float | None]:
    found: list[float | None] = []
    while len(found) < len(batch):
        try:
            found += _child().ask(batch[len(found) :])
        except _Died as first:
            _own.children.clear()
            found += first.answers
            # It may have died of what came before: only a fresh one's death is about this text.
            try:
                found += _child().ask(batch[len(found) : len(found) + 1])
            except _Died as died:
                _own.children.clear()
                if died.status not in CRASHES:
                    raise MachineError(
                        f"measure.syntax: {died}, twice; see `{sys.executable} -m {CHILD}`, and the memory that is left"
                    ) from None
                found.append(None)
    return found


def _child() -> _Child:
    """Return this thread's process: a forked process must not share its parent's."""
    known: dict[int, _Child] = _own.__dict__.setdefault("children", {})
    if os.getpid() not in known:
        known.clear()
        try:
            known[os.getpid()] = _Child()
        except OSError as error:
            raise MachineError(f"measure.syntax: the process that parses does not start: {one_line(error)}") from None
    return known[os.getpid()]
