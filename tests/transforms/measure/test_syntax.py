"""The share of errors is that of a walk over every node; what crashes a grammar or is too large is null, and loses nothing else."""

import importlib.util
from typing import Any

import pyarrow as pa
import pytest
import tree_sitter_language_pack
from tree_sitter import Node, Parser

from starmill.core.errors import MachineError
from starmill.core.names import languages
from starmill.pipelines.run import keys
from starmill.transforms.measure.syntax import GRAMMARS, Syntax

CRASH = "- " * 1000  # ends the process of YAML's grammar: its scanner recurses
SOUND = {
    "Python": "def f(a, b):\n    return [a, b]\n\nclass C:\n    x = {1: 2}\n",
    "C": "int f(int a) {\n  if (a) { return a + 1; }\n  return 0;\n}\n",
    "JavaScript": "const f = (a) => ({ a, b: [1, 2] });\nfunction g() { return f(1); }\n",
    "Go": "package p\n\nfunc f(a int) int {\n\tif a > 0 {\n\t\treturn a\n\t}\n\treturn 0\n}\n",
    "Rust": "fn f(a: i32) -> i32 {\n    match a { 0 => 1, _ => a }\n}\n",
    "JSON": '{"a": [1, 2, {"b": null}]}\n',
}


def shares(rows: list[tuple[str | None, str | None]], **options: Any) -> list[float | None]:
    """What the step finds in rows of language and content."""
    block = pa.record_batch(
        {"language": pa.array([r[0] for r in rows], pa.string()), "content": pa.array([r[1] for r in rows])}
    )
    found: list[float | None] = Syntax(**options)(block).column("syntax_error_fraction").to_pylist()
    return found


def walked(language: str, text: str) -> float:
    """The same by a walk over all nodes that believes no flag of an inner one: the bytes that some ERROR node spans."""
    wrong: set[int] = set()
    missing = 0
    data = text.encode()

    def see(node: Node, inside: bool) -> None:
        nonlocal missing
        is_error = node.type == "ERROR"
        if is_error:
            wrong.update(range(node.start_byte, node.end_byte))
        missing += node.is_missing and not inside
        for child in node.children:
            see(child, inside or is_error)

    see(Parser(tree_sitter_language_pack.get_language(GRAMMARS[language])).parse(data).root_node, False)  # type: ignore[arg-type]
    return min(1.0, (len(wrong) + missing) / max(1, len(data)))


def test_shares_are_those_of_a_walk_over_every_node() -> None:
    rows = []
    for language, text in SOUND.items():
        for at in range(0, len(text), 7):  # cut, doubled and strange characters at places all over
            rows += [
                (language, text[:at]),
                (language, text[:at] + "]) $" + text[at:]),
                (language, text[:at] + "é@@" + text[at + 2 :]),
            ]
    found = shares(rows)
    assert found == pytest.approx([walked(language, text) for language, text in rows], abs=1e-6)
    assert shares(list(SOUND.items())) == [0.0] * len(SOUND) and len({*found}) > 50


def test_every_grammar_is_there_and_knows_errors() -> None:
    assert {*GRAMMARS} <= {*languages()} and len(GRAMMARS) >= 30
    bad = ")]}@ <\x01 \"' {[(\n" * 3
    found = shares([(language, f"<?php {bad}" if language == "PHP" else bad) for language in GRAMMARS])
    assert {name: share for name, share in zip(GRAMMARS, found, strict=True) if share is None or not 0 < share <= 1} == {}


def test_the_key_holds_the_grammars() -> None:
    files, libraries = keys.closure(*keys.modules_of([Syntax()]))
    assert {"tree-sitter", "tree-sitter-language-pack"} <= {*libraries} and any(f.name == "syntax_child.py" for f in files)


def test_null_is_what_was_not_parsed() -> None:
    text = "x = 1\n"
    rows = [("Text", text), (None, text), ("Python", None), ("Python", text * 10), ("Python", text), ("Python", "")]
    assert shares(rows, max_bytes=20) == [None, None, None, None, 0.0, 0.0]
    assert shares([("Python", "é" * 10)], max_bytes=19) == [None], "bytes, not characters"


def test_of_the_first_bytes_a_bracket_that_the_cut_leaves_open_is_no_error() -> None:
    c = "int f(int a) {\n" + "".join(f"  if (a > {n}) {{ a += {n}; }}\n" for n in range(9000)) + "  return a;\n}\n"
    broken = "int x = = 1;;; ) ) (\n" + c
    assert shares([("C", c)]) == [None], "above max_bytes"
    sound, bad, small = shares([("C", c), ("C", broken), ("C", "int x = = 1;;; ) ) (\n")], first_bytes=300)
    assert sound == 0 and bad is not None and small is not None and 0 < bad < small


def test_what_repeats_itself_is_not_parsed() -> None:
    # Each takes a grammar quadratic time, minutes at this size.
    rows = [
        ("CSS", "=>" * 60_000),
        ("Dart", "{" * 100_000),
        ("C#", "<a " * 40_000),
        ("Shell", "|" * 100_000),
        ("Scala", "[{(" * 30_000),
    ]
    assert shares(rows) == [None] * 5
    assert shares([("C", "".join(f"int a{n};\n" for n in range(1000)))]) == [0.0]


def test_a_grammar_that_crashes_loses_its_text_alone() -> None:
    crash = ("YAML", CRASH)
    rows = [("Python", "x = 1\n"), crash, ("Python", "x = $$ 1"), ("YAML", "a: 1\n"), crash, ("C", "int a;\n")]
    assert shares(rows) == [0.0, None, pytest.approx(2 / 8), 0.0, None, 0.0]


def test_without_the_library_the_fix_is_told_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Syntax().material() == ()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"measure\.syntax: tree_sitter is not installed: pip install 'starmill\[syntax\]'"):
        Syntax().material()
