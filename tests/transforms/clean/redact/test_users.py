"""User names behind an @: people who are called go, by one counter a record; what an @ begins in code stays."""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tedious_texts import is_linear

from starmill.core import schema
from starmill.transforms.clean.redact import Redact
from starmill.transforms.clean.redact.users import ANCHORS, Counter, find


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("@Ann, thanks; cc @bob-2 and @carl.", ["Ann", "bob-2", "carl"]),
        ("(@ann) **@ann** cc:@ann\n@ann\nplease", ["ann", "ann", "ann", "ann"]),
        ("> @ann wrote", ["ann"]),
        ("```\n@x\n```\n@ann\n~~~ py\n@y", ["ann"]),
        ("a `@x` b @ann", ["ann"]),
        # code, mail and links
        ("@Override\npublic void run() {", []),
        ("@property\n@cached\ndef x(self):", []),
        ("    @indented\n\t@too\n * @param x of it\n# @todo", []),
        ("@app.route('/') @pytest.fixture @Test(timeout=1) @babel/core @org/team @media{", []),
        ("jane@corp.com https://x.org/@ann '@types' \"@x\" .@x a@b @@x \\@x #@x", []),
        ("@username_3 @a_b @" + "a" * 40 + " @-a @ a @", []),
    ],
)
def test_find(text: str, people: list[str]) -> None:
    assert [text[a:b] for a, b in find(text)] == people


def test_the_counter_goes_on_behind_those_who_take_part() -> None:
    count = Counter("see username_3 and username_4x", [{"name": "username_1"}, {"name": None}, {"name": "x.py"}])
    assert [count.name(n) for n in ("Ann", "bob", "ANN")] == ["username_4", "username_5", "username_4"]
    assert Counter("", None).name("x") == "username_0"


def block(**row: object) -> pa.RecordBatch:
    row = {"content_id": "c", "length_bytes": 0, "segments": None, **row}
    return pa.RecordBatch.from_pylist([row], pa.schema([schema.RECORDS.field(n) for n in row]))


def test_in_a_record_only_what_people_say_is_looked_at() -> None:
    hunk, said = "@property\n@decorated @ann\n", "Hi @ann, @BOB and @Ann: @username_0 is right"
    parts = [("hunk", None, 0, len(hunk)), ("comment", "username_1", len(hunk), len(hunk) + len(said))]
    segments = [dict(zip(("role", "name", "start", "end"), part, strict=True)) for part in parts]
    [done] = Redact(mentions=True)(block(content=hunk + said, segments=segments)).to_pylist()
    assert done["content"] == hunk + "Hi @username_2, @username_3 and @username_2: @username_0 is right"
    assert {(s["kind"], s["detector"]) for s in done["redactions"]} == {("USERNAME", "mentions")}
    assert [done["content"][s["start"] : s["end"]] for s in done["redactions"]] == ["username_2", "username_3", "username_2"]
    assert done["segments"][1]["end"] == len(done["content"])
    again = Redact(mentions=True)(block(content=done["content"], segments=done["segments"])).to_pylist()
    assert again[0]["content"] == done["content"], "twice is once"
    for stays in (None, False):
        assert Redact(mentions=stays)(block(content=said)).column("content").to_pylist() == [said]


PARTS = [
    "@",
    "ann",
    "Bob-2",
    " ",
    "\n",
    "`",
    "```\n",
    "~~~",
    "\t",
    "username_1",
    ",",
    ".",
    "/",
    "(",
    "* ",
    "def x",
    "é",
    "jane@corp.io",
]


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PARTS), max_size=16).map("".join))
def test_twice_is_once(text: str) -> None:
    once, spans = Redact(mentions=True).redact(text, "f")
    assert Redact(mentions=True).redact(once, "f")[0] == once
    assert not list(find(text)) or re.search(ANCHORS[0], text.encode())
    assert all(once[s["start"] - 1] == "@" for s in spans if s["kind"] == "USERNAME")


@pytest.mark.parametrize("unit", ["@ann ", "```\n@ann\n", "`@", "@ann\n", "@" + "a" * 39, "@a-", "~~~\n"])
def test_time_is_linear(unit: str) -> None:
    assert is_linear(lambda size: list(find(unit * (size // len(unit)))))
