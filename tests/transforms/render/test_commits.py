"""A commit's golden rendering, and its fields parsed back from it."""

import re
from typing import Any

import pyarrow as pa

from starmill.core import schema
from starmill.core.tokenizer import SPECIAL_TOKENS
from starmill.pipelines.kinds import KINDS
from starmill.transforms.render import commits
from starmill.transforms.render.code import Format, text

OLD, SUBJECT, NEW = "area = width * heigth\n", "Spell height for <EMAIL>", "area = width * height\n# <commit_msg>\n"
GOLDEN = (
    "<commit_before>area = width * heigth\n<commit_msg>Spell height for <EMAIL>"
    "<commit_after>area = width * height\n# <commit_msg>\n"
)


def row(old: str, subject: str, new: str) -> dict[str, Any]:
    content, marked = "", []
    for role, name, said in (("before", "/a.py", old), ("message", None, subject), ("after", "/a.py", new)):
        content += "\n" if marked else ""
        marked.append({"role": role, "name": name, "start": len(content), "end": len(content) + len(said)})
        content += said
    marked.append({"role": "changed", "name": "2", "start": len(content), "end": len(content)})
    spans = [{"kind": "EMAIL", "start": m.start(), "end": m.end()} for m in re.finditer("<EMAIL>", content)]
    said = {"kind": "commit", "repo_name": "me/toy", "path": "/commit/17", "content_id": "c", "language": "Python"}
    return {**said, "content": content, "redactions": spans, "segments": marked}


def block(*rows: dict[str, Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([*rows], schema=pa.schema([schema.DATASET.field(name) for name in commits.COLUMNS]))


def test_the_golden_rendering() -> None:
    [document] = commits.documents([block(row(OLD, SUBJECT, NEW))], Format())
    assert text(document) == GOLDEN
    assert (document.kind, document.repo_name, document.language) == ("commit", "me/toy", "Python")
    [file] = document.files
    assert (file.path, file.content_id, file.start, file.end) == ("commit/17", "c", 0, len(document.pieces))


def test_fields_come_back() -> None:
    rows = [row(OLD, SUBJECT, NEW), row("", "Add it", "x\n"), row("x\n", "", "")]
    for document, (old, subject, new) in zip(
        commits.documents([block(*rows)], Format()), [(OLD, SUBJECT, NEW), ("", "Add it", "x\n"), ("x\n", "", "")], strict=True
    ):
        # Sentinels that no text holds.
        said = "".join(
            piece if isinstance(piece, str) else piece.token if piece.token == "<EMAIL>" else f"\0{piece.token}\0"
            for piece in document.pieces
        )
        assert re.split("\0<commit_(before|msg|after)>\0", said) == ["", "before", old, "msg", subject, "after", new]


def test_its_sentinels_are_those_that_the_kind_names() -> None:
    [document] = commits.documents([block(row(OLD, "Spell", NEW))], Format())
    specials = [piece.token for piece in document.pieces if not isinstance(piece, str)]
    assert specials == [*KINDS["commit"].sentinels(Format())] == [*commits.TOKENS] and {*SPECIAL_TOKENS}.isdisjoint(specials)
