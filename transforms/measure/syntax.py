"""How much of a file does not follow its language's grammar: the share of bytes in error nodes of a tree-sitter parse.

A signal that other sets of 2026 have only as a yes or no of one language (SwallowCode: whether Python compiles). Nothing is decided here:
curate.signals and mix.weights hold thresholds against the column. No limit is one of time, since the answer must be the same on every
machine: a file above `max_bytes` is not parsed, and neither is one that repeats itself, over which nearly every grammar takes quadratic
time. What is left (noise that is made to be slow) is the watcher's (core/watch.py). Grammars run in a process of their own
(syntax_child.py; core/parsing.py), since some crash.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from starmill.core import parsing
from starmill.core.names import AtLeast1
from starmill.transforms.chain import annotated
from starmill.transforms.step import append

CHILD = "starmill.transforms.measure.syntax_child"  # named here, and never imported
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
        parsing.refuse_without_grammars("measure.syntax")
        return ()

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Parse the rows of known languages."""
        rows, asked = [], []
        for row, language in enumerate(block.column("language").to_pylist()):
            text = block.column("content")[row]
            if language not in GRAMMARS or not text.is_valid:
                continue
            data = beginning(text.as_buffer(), self.first_bytes)
            if len(data) <= self.max_bytes and not parsing.repeats(data):
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


def error_fractions(asked: Sequence[Asked]) -> list[float | None]:
    """Return the share of each text that is in error nodes; None where the grammar crashes on it. Raises MachineError."""
    return parsing.answers(CHILD, "measure.syntax", asked)
