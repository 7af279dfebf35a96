"""What a module says to a key: the names that it imports, and a digest of its syntax tree without comments and docstrings.

To parse the two hundred modules of a run takes a second, which a run with nothing to do would wait for. So what was found is remembered in
the user's cache, by the sha256 of the code: a module that changed is parsed again, and so are all under another Python or other code here.
"""

import ast
import functools
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from starmill.core import files

MOST = 5_000  # modules that are remembered; beyond, those of this run alone
Said = tuple[tuple[str, ...], str]


def understood(code: bytes) -> Said:
    """Return the full names that a module imports, at any depth, but those that only a type checker reads; and the digest of the rest."""
    known, name = _remembered(), hashlib.sha256(code).hexdigest()
    if name not in known:
        tree = ast.parse(code)
        imports = tuple(_imports(tree))
        known[name] = imports, hashlib.sha256(_without_docstrings(tree)).hexdigest()
    return known[name]


def remember() -> None:
    """Write what was found into the user's cache, where one can be written."""
    known = _remembered()
    if len(known) != _written.get(place()):
        with suppress(OSError):
            place().parent.mkdir(parents=True, exist_ok=True)
            files.write(place(), msgspec.json.encode(known), files.writer_of(place().name))
            _written[place()] = len(known)


def place() -> Path:
    """Return the file of what is remembered: another one for another Python, or other code here."""
    return _place(os.environ.get("XDG_CACHE_HOME", ""))


@functools.cache
def _place(cache: str) -> Path:
    digest = hashlib.sha256(sys.version.encode() + Path(__file__).read_bytes()).hexdigest()[:16]
    return Path(cache or os.path.expanduser("~/.cache")) / "starmill" / f"syntax-{digest}.json"


_written: dict[Path, int] = {}  # entries of the file as it was read or written last


def _remembered() -> dict[str, Said]:
    return _read(place())


@functools.cache
def _read(place: Path) -> dict[str, Said]:
    try:
        known = msgspec.json.decode(place.read_bytes(), type=dict[str, Said])
    except (OSError, ValueError):  # there is none, or it is damaged
        known = {}
    _written[place] = len(known)
    return known if len(known) < MOST else {}


def _imports(tree: ast.Module) -> Iterator[str]:
    ahead: list[ast.AST] = [tree]
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            ahead += node.orelse
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            ahead += _inside(node)


def _without_docstrings(tree: ast.Module) -> bytes:
    ahead: list[ast.AST] = [tree]
    while ahead:
        node = ahead.pop()
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node, clean=False) is not None
        ):
            node.body = node.body[1:]
        ahead += _inside(node)
    return ast.dump(tree).encode()


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    # No expression holds a statement, and most nodes are expressions.
    return (child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr))
