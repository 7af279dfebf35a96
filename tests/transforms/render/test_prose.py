"""The golden text of a record that is one text, and what it is told apart from."""

import pyarrow as pa

from starmill.core.document import Special
from starmill.transforms.render import prose
from starmill.transforms.render.code import Format, text


def test_a_record_is_a_document() -> None:
    row = {"kind": "documentation", "repo_name": "pypi/toy-1.0", "path": "/README.md", "content_id": "0" * 40, "language": None}
    said = "# Toy <fim_prefix>\n\nAsk <EMAIL>.\n"
    spans = [{"kind": "EMAIL", "start": said.index("<EMAIL>"), "end": said.index("<EMAIL>") + 7}]
    rows = [row | {"content": said, "redactions": spans}, row | {"path": "/b", "content": "b", "redactions": None}]
    made, other = prose.documents([pa.RecordBatch.from_pylist(rows)], Format())
    assert (text(made), text(other)) == (said, "b")
    assert (made.kind, made.language, made.files[0].path, other.files[0].path) == ("documentation", "", "README.md", "b")
    assert [piece.token for piece in made.pieces if isinstance(piece, Special)] == ["<EMAIL>"]
