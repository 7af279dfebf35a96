"""StarCoder2's formats of notebooks (paper, section 5.1).

<jupyter_start><jupyter_text>t<jupyter_code>c<jupyter_output>o<jupyter_text>...       o is <empty_output> where nothing was printed
<jupyter_script>code
<jupyter_start><jupyter_text>title, description and identifier of its data<jupyter_text>...<jupyter_script>code       of Kaggle's
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


def described(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    """Yield a document for each script of DATASET rows, behind the segments that say what it reads."""
    for row in (row for block in blocks for row in block.to_pylist()):
        found = [*segments(row)]
        pieces: list[Piece] = []
        for data in (segment for segment in found if segment.role == "markdown"):
            pieces += [*(() if pieces else (START,)), SENTINELS["markdown"], *data.pieces]
        scripts = [segment.pieces for segment in found if segment.role == "script"]
        # A table's text has no segments.
        script = scripts[0] if scripts else redacted(row["content"], row["redactions"] or [])
        yield document(row, row["kind"], [*pieces, SCRIPT, *script], row["language"] or "")
