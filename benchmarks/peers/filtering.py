"""What bigcode-dataset's preprocessing/filtering.py decides of a text, rule by rule, written anew from its code on the same libraries.

`kept` is what StarCoder's filters say (per extension, XML, JSON and YAML, HTML), `comment_share` is SantaCoder's share of comments. Lines
are those of str.splitlines, as in The Stack's columns; pages are read by BeautifulSoup, comments by tokenize and ast, or by Pygments.
"""

import ast
import io
import tokenize
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import pygments
from bs4 import BeautifulSoup, MarkupResemblesLocatorWarning, XMLParsedAsHTMLWarning
from pygments.lexers import get_lexer_by_name
from pygments.token import Token

warnings.simplefilter("ignore", MarkupResemblesLocatorWarning)
warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
COMMENTS = (Token.Comment.Multiline, Token.Comment.Single)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


class Limits(NamedTuple):
    """A row of the table of extensions that is included."""

    line_max: float | None
    alphanum: float | None
    alpha: float | None


def kept(language: str, extension: str, text: str, table: Mapping[tuple[str, str], Limits]) -> str | None:
    """Return the filter that drops a text; None if it stays."""
    limits = table.get((language, extension))
    if limits is None:
        return "extension"
    lines = [len(line) for line in text.splitlines()]
    if limits.line_max and max(lines, default=0) > limits.line_max:
        return "long line"
    if limits.line_max and sum(lines) / max(1, len(lines)) > 100:
        return "mean line"
    if limits.alphanum and sum(map(str.isalnum, text)) / max(1, len(text)) < limits.alphanum:
        return "alphanum"
    if limits.alpha and sum(map(str.isalpha, text)) < limits.alpha * len(text):
        return "alpha"
    if language != "XSLT" and "<?xml version=" in text[:100]:
        return "xml"
    if (
        language in ("JSON", "YAML") and not 50 <= len(text) <= 5000
    ):  # as StarCoder was made; the code's defaults are 100 to 5,000
        return "size"
    return "html" if language == "HTML" and not shows_text(text) else None


def shows_text(page: str) -> bool:
    """Say whether a page has enough visible text."""
    try:
        soup = BeautifulSoup(page, features="html.parser")
    except (TypeError, UnboundLocalError):
        return False
    for element in soup(["script", "style"]):
        element.extract()
    text = soup.get_text()
    return len(text) / len(page) > 0.2 and len(text) > 100


def comment_share(text: str, language: str) -> float:
    """Return the share of comments and docstrings."""
    if language == "Python":
        return len(f"{_docstrings(text)}\n{_comments(text)}".strip()) / len(text)
    tokens = pygments.lex(text, get_lexer_by_name(language.lower()))
    return sum(len(value) for kind, value in tokens if kind in COMMENTS) / len(text)


def _docstrings(text: str) -> str:
    try:
        nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, DOCUMENTED)]
        return "\n".join(said for node in nodes if (said := ast.get_docstring(node)))
    except Exception:
        return ""


def _comments(text: str) -> str:
    try:
        tokens = [one for one in tokenize.generate_tokens(io.StringIO(text).readline) if one.type == tokenize.COMMENT]
        return "".join(one.string for one in tokens).replace("#", "")
    except Exception:
        return ""
