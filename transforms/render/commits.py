"""StarCoder's format of a commit: a document is one changed file, before and after, with the subject between.

    <commit_before>width * heigth<commit_msg>Spell height<commit_after>width * height

StarCoder2 has no commits, and its vocabulary not these sentinels: one that is trained for such records has them behind its 38.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from starmill.core.document import Document, Piece, Special
from starmill.transforms.render.code import Format
from starmill.transforms.render.pieces import document, segments

SENTINELS = {"before": Special("<commit_before>"), "message": Special("<commit_msg>"), "after": Special("<commit_after>")}
TOKENS = tuple(sentinel.token for sentinel in SENTINELS.values())
COLUMNS = ("kind", "repo_name", "path", "content", "content_id", "language", "redactions", "segments")


def documents(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    """Yield a document for each commit (schema.DATASET)."""
    for block in blocks:
        for row in block.select(list(COLUMNS)).to_pylist():
            yield document(row, row["kind"], commit(row), row["language"] or "")


def commit(row: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield the pieces of a commit."""
    for segment in segments(row):
        if segment.role in SENTINELS:
            yield from (SENTINELS[segment.role], *segment.pieces)
