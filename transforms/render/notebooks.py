"""StarCoder2's formats of notebooks (paper, section 5.1).

<jupyter_start><jupyter_text>t<jupyter_code>c<jupyter_output>o<jupyter_text>...       o is <empty_output> where nothing was printed
<jupyter_script>code
"""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from starmill.core.document import Document, Piece, Special
from starmill.transforms.render.code import Format
from starmill.transforms.render.pieces import document, redacted, segments

START, EMPTY, SCRIPT = Special("<jupyter_start>"), Special("<empty_output>"), Special("<jupyter_script>")
SENTINELS = {"markdown": Special("<jupyter_text>"), "code": Special("<jupyter_code>"), "output": Special("<jupyter_output>")}


def turns(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    """Yield a document for each notebook of DATASET rows, whose segments are markdown, code and output by turns."""
    for row in (row for block in blocks for row in block.to_pylist()):
        pieces: list[Piece] = [START]
        for segment in segments(row):
            pieces += [SENTINELS[segment.role], *(segment.pieces or ((EMPTY,) if segment.role == "output" else ()))]
        yield document(row, row["kind"], pieces, row["language"] or "")


def scripts(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    """Yield a document for each notebook of DATASET rows, whose text is a script."""
    for row in (row for block in blocks for row in block.to_pylist()):
        pieces = [SCRIPT, *redacted(row["content"], row["redactions"] or [])]
        yield document(row, row["kind"], pieces, row["language"] or "")
