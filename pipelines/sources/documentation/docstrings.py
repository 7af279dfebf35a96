"""The docstrings of a Python module as a document: of what is public, under headings with the names and arguments.

Nothing is imported or run: a module is parsed within the bounds in which CPython's parser is safe (sources/kaggle.py).
"""

import ast
import inspect
import warnings
from collections.abc import Iterator

from starmill.pipelines.sources import kaggle

TESTS = frozenset(("test", "tests", "testing", "conftest.py", "setup.py"))
Named = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def is_public(path: bytes) -> bool:
    """Say whether a path is that of a module whose documentation is for its users.

    >>> [is_public(path) for path in (b"toy/area.py", b"toy/__init__.py", b"toy/_own.py", b"tests/test_area.py", b"docs/conf.txt")]
    [True, True, False, False, False]
    """
    shown = path.decode("utf-8", "backslashreplace")
    parts = shown.removesuffix("/__init__.py").split("/")
    is_own = any(part.startswith(("_", ".", "test_")) or part in TESTS for part in parts)
    return shown.endswith(".py") and (not is_own or shown == "__init__.py")


def markdown(path: str, text: str) -> str:
    r"""Return the docstrings of a module as Markdown, empty where it has none. Raises ValueError where it does not compile.

    >>> print(markdown("toy/area.py", '"Areas."\ndef square(width, *, twice=False):\n    "Its area."\n'), end="")
    # toy.area
    <BLANKLINE>
    Areas.
    <BLANKLINE>
    ## square(width, *, twice=False)
    <BLANKLINE>
    Its area.
    """
    if reason := kaggle.wrong(text):
        raise ValueError(reason)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in texts
            module = ast.parse(text)
        sections = [*_sections(module, [])]
    except RecursionError as error:
        raise ValueError("RecursionError") from error
    said = [f"## {heading}\n\n{own}\n" for heading, own in sections]
    first = inspect.cleandoc(ast.get_docstring(module, clean=False) or "").strip("\n")
    if not said and not first:
        return ""
    name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return "\n".join([f"# {name}\n", *([f"{first}\n"] if first else []), *said])


def _sections(of: ast.Module | ast.ClassDef, above: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the heading and the docstring of each function and class that is public, in their order."""
    for node in of.body:
        if not isinstance(node, Named) or (node.name.startswith("_") and node.name != "__init__"):
            continue
        name = ".".join([*above, node.name])
        heading = f"class {name}" if isinstance(node, ast.ClassDef) else f"{name}({ast.unparse(node.args)})"
        if own := inspect.cleandoc(ast.get_docstring(node, clean=False) or "").strip("\n"):
            yield " ".join(heading.split()), own
        if isinstance(node, ast.ClassDef):
            yield from _sections(node, [*above, node.name])
