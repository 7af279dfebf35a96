"""Which imports a function needs, and what else of its file: a seed of the standard library compiles and names nothing that is unknown."""

import ast
import builtins
import symtable
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from starmill.core.parsing import answers
from starmill.pipelines.sources.functions import child
from starmill.pipelines.sources.functions.names import MAX_IMPORTS

LIBRARY = Path(sysconfig.get_path("stdlib"))
F = '\n\ndef f(x):\n    """F."""\n    return {}\n'


def found(text: str, language: str = "Python") -> list[dict[str, Any]]:
    [functions] = answers(child.__name__, "sources", [(language, text)])
    return functions  # type: ignore[no-any-return]


def seed(imports: str, value: str, language: str = "Python") -> tuple[str, list[str], list[str]]:
    [f] = found(imports + F.format(value), language)
    return f["text"][: f["imports"]], f["needs"], f["own_imports"]


@pytest.mark.parametrize(
    ("file", "value", "wanted"),
    [
        ("import os.path, sys as s\n", "os.sep", "import os.path"),
        ("import os.path, sys as s\n", "s.path", "import sys as s"),
        ("from a import (b, c as d,\n  e)\n", "d(e)", "from a import c as d, e"),
        ("from a import b\n", "x.b", ""),
        ("from a import b\n", "g(b=1)", ""),
        ("from a import x\n", "x", ""),
        ("from a import *\n", "b", ""),
        ("from __future__ import annotations\nimport b\n", "1", "from __future__ import annotations"),
        ("from __future__ import division\n", "1", ""),
        ("try:\n    import b\nexcept ImportError:\n    b = None\n", "b", "import b"),
    ],
)
def test_imports_are_those_whose_names_are_used(file: str, value: str, wanted: str) -> None:
    assert seed(file, value)[0] == wanted


@pytest.mark.parametrize(
    ("file", "value", "wanted"),
    [
        ("A = 1\n", "A", ["A"]),
        ("A: int = 1\n", "x.A", []),
        ("A, (B, C) = 1, (2, 3)\n", "C", ["C"]),
        ("class A: pass\nB = lambda: 1\n", "A(B)", ["A", "B"]),
        ("x = 1\n", "x", []),
        ("a.b = 1\nc[d] = 2\n", "a + b + c + d", []),
        ("if 1:\n    A = 1\n", "A", ["A"]),
        ("A = 1\n", "[A for A in x]", []),
    ],
)
def test_what_else_is_needed_is_what_the_file_declares(file: str, value: str, wanted: list[str]) -> None:
    assert seed(file, value)[1] == wanted


def test_imports_of_the_same_program_are_no_imports() -> None:
    assert seed("from . import a\nfrom .b import c\nimport d\n", "a(c, d)") == (
        "import d",
        [],
        ["from . import a", "from .b import c"],
    )


@pytest.mark.parametrize("name", ["calendar", "heapq", "random", "statistics", "textwrap"])
def test_a_seed_that_needs_nothing_names_nothing_unknown(name: str) -> None:
    """By Python's own tables of symbols: every global of the seed is an import of it, itself, or built in."""
    for function in found((LIBRARY / f"{name}.py").read_text()):
        if function["reason"] or function["needs"] or function["own_imports"]:
            continue
        text = function["text"]
        bound = {
            (a.asname or a.name).partition(".")[0]
            for n in ast.parse(text).body
            if isinstance(n, ast.Import | ast.ImportFrom)
            for a in n.names
        }
        ahead, named = [symtable.symtable(text, "seed", "exec")], set[str]()
        while ahead:
            table = ahead.pop()
            ahead += table.get_children()
            named |= {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
        assert named <= bound | {function["name"], "__file__", "__name__"} | {*dir(builtins)}, function["name"]


def test_a_file_made_to_be_slow_is_linear() -> None:
    """Imports by the hundred that every function needs do not multiply, and neither do functions, names and comments."""
    many = "".join(f"import {'n' * 20}{n}\n" for n in range(2000))
    used = " + ".join(f"{'n' * 20}{n}" for n in range(2000))
    [f] = found(many + F.format(used))
    assert f["reason"] == "too_many_imports" and len(many) > MAX_IMPORTS
    for text in (
        "".join(f"A{n} = 1\n" + F.format(f"A{n}") for n in range(1500)),
        "# c\n" * 30_000 + F.format(1),
        F.format("(" * 3000 + ")" * 3000),
    ):
        assert found(text)
    own = "from . import " + ", ".join(f"n{n}" for n in range(5000)) + F.format(" + ".join(f"n{n}" for n in range(5000)))
    [f] = found(own)
    assert [len(text) for text in f["own_imports"]] == [200]
    wide = "#include <a>\n" * 3000 + "/// F.\nint f(int x) { return x; }\n" * 300
    assert sum(len(f["text"]) for f in found(wide, "C++")) < 300 * (MAX_IMPORTS + 200)
