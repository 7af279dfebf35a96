"""A pull request's golden rendering, and its fields parsed back from it."""

import itertools
import re
from typing import Any

import pyarrow as pa

from starmill.core import schema
from starmill.core.tokenizer import SPECIAL_TOKENS
from starmill.transforms.render import issues, pulls
from starmill.transforms.render.code import Format, text

PARTS = [
    ("title", "username_0", "Fix the crash"),
    ("body", "username_0", "It was a race."),
    ("status", None, "opened"),
    ("base", "0", ""),
    ("base_file", "a.py", "x\n"),
    ("base_file", "b/c.py", "z = 1\n"),
    ("head", "0", ""),
    ("diff", None, ""),
    ("diff_hunk", "a.py", "@@ -1,1 +1,1 @@\n-x\n+y\n"),
    ("diff_hunk", "b/c.py", "@@ -1,1 +1,1 @@\n-z = 1\n+z = 2\n"),
    ("diff_hunk", "b/c.py", "@@ -9,1 +9,0 @@\n-z = 3\n"),
    ("review", "username_1", "Nearly."),
    ("event_id", None, "0"),
    ("review_state", None, "commented"),
    ("code", None, ""),
    ("event_id", None, "1"),
    ("reply_to_review", None, "0"),
    ("path", None, "a.py"),
    ("line", None, "9"),
    ("hunk", None, "@@ -1 +1 @@\n-x\n+y"),
    ("code_comment", "username_1", "A lock?"),
    ("code", None, ""),
    ("event_id", None, "2"),
    ("reply_to_comment", None, "1"),
    ("path", None, "a.py"),
    ("code_comment", "username_0", "It is there."),
    ("comment", "username_2", "Twice as fast."),
    ("event_id", None, "3"),
    ("review", "username_1", ""),
    ("event_id", None, "4"),
    ("review_state", None, "approved"),
    ("status", "username_1", "closed"),
    ("is_merged", None, "False"),
    ("status", "username_1", "reopened"),
    ("status", "username_0", "closed"),
    ("is_merged", None, "True"),
]
GOLDEN = (
    "<pr>Title: Fix the crash\nusername_0: It was a race.<pr_status>opened<repo_name>me/toy"
    "<pr_base><pr_file>a.py<pr_base_code>x\n<pr_file>b/c.py<pr_base_code>z = 1\n"
    "<pr_diff><pr_file>a.py<pr_diff_hunk>@@ -1,1 +1,1 @@\n-x\n+y\n"
    "<pr_file>b/c.py<pr_diff_hunk>@@ -1,1 +1,1 @@\n-z = 1\n+z = 2\n<pr_diff_hunk>@@ -9,1 +9,0 @@\n-z = 3\n"
    "<pr_review>username_1: Nearly.<pr_event_id>0<pr_review_state>commented"
    "<pr_review_comment><pr_event_id>1<pr_in_reply_to_review_id>0<pr_file>a.py<pr_diff_hunk_comment_line>9"
    "<pr_diff_hunk>@@ -1 +1 @@\n-x\n+y<pr_comment>username_1: A lock?"
    "<pr_review_comment><pr_event_id>2<pr_in_reply_to_comment_id>1<pr_file>a.py<pr_comment>username_0: It is there."
    "<pr_comment>username_2: Twice as fast.<pr_event_id>3"
    "<pr_review>username_1<pr_event_id>4<pr_review_state>approved"
    "<pr>username_1<pr_status>closed<pr_is_merged>False"
    "<pr>Title: Fix the crash\nusername_1: It was a race.<pr_status>reopened"
    "<pr>username_0<pr_status>closed<pr_is_merged>True"
)


def row() -> dict[str, Any]:
    content, marked = "", []
    for role, name, said in PARTS:
        content += "\n" if marked and said else ""
        marked.append({"role": role, "name": name, "start": len(content), "end": len(content) + len(said)})
        content += said
    return {
        "repo_name": "me/toy",
        "path": "/pull/8",
        "content": content,
        "content_id": "c",
        "redactions": [],
        "segments": marked,
    }


def made() -> Any:
    declared = pa.schema([schema.DATASET.field(name) for name in issues.COLUMNS])
    [document] = pulls.documents([pa.RecordBatch.from_pylist([row()], schema=declared)], Format())
    return document


def test_the_golden_rendering() -> None:
    document = made()
    assert text(document) == GOLDEN and (document.kind, document.files[0].path) == ("pull_request", "pull/8")
    assert {piece.token for piece in document.pieces if not isinstance(piece, str)} <= {*SPECIAL_TOKENS}


def test_fields_come_back() -> None:
    said = "".join(piece if isinstance(piece, str) else f"\0{piece.token}\0" for piece in made().pieces)
    fields = re.findall("\0<([a-z_]+)>\0([^\0]*)", said)
    texts = [text for role, _, text in PARTS if text and "base_file" != role != "diff_hunk"]
    files = [*itertools.takewhile(lambda field: field[0] != "pr_review", fields[3:])]
    spoken = [text.partition(": ")[2] if re.match(r"username_\d+: ", text) else text for _, text in fields if text]
    spoken = [text for text in spoken if text not in {text for _, text in files} or text == "a.py"]
    at = texts.index("False") + 1
    assert (
        [t for t in spoken if t not in ("me/toy", "username_0", "username_1")]
        == [
            "Title: Fix the crash\nusername_0: It was a race.",
            texts[2],
            *("a.py", "a.py"),  # of the base and of the diff
            *texts[3:at],
            "Title: Fix the crash\nusername_1: It was a race.",  # said again by who opens it again
            *texts[at:],
        ]
    )
    found: list[tuple[str, str | None, str]] = []
    path = None
    for field, value in files:
        path = value if field == "pr_file" else path
        if role := {"pr_base_code": "base_file", "pr_diff_hunk": "diff_hunk"}.get(field):
            found.append((role, path, value))
    assert found == [part for part in PARTS if part[0] in ("base_file", "diff_hunk")]
