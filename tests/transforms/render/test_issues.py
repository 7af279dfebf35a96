"""An issue's golden rendering, and its fields parsed back from it."""

import re
from typing import Any

import pyarrow as pa

from starmill.core import schema
from starmill.core.tokenizer import SPECIAL_TOKENS
from starmill.transforms.render import issues
from starmill.transforms.render.code import Format, text

GOLDEN = (
    "<issue_start>Title: It crashes\nusername_0: At start: see <issue_closed> of <EMAIL>.<issue_comment>username_1: Why?\n\nSo."
    "<issue_closed><issue_comment>username_0: Again!"
)


def row(path: str, *parts: tuple[str, str | None, str]) -> dict[str, Any]:
    """A DATASET row of segments; `<EMAIL>` in their texts is a placeholder."""
    content, marked = "", []
    for role, name, said in parts:
        content += "\n" if marked and said else ""
        marked.append({"role": role, "name": name, "start": len(content), "end": len(content) + len(said)})
        content += said
    spans = [{"kind": "EMAIL", "start": m.start(), "end": m.end()} for m in re.finditer("<EMAIL>", content)]
    return {"repo_name": "me/toy", "path": path, "content": content, "content_id": "c", "redactions": spans, "segments": marked}


def block(*rows: dict[str, Any]) -> pa.RecordBatch:
    names = issues.COLUMNS
    return pa.RecordBatch.from_pylist([*rows], schema=pa.schema([schema.DATASET.field(name) for name in names]))


ISSUE = row(
    "/issues/17",
    ("title", "username_0", "It crashes"),
    ("body", "username_0", "At start: see <issue_closed> of <EMAIL>."),
    ("comment", "username_1", "Why?\n\nSo."),
    ("closed", "username_1", ""),
    ("comment", "username_0", "Again!"),
)


def test_the_golden_rendering() -> None:
    [document] = issues.documents([block(ISSUE)], Format())
    assert text(document) == GOLDEN
    assert (document.kind, document.repo_name, document.language) == ("issue", "me/toy", "")
    [file] = document.files
    assert (file.path, file.content_id, file.start, file.end) == ("issues/17", "c", 0, len(document.pieces))
    specials = [piece.token for piece in document.pieces if not isinstance(piece, str)]
    assert {*specials} <= {*SPECIAL_TOKENS}
    assert specials == ["<issue_start>", "<EMAIL>", "<issue_comment>", "<issue_closed>", "<issue_comment>"], "a literal is text"


def test_fields_come_back() -> None:
    [document] = issues.documents([block(ISSUE)], Format())
    # Sentinels that no text holds.
    said = "".join(piece if isinstance(piece, str) else f"\0{piece.token}\0" for piece in document.pieces)
    start, *rest = re.split("\0<(issue_start|issue_comment|issue_closed)>\0", said)[1:]
    title, _, body = rest[0].partition("\n")
    pairs = list(zip(rest[1::2], rest[2::2], strict=True))
    assert start == "issue_start" and title == "Title: It crashes" and body.startswith("username_0: At start")
    assert pairs == [
        ("issue_comment", "username_1: Why?\n\nSo."),
        ("issue_closed", ""),
        ("issue_comment", "username_0: Again!"),
    ]


def test_an_issue_of_a_bot_has_no_body() -> None:
    [document] = issues.documents(
        [block(row("/issues/1", ("title", "bot", "Bump"), ("comment", "username_0", "No.")))], Format()
    )
    assert text(document) == "<issue_start>Title: Bump<issue_comment>username_0: No."
