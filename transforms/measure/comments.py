"""How much of a file is written for people: the share of its characters in comments, and in Python's docstrings, by tree-sitter.

SantaCoder's measure (bigcode-dataset, preprocessing/utils/text_extraction.py), for every language of measure/syntax.py; decide/quality.py
has the rule. As with errors of syntax no limit is one of time, and grammars run in a process of their own (comments_child.py).
"""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from starmill.core import parsing
from starmill.core.names import AtLeast1
from starmill.transforms.chain import annotated
from starmill.transforms.measure.syntax import GRAMMARS
from starmill.transforms.step import append

CHILD = "starmill.transforms.measure.comments_child"  # named here, and never imported


@dataclass(frozen=True)
class Comments:
    """Annotates comment_fraction; null without a grammar of the language, for an empty text, above `max_bytes`, for what repeats
    itself, and where a grammar crashes on the text.

    >>> block = pa.record_batch({"language": ["C", "Text"], "content": ["int a; /* ten */ ", "int a; /* ten */ "]})
    >>> [None if share is None else round(share, 3) for share in Comments()(block).column("comment_fraction").to_pylist()]
    [0.529, None]
    """

    reads: ClassVar[tuple[str, ...]] = ("language", "content")
    adds: ClassVar[pa.Schema] = annotated("comment_fraction")

    max_bytes: AtLeast1 = 1 << 20  # of UTF-8; a larger file is not parsed, and its share is null
    name: str = "comment_share"  # in `dropped/`; leave it

    def children(self) -> tuple[str, ...]:
        """Return the module that the process of the step runs."""
        return (CHILD,)

    def material(self) -> tuple[()]:
        """Return nothing: the keys count the libraries' versions. Raises MachineError where they are not installed."""
        parsing.refuse_without_grammars("measure.comments")
        return ()

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Parse the rows of known languages."""
        rows, asked = [], []
        for row, language in enumerate(block.column("language").to_pylist()):
            text = block.column("content")[row]
            data = text.as_buffer() if language in GRAMMARS and text.is_valid else b""
            if 0 < len(data) <= self.max_bytes and not parsing.repeats(bytes(data)):
                rows.append(row)
                asked.append((GRAMMARS[language], bytes(data).decode()))
        found: list[float | None] = [None] * block.num_rows
        for row, (_, text), chars in zip(rows, asked, parsing.answers(CHILD, "measure.comments", asked), strict=True):
            found[row] = None if chars is None else chars / len(text)
        return append(block, {"comment_fraction": pa.array(found, pa.float32())})
