"""The golden rendering of a question with its answers, and its fields parsed back from it."""

import re
from typing import Any

import pyarrow as pa

from starmill.core import schema
from starmill.core.tokenizer import SPECIAL_TOKENS
from starmill.transforms.render import answers
from starmill.transforms.render.code import Format, text

GOLDEN = (
    "<issue_start>username_0: Why <issue_comment>?\n\nAsk <EMAIL>."
    "<issue_comment>username_0: I see.\nUpvotes: 0"
    "<issue_comment>username_2: No.\nUpvotes: -3"
    "<issue_comment>username_1: So:\n\n```\nx\n```\nUpvotes: 12 [selected answer]"
)
PARTS: tuple[tuple[str, str | None, str], ...] = (
    ("question", "username_0", "Why <issue_comment>?\n\nAsk <EMAIL>."),
    ("votes", "7", ""),
    ("answer", "username_1", "So:\n\n```\nx\n```"),
    ("votes", "12", ""),
    ("selected", None, ""),
    ("answer", "username_2", "No."),
    ("votes", "-3", ""),
    ("answer", "username_0", "I see."),
    ("votes", "0", ""),
)


def row(path: str, *parts: tuple[str, str | None, str]) -> dict[str, Any]:
    """A DATASET row of segments; `<EMAIL>` in their texts is a placeholder."""
    content, marked = "", []
    for role, name, said in parts:
        content += "\n" if said and marked else ""
        marked.append({"role": role, "name": name, "start": len(content), "end": len(content) + len(said)})
        content += said
    spans = [{"kind": "EMAIL", "start": m.start(), "end": m.end()} for m in re.finditer("<EMAIL>", content)]
    of = {"kind": "stackoverflow", "repo_name": "toy.org", "path": path, "content_id": "c"}
    return {**of, "content": content, "redactions": spans, "segments": marked}


def block(*rows: dict[str, Any]) -> pa.RecordBatch:
    names = ("kind", *answers.COLUMNS)
    return pa.RecordBatch.from_pylist([*rows], schema=pa.schema([schema.DATASET.field(name) for name in names]))


def test_the_golden_rendering() -> None:
    [document] = answers.documents([block(row("/questions/3", *PARTS))], Format())
    assert text(document) == GOLDEN
    assert (document.kind, document.repo_name, document.language) == ("stackoverflow", "toy.org", "")
    [file] = document.files
    assert (file.path, file.content_id, file.start, file.end) == ("questions/3", "c", 0, len(document.pieces))
    specials = [piece.token for piece in document.pieces if not isinstance(piece, str)]
    assert specials == ["<issue_start>", "<EMAIL>", *["<issue_comment>"] * 3] and {*specials} <= {*SPECIAL_TOKENS}


def test_fields_come_back() -> None:
    [document] = answers.documents([block(row("/questions/3", *PARTS))], Format(seed=5))
    # Sentinels that no text holds.
    said = "".join(piece if isinstance(piece, str) else f"\0{piece.token}" for piece in document.pieces)
    asked, *answered = said.removeprefix("\0<issue_start>").split("\0<issue_comment>")
    assert asked == "username_0: Why <issue_comment>?\n\nAsk \0<EMAIL>."
    found = {re.fullmatch(r"(\w+): (.*)\nUpvotes: (-?\d+)( \[selected answer\])?", a, re.DOTALL).groups() for a in answered}  # type: ignore[union-attr]
    assert found == {
        ("username_1", "So:\n\n```\nx\n```", "12", " [selected answer]"),
        ("username_2", "No.", "-3", None),
        ("username_0", "I see.", "0", None),
    }


def test_the_order_is_one_of_all_and_the_same_again() -> None:
    def order(path: str, seed: int = 0) -> tuple[str, ...]:
        [document] = answers.documents([block(row(path, *PARTS))], Format(seed=seed))
        return tuple(re.findall(r"Upvotes: (-?\d+)", text(document)))

    orders = [order(f"/questions/{k}") for k in range(60)]
    assert len({*orders}) == 6 and orders == [order(f"/questions/{k}") for k in range(60)]
    assert orders != [order(f"/questions/{k}", seed=1) for k in range(60)]


def test_a_title_stands_before() -> None:
    [document] = answers.documents([block(row("/questions/3", ("title", "username_0", "T"), *PARTS[:1]))], Format())
    assert text(document) == "<issue_start>Title: T\nusername_0: Why <issue_comment>?\n\nAsk <EMAIL>."
