"""StarCoder2's format of a pull request (paper, section 5.2): a document is a pull request with its reviews and comments.

    <pr>Title: T\\nusername_0: what it does<pr_status>opened<repo_name>R
    <pr_comment>username_1: text<pr_event_id>0
    <pr_review>username_1: text<pr_event_id>1<pr_review_state>approved      without a text, the name alone: <pr_review>username_1
    <pr_review_comment><pr_event_id>2<pr_in_reply_to_review_id>1<pr_file>P<pr_diff_hunk_comment_line>N<pr_diff_hunk>H<pr_comment>...
    <pr>username_1<pr_status>closed<pr_is_merged>False
    <pr>Title: T\\nusername_1: what it does<pr_status>reopened       who opens it again, with the text of the first

The sentinels follow each other without a line break. Base and diffs are there where the files are known; each later head has a <pr_diff> of
its own. Ids count the comments and reviews of the pull request from 0. Behind a comment
the released code writes `<pr_status>created`, and the paper does not.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from starmill.core.document import Document, Piece, Special
from starmill.transforms.render.code import REPO_NAME, Format
from starmill.transforms.render.issues import COLUMNS, said
from starmill.transforms.render.pieces import document, label, segments

PULL, STATUS = Special("<pr>"), Special("<pr_status>")
BASE, FILE, BASE_CODE = Special("<pr_base>"), Special("<pr_file>"), Special("<pr_base_code>")
DIFF, HUNK = Special("<pr_diff>"), Special("<pr_diff_hunk>")
# Who says something follows these; the text alone follows the others.
SPOKEN = {"comment": "<pr_comment>", "review": "<pr_review>", "code_comment": "<pr_comment>"}
PLAIN = {
    "event_id": "<pr_event_id>",
    "review_state": "<pr_review_state>",
    "code": "<pr_review_comment>",
    "reply_to_review": "<pr_in_reply_to_review_id>",
    "reply_to_comment": "<pr_in_reply_to_comment_id>",
    "path": FILE.token,
    "line": "<pr_diff_hunk_comment_line>",
    "hunk": HUNK.token,
    "is_merged": "<pr_is_merged>",
}


def documents(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    """Yield a document for each pull request (schema.DATASET)."""
    for block in blocks:
        for row in block.select(list(COLUMNS)).to_pylist():
            yield document(row, "pull_request", pull(row))


def pull(row: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield the pieces of a pull request."""
    is_open, has_base, path = False, False, None
    title: tuple[Piece, ...] = ()
    body: tuple[Piece, ...] = ()
    for segment in segments(row):
        if segment.role == "title":
            title = segment.pieces
            yield from (PULL, "Title: ", *title)
        elif segment.role == "body":
            body = segment.pieces
            yield from ("\n", *said(segment))
        elif segment.role == "status" and not is_open:
            yield from (STATUS, *segment.pieces, REPO_NAME, *label(row["repo_name"]))
            is_open = True
        elif segment.role == "status":
            again = segment.pieces == ("reopened",)
            told = ("Title: ", *title, "\n", *said(segment._replace(pieces=body))) if again else label(segment.name or "user")
            yield from (PULL, *told, STATUS, *segment.pieces)
        elif segment.role == "base_file":
            yield from (*(() if has_base else (BASE,)), FILE, *label(segment.name or ""), BASE_CODE, *segment.pieces)
            has_base = True
        elif segment.role == "diff":
            path = None
            yield DIFF
        elif segment.role == "diff_hunk":
            yield from (*((FILE, *label(segment.name or "")) if segment.name != path else ()), HUNK, *segment.pieces)
            path = segment.name
        elif segment.role in SPOKEN:
            # A review is mostly an approval without a word.
            yield from (Special(SPOKEN[segment.role]), *(said(segment) if segment.pieces else label(segment.name or "user")))
        elif segment.role in PLAIN:
            yield from (Special(PLAIN[segment.role]), *segment.pieces)
