"""Rows of the forms that TRL takes, and the reasons for all that is none of them."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from starmill.core.conversations import Conversation, Turn, conversation, files, rows
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError

ASKED, TOLD = {"role": "user", "content": "Add 1."}, {"role": "assistant", "content": "x += 1"}
TURNS = (Turn("user", "Add 1."), Turn("assistant", "x += 1"))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"messages": [ASKED, TOLD]}, Conversation(TURNS)),
        ({"prompt": [ASKED], "completion": [TOLD]}, Conversation(TURNS, 1)),
        ({"prompt": "Add 1.", "completion": "x += 1"}, Conversation(TURNS, 1, is_plain=True)),
        ({"instruction": "Add 1.", "response": "x += 1", "id": 3}, Conversation(TURNS)),
        ({"text": "x"}, "no_conversation"),
        ({"messages": []}, "no_conversation"),
        ({"messages": "hello"}, "no_conversation"),
        ({"messages": [ASKED, {"role": "tool", "content": "x"}]}, "no_conversation"),
        ({"messages": [ASKED, {"role": "assistant", "content": [1]}]}, "no_conversation"),
        ({"messages": [ASKED, {"role": "assistant"}]}, "no_conversation"),
        ({"messages": [ASKED]}, "no_response"),
        ({"messages": [ASKED, {"role": "assistant", "content": " \n"}]}, "no_response"),
        ({"prompt": [ASKED, TOLD], "completion": [ASKED]}, "no_response"),
        ({"prompt": "x", "completion": ""}, "no_response"),
        ({"prompt": None, "completion": "x"}, "no_conversation"),
        ({"messages": [ASKED, TOLD] * 200}, "too_many_turns"),
    ],
)
def test_rows(row: dict[str, Any], expected: Conversation | str) -> None:
    assert conversation(row) == expected


def test_files_of_a_folder(tmp_path: Path) -> None:
    place = tmp_path / "instructions"
    place.mkdir()
    (place / "b.jsonl").write_bytes(
        json.dumps({"messages": [ASKED, TOLD]}).encode() + b"\n\nnot json\n[1]\n\xff\n" + b"[" * 100_000
    )
    pq.write_table(pa.table({"messages": [[ASKED, TOLD]], "prompt": [None]}), place / "a.parquet")
    (place / "notes.txt").write_text("x")
    workspace = Workspace(str(tmp_path))
    assert files(workspace, "instructions") == ["instructions/a.parquet", "instructions/b.jsonl"]
    found = [each for name in files(workspace, "instructions") for each in rows(name, workspace.read(name))]
    assert [name.rpartition("/")[2] for name, _ in found] == [
        "a.parquet:1",
        "b.jsonl:1",
        "b.jsonl:3",
        "b.jsonl:4",
        "b.jsonl:5",
        "b.jsonl:6",
    ]
    assert [row for _, row in found[2:]] == ["no_json_object"] * 4
    assert all(conversation(row) == Conversation(TURNS) for _, row in found[:2] if isinstance(row, dict))


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"instructions: no .jsonl or .parquet"):
        files(Workspace(str(tmp_path)), "instructions")
    whole = io.BytesIO()
    pq.write_table(pa.table({"prompt": ["x"]}), whole)
    for data in (b"text", b"", whole.getvalue()[:-20]):
        with pytest.raises(InputError, match=r"x.parquet: no readable Parquet"):
            list(rows("x.parquet", data))
