"""The share of comments is what tokenize, ast and Pygments find; what has no grammar, crashes one or repeats itself is null."""

import importlib.util
import sysconfig
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core.errors import MachineError
from starmill.pipelines.run import keys
from starmill.transforms.measure.comments import Comments
from starmill.transforms.measure.syntax import GRAMMARS

JAVA = '/** Doc. */\nclass A {\n  // one line\n  int a = 1; /* two\n lines */\n  String s = "// none";\n}\n'
SCRIPT = "// one\nconst a = '/* none */';\n/* two */ const b = /\\/\\/x/;\n"


def shares(rows: list[tuple[str | None, str | None]], **options: int) -> list[float | None]:
    """What the step finds in rows of language and content."""
    languages, texts = zip(*rows, strict=True)
    block = pa.record_batch({"language": pa.array(languages, pa.string()), "content": pa.array(texts, pa.string())})
    found: list[float | None] = Comments(**options)(block).column("comment_fraction").to_pylist()
    return found


def test_shares_are_those_of_bigcode_dataset() -> None:
    """Its logic is written anew in benchmarks/peers/filtering.py, on the libraries that it uses."""
    from peers.filtering import comment_share

    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:60:6]
    rows: list[tuple[str, str]] = [("Python", path.read_text("utf-8")) for path in files]
    rows += [("Java", JAVA), ("JavaScript", SCRIPT)]
    for (language, text), share in zip(rows, shares([*rows]), strict=True):
        assert share == pytest.approx(comment_share(text, language), abs=0.02), text[:200]


def test_what_counts() -> None:
    rows = [
        ("Java", JAVA),
        ("Rust", "/// doc\nfn a() {} // b\n"),
        ("SQL", "COMMENT ON TABLE a IS 'b';\n-- x\n"),
        ("JSON", "[1]"),
        ("XML", "<a/>"),
    ]
    counted = [round((share or 0) * len(text)) for (_, text), share in zip(rows, shares([*rows]), strict=True)]
    assert counted == [11 + 11 + 16, 8 + 4, 4, 0, 0]
    python = 'async def f():\n    """Doc."""\n    # one\n    "no docstring"\n'
    assert shares([("Python", python)]) == [pytest.approx((4 + 1 + 4) / len(python), abs=1e-6)]


def test_null_is_what_was_not_parsed() -> None:
    text = "x = 1  # one\n"
    rows = [("Text", text), (None, text), ("Python", None), ("Python", text * 10), ("Python", ""), ("CSS", "=>" * 60_000)]
    assert shares([*rows, ("YAML", "- " * 1000), ("Python", text)], max_bytes=2000) == [None] * 3 + [
        pytest.approx(0.3),
        None,
        None,
        None,
        pytest.approx(3 / 13),
    ]


def test_every_grammar_is_asked_for_what_it_has() -> None:
    assert None not in shares([(language, "/* a */ # b\n-- c\n") for language in GRAMMARS])


def test_the_key_holds_the_grammars() -> None:
    files, libraries = keys.closure(*keys.modules_of([Comments()]))
    assert {"tree-sitter", "tree-sitter-language-pack"} <= {*libraries} and any(f.name == "comments_child.py" for f in files)


def test_without_the_library_the_fix_is_told_before_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Comments().material() == ()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MachineError, match=r"measure\.comments: tree_sitter is not installed: pip install 'starmill\[syntax\]'"
    ):
        Comments().material()
