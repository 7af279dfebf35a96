"""How much of an HTML page a reader sees: its text without tags, comments, scripts and styles."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa
from selectolax.lexbor import LexborHTMLParser

from starmill.transforms.chain import annotated
from starmill.transforms.step import append


def visible_chars(text: str) -> int:
    """Return the number of characters that a page shows.

    >>> visible_chars("<style>p {color: red}</style><p>caf&eacute;</p>")
    4
    """
    tree = LexborHTMLParser(text)
    tree.strip_tags(["script", "style"])
    return len(tree.root.text().strip()) if tree.root is not None else 0


@dataclass(frozen=True)
class VisibleText:
    """Annotates visible_text_chars: of HTML; null for any other language."""

    reads: ClassVar[tuple[str, ...]] = ("language", "content")
    adds: ClassVar[pa.Schema] = annotated("visible_text_chars")

    name: str = "visible_text"

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Measure the rows that are HTML."""
        found = [
            visible_chars(block.column("content")[row].as_py()) if language == "HTML" else None
            for row, language in enumerate(block.column("language").to_pylist())
        ]
        return append(block, {"visible_text_chars": pa.array(found, pa.int32())})
