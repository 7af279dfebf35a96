"""Every kind of record from the dataset to tokens and back: its golden text, read from the tokens of a shard, gives the record's fields.

What a person typed that looks like a sentinel is text there, so that a shard's tokens are what fields are read back from.
"""

import re
from typing import Any

import mixed
import pyarrow as pa
import pytest
import tokenizers

from starmill.core import schema, swhid
from starmill.core.dataset import Workspace
from starmill.core.shards import open_shards
from starmill.pipelines.kinds import KINDS
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.stages.vocabulary import TokenizerOptions
from starmill.transforms.render.code import Format

TYPED = "as <file_sep> and <EMAIL>"  # by a person
PULL: list[tuple[str, str | None, str]] = [
    ("title", "username_0", "Fix it"),
    ("body", "username_0", TYPED),
    ("status", None, "opened"),
    ("base_file", "a.py", "x\n"),
    ("comment", "username_1", "Why?"),
    ("event_id", None, "0"),
]
# Of each kind: its segments (role, name, text), or its text; and its golden rendering as sentinels, each with the text behind it.
GOLDEN: dict[str, tuple[list[tuple[str, str | None, str]] | str, list[tuple[str, str]]]] = {
    "code": (f"x = 1  # {TYPED}\n", [("<repo_name>", "me/code"), ("<file_sep>", f"code/1\nx = 1  # {TYPED}\n")]),
    "notebook": (
        [("markdown", None, TYPED), ("code", "Python", "f()"), ("output", None, "1"), ("markdown", None, "m"), ("code", None, "g()"),
         ("output", None, "")],
        [("<jupyter_start>", ""), ("<jupyter_text>", TYPED), ("<jupyter_code>", "f()"), ("<jupyter_output>", "1"),
         ("<jupyter_text>", "m"), ("<jupyter_code>", "g()"), ("<jupyter_output>", ""), ("<empty_output>", "")],
    ),
    "notebook_script": (f"f()  # {TYPED}\n", [("<jupyter_script>", f"f()  # {TYPED}\n")]),
    "kaggle": (
        [("markdown", None, "Shapes\nKaggle dataset identifier: me/shapes"), ("script", "Python", f"f()  # {TYPED}\n")],
        [("<jupyter_start>", ""), ("<jupyter_text>", "Shapes\nKaggle dataset identifier: me/shapes"),
         ("<jupyter_script>", f"f()  # {TYPED}\n")],
    ),
    "issue": (
        [("title", "username_0", "It fails"), ("body", "username_0", TYPED), ("comment", "username_1", "Why?"), ("closed", None, "")],
        [("<issue_start>", f"Title: It fails\nusername_0: {TYPED}"), ("<issue_comment>", "username_1: Why?"), ("<issue_closed>", "")],
    ),
    "pull_request": (
        PULL,
        [("<pr>", f"Title: Fix it\nusername_0: {TYPED}"), ("<pr_status>", "opened"), ("<repo_name>", "me/pull_request"), ("<pr_base>", ""),
         ("<pr_file>", "a.py"), ("<pr_base_code>", "x\n"), ("<pr_comment>", "username_1: Why?"), ("<pr_event_id>", "0")],
    ),
    "commit": (
        [("before", "/a.py", "x = 1\n"), ("message", None, TYPED), ("after", "/a.py", "x = 2\n")],
        [("<commit_before>", "x = 1\n"), ("<commit_msg>", TYPED), ("<commit_after>", "x = 2\n")],
    ),
    "stackoverflow": (
        [("question", "username_0", TYPED), ("votes", "7", ""), ("answer", "username_1", "So."), ("votes", "3", ""),
         ("selected", None, "")],
        [("<issue_start>", f"username_0: {TYPED}"), ("<issue_comment>", "username_1: So.\nUpvotes: 3 [selected answer]")],
    ),
    "ir": (
        [("code", "C", "int x;\n"), ("ir", "size", f"@x = global i32 0 ; {TYPED}\n")],
        [("", "int x;\n"), ("<code_to_intermediate>", f"@x = global i32 0 ; {TYPED}\n")],
    ),
    **{
        kind: (f"One text, {TYPED}.\n", [("", f"One text, {TYPED}.\n")])
        for kind in ("arxiv", "wikipedia", "lhq", "openwebmath", "rewritten", "seed", "documentation")
    },
}  # fmt: skip


def record(kind: str) -> dict[str, Any]:
    """A row of DATASET of segments, or of one text."""
    given, content, marked = GOLDEN[kind][0], "", list[dict[str, Any]]()
    for role, name, said in given if not isinstance(given, str) else ():
        content += "\n" if marked and said else ""
        marked.append({"role": role, "name": name, "start": len(content), "end": len(content) + len(said)})
        content += said
    content = given if isinstance(given, str) else content
    ids = dict.fromkeys(("content_id", "blob_id"), swhid.content_id(content.encode()))
    about = {"kind": kind, "repo_name": f"me/{kind}", "path": f"/{kind}/1", "content": content, "segments": marked or None}
    return dict.fromkeys(schema.DATASET.names) | about | ids | {"length_bytes": len(content.encode()), "redactions": []}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """With shards of one record of each kind, whose formats are the ones with names and with the code first."""
    made = mixed.release(tmp_path_factory.mktemp("w"), 1, [record(kind) for kind in KINDS])
    seed = next(seed for seed in range(99) if _ir_comes_second(seed))
    trained = TokenizerOptions(vocab_size=340, sample_bytes=10**6)
    mixed.tokenize(made, Recipe(made.root, tokenizer=trained, format=Format(metadata_rate=1.0, seed=seed)))
    return made


def _ir_comes_second(seed: int) -> bool:
    [document] = KINDS["ir"].render([pa.RecordBatch.from_pylist([record("ir")])], Format(seed=seed))
    return str(document.pieces[0]).startswith("int")


def read_back(tokens: list[int], oracle: tokenizers.Tokenizer) -> list[tuple[str, str]]:
    """Return the sentinels of a document with the texts behind them; what stands before the first one has none."""
    special = {number: added.content for number, added in oracle.get_added_tokens_decoder().items()}
    fields: list[tuple[str, list[int]]] = [("", [])]
    for token in tokens:
        if token in special:
            fields.append((special[token], []))
        else:
            fields[-1][1].append(token)
    assert fields.pop() == ("<|endoftext|>", [])
    return [(mark, oracle.decode(ids)) for mark, ids in fields if mark or ids]


def test_every_kind_has_a_golden_rendering() -> None:
    assert {*GOLDEN} == {*KINDS}


@pytest.mark.parametrize("kind", GOLDEN)
def test_fields_come_back_from_tokens(workspace: Workspace, kind: str) -> None:
    oracle = tokenizers.Tokenizer.from_file(f"{workspace.root}/tokenizer/tokenizer.json")
    found = [
        (row, shard.tokens(i).tolist())
        for shard in open_shards(workspace.root)
        for i, row in enumerate(shard.table.to_pylist())
        if row["kind"] == kind
    ]
    [(row, tokens)] = found
    fields = read_back(tokens, oracle)
    assert fields == GOLDEN[kind][1]
    assert (row["repo_name"], row["files"][0]["path"], row["token_count"]) == (f"me/{kind}", f"{kind}/1", len(tokens))
    given = GOLDEN[kind][0]
    texts = [given] if isinstance(given, str) else [said for _, _, said in given if said]
    # A name or a label may stand before what a record says, in a line of its own.
    said = [
        part
        for _, text in fields
        for part in (text, *re.split(r"^(?:Title|username_\d): |\n(?=username_\d: |Upvotes: )", text, flags=re.M))
    ]
    assert [text for text in texts if text not in said and f"code/1\n{text}" not in said] == []
