"""StarCoder2's format of an issue (paper, section 5.3): a document is an issue with all that people said of it.

    <issue_start>Title: T\\nusername_0: what is wrong<issue_comment>username_1: an answer<issue_closed>

Where the issue was closed it says so, and what was said after that follows.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from starmill.core.document import Document, Piece, Special
from starmill.transforms.render.code import Format
from starmill.transforms.render.pieces import Segment, document, label, segments

START, COMMENT, CLOSED = Special("<issue_start>"), Special("<issue_comment>"), Special("<issue_closed>")
COLUMNS = ("repo_name", "path", "content", "content_id", "redactions", "segments")


def documents(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    """Yield a document for each issue (schema.DATASET)."""
    for block in blocks:
        for row in block.select(list(COLUMNS)).to_pylist():
            yield document(row, "issue", issue(row))


def issue(row: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield the pieces of an issue."""
    for segment in segments(row):
        if segment.role == "title":
            yield from (START, "Title: ", *segment.pieces)
        elif segment.role == "body":
            yield from ("\n", *said(segment))
        elif segment.role == "comment":
            yield from (COMMENT, *said(segment))
        elif segment.role == "closed":
            yield CLOSED


def said(segment: Segment) -> Iterator[Piece]:
    """Yield who says something, and what."""
    yield from (*label(segment.name or "user"), ": ", *segment.pieces)
