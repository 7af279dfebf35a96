"""Which functions are documented and return a value, by Python's own `ast` over real files; and the corners of a text."""

import ast
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from starmill.core.parsing import answers
from starmill.pipelines.sources.functions import child

LIBRARY = Path(sysconfig.get_path("stdlib"))
NAMES = (
    "ast",
    "calendar",
    "copy",
    "difflib",
    "heapq",
    "inspect",
    "os",
    "random",
    "statistics",
    "textwrap",
    "tokenize",
    "typing",
)
Inner = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef


def found(text: str, language: str = "Python") -> list[dict[str, Any]]:
    [functions] = answers(child.__name__, "sources", [(language, text)])
    return functions  # type: ignore[no-any-return]


def returns(node: ast.AST) -> bool:
    """Whether a function returns a value itself."""
    inside = [child for child in ast.iter_child_nodes(node) if not isinstance(child, Inner)]
    return any((isinstance(child, ast.Return) and child.value is not None) or returns(child) for child in inside)


def by_ast(text: str) -> list[tuple[str, str, int, int, int]]:
    """Name, reason, lines and parameters of each function at the top of a module, without a look at ours."""
    said = []
    for node in (n for n in ast.parse(text).body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)):
        reason = "no_value_returned" if not returns(node) else ""
        reason = reason if (ast.get_docstring(node) or "").strip() else "no_documentation"
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        of = node.args
        count = len([*of.posonlyargs, *of.args, *of.kwonlyargs]) + (of.vararg is not None) + (of.kwarg is not None)
        assert node.end_lineno is not None
        said.append((node.name, reason, first, node.end_lineno, 0 if reason else count))
    return said


@pytest.mark.parametrize("name", NAMES)
def test_functions_are_those_that_ast_finds(name: str) -> None:
    text = (LIBRARY / f"{name}.py").read_text()
    ours = [tuple(f[key] for key in ("name", "reason", "first", "last", "parameters")) for f in found(text)]
    assert ours == by_ast(text)
    for function in (f for f in found(text) if not f["reason"]):
        [node] = [n for n in ast.parse(function["text"]).body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        said = function["text"][slice(*function["documentation"])]
        assert ast.literal_eval(said) == ast.get_docstring(node, clean=False), "marked where it stands"


CASES = {
    "'''Other quotes.'''": "",
    'r"""Raw."""': "",
    '"""In" "two."""': "",
    'f"""Formatted."""': "no_documentation",
    'b"""Bytes."""': "no_documentation",
    '""" """': "no_documentation",
    '# a comment\n    """Below it."""': "",
}


@pytest.mark.parametrize("said", CASES, ids=range(len(CASES)))
def test_a_docstring_is_what_python_takes_for_one(said: str) -> None:
    text = f"def f(x):\n    {said}\n    return x\n"
    assert [f["reason"] for f in found(text)] == [CASES[said]] == [reason for _, reason, *_ in by_ast(text)]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return", "no_value_returned"),
        ("return  # nothing", "no_value_returned"),
        ("def g():\n        return 1", "no_value_returned"),
        ("h = lambda: 1", "no_value_returned"),
        ("yield 1", "no_value_returned"),
        ("if x:\n        return None", ""),
    ],
)
def test_a_value_is_returned_by_the_function_itself(body: str, reason: str) -> None:
    assert [f["reason"] for f in found(f'def f(x):\n    """F."""\n    {body}\n')] == [reason]


def test_what_is_not_at_the_top_is_no_function_and_an_error_in_one_is_its_own() -> None:
    method = 'class C:\n    def m(self):\n        """M."""\n        return 1\n\n\n'
    inner = method + 'if True:\n    def g(x):\n        """G."""\n        return x\n'
    sound = '\n\ndef f(x):\n    """F."""\n    return x\n\n\ndef b(x):\n    """B."""\n    return x $$ 1\n'
    assert [(f["name"], f["reason"]) for f in found(inner + sound)] == [("f", ""), ("b", "syntax_error")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/** F. */\n\nfunction f(x) { return x; }\n", None),
        ("/** G. */\nconst y = 1;\nfunction f(x) { return x; }\n", None),
        ("/** A. */\n/** F. */\nfunction f(x) { return x; }\n", "/** F. */"),
        ("/**/\nfunction f(x) { return x; }\n", None),
        ("/** F. */ function f(x) { return x; }\n", "/** F. */"),
    ],
)
def test_documentation_stands_right_above(text: str, said: str | None) -> None:
    [f] = found(text, "JavaScript")
    assert (f["text"][slice(*f["documentation"])] or None) == said
    assert f["reason"] == ("" if said else "no_documentation")
