"""Text as it is: a document is one record, without a sentinel (StarCoder2, section 5: documentation, natural language, small sets)."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from starmill.core.document import Document
from starmill.transforms.render.code import Format
from starmill.transforms.render.pieces import document, redacted


def documents(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    """Yield a document for each DATASET row."""
    for row in (row for block in blocks for row in block.to_pylist()):
        yield document(row, row["kind"], redacted(row["content"], row["redactions"] or []), row["language"] or "")
