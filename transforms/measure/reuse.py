"""What a file says of its own licence: identifiers of SPDX in its head, `.license` files beside it, REUSE.toml and dep5 (REUSE 3.3).

An identifier counts where a line begins with it, behind at most the leader of a comment: a program that speaks of identifiers is not
licensed by them.
"""

import fnmatch
import functools
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from license_expression import ExpressionError, Licensing

from starmill.transforms.measure.declared import spdx

HEAD_CHARS = 8_000  # of a file, in which its own licence stands
TAG = "SPDX-License-Identifier:"
OWN = re.compile(rf"^[^\w\n\"'`]{{0,12}}(?:(?:rem|dnl)[ \t]+)?{TAG}[ \t]*([^\n]{{1,400}})", re.MULTILINE | re.IGNORECASE)
EXPRESSION = re.compile(r"[\w.+()-]+(?:[ \t]+[\w.+()-]+)*")
BESIDE = ".license"
TABLES = ("REUSE.toml", "dep5")
STANZA = re.compile(r"^(Files|License):[ \t]*(.*(?:\n[ \t].*)*)", re.MULTILINE)
MOST_RULES = 1_000  # of a table
MOST_CHARS = 2_000  # of an expression
LONGEST = 4_096  # characters of a pattern, as of a path
PLAIN = Licensing()


@dataclass(frozen=True)
class Rule:
    """An annotation in `file`: files whose paths below `folder` match `pattern` are under `expression`."""

    file: str
    folder: str
    pattern: str
    expression: str
    over_slashes: bool = False  # a star of dep5 stands for folders too

    def holds(self, path: str) -> bool:
        """Return whether the annotation is about the file at `path`."""
        if not path.startswith(f"{self.folder}/"):
            return False
        inside = path[len(self.folder) + 1 :]
        if self.over_slashes:
            return _star(self.pattern).match(inside) is not None
        return _globs(self.pattern.split("/"), inside.split("/"))


def own(text: str) -> str | None:
    """Return the SPDX expression in the head of a file; several identifiers all hold.

    >>> own("// SPDX-License-Identifier: MIT OR Apache-2.0 */"), own('print("SPDX-License-Identifier: MIT")')
    ('MIT OR Apache-2.0', None)
    """
    found = [parsed for value in OWN.findall(text[:HEAD_CHARS]) if (parsed := _parsed(value))]
    distinct = list(dict.fromkeys(found))
    return " AND ".join(f"({e})" if " " in e else e for e in distinct) if len(distinct) > 1 else next(iter(distinct), None)


def rules(path: str, text: str) -> list[Rule]:
    """Return the annotations of a REUSE.toml or dep5; one that does not parse has none."""
    folder, _, name = path.rpartition("/")
    if name == "REUSE.toml":
        found = _of_toml(path, folder, text)
    else:
        found = _of_dep5(path, folder.removesuffix("/.reuse").removesuffix("/debian"), text)
    return [rule for rule in found if len(rule.pattern) <= LONGEST][:MOST_RULES]


def _of_toml(file: str, folder: str, text: str) -> list[Rule]:
    found = []
    try:
        for annotation in tomllib.loads(text).get("annotations", []):
            paths, said = annotation.get("path", []), annotation.get("SPDX-License-Identifier")
            all_hold = " AND ".join(f"({one})" for one in ([said] if isinstance(said, str) else said or []))
            if parsed := _parsed(all_hold):
                found += [
                    Rule(file, folder, p, parsed) for p in ([paths] if isinstance(paths, str) else paths) if isinstance(p, str)
                ]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []
    return found


def _of_dep5(file: str, folder: str, text: str) -> list[Rule]:
    found, files = [], ""
    for name, value in STANZA.findall(text):
        if name == "Files":
            files = value
        elif files and (parsed := _parsed(value.split("\n")[0].replace(" or ", " OR ").replace(" and ", " AND "))):
            found += [Rule(file, folder, pattern, parsed, over_slashes=True) for pattern in files.split()]
            files = ""
    return found


@functools.lru_cache(maxsize=1 << 12)
def _parsed(value: str) -> str | None:
    """Return the expression that a value begins with. Where a list goes on behind it (`MIT, GPL-2.0-only`), all of its licences hold."""
    if len(value) > MOST_CHARS:
        return None
    said = EXPRESSION.findall(value.strip().rstrip("*/->% \t"))
    try:
        parsed = [PLAIN.parse(one) for one in said[:1]]
        parsed += [more for one in said[1:] if (more := _known(one)) is not None]
        return str(PLAIN.AND(*parsed).render("{symbol.key}") if len(parsed) > 1 else parsed[0].render("{symbol.key}"))
    except (ExpressionError, ValueError, AttributeError, IndexError, RecursionError):
        return None


def _known(said: str) -> Any:
    """Return an expression of SPDX's own identifiers, or None for other words behind an expression."""
    try:
        return spdx().parse(re.sub(r"(?i)^and[ \t]+", "", said), validate=True)
    except (ExpressionError, ValueError, RecursionError):
        return None


@functools.lru_cache(maxsize=1 << 12)
def _star(pattern: str) -> re.Pattern[str]:
    # `fnmatch` writes a star so that no text is tried twice. Only stars mean more than themselves here.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]").replace("?", "[?]")))


def _globs(patterns: Sequence[str], names: Sequence[str]) -> bool:
    """Return whether the folders and the name of a path match those of a pattern, where `**` stands for any number of them."""
    ends = {0}  # how many of the names are matched so far, each way that there is
    # `**/**` is `**`: the others take a name each, so that the names end a long pattern, too.
    for pattern in (one for at, one in enumerate(patterns) if not at or one != "**" or patterns[at - 1] != "**"):
        if not ends:
            return False
        ends = (
            set(range(min(ends), len(names) + 1))
            if pattern == "**"
            else {at + 1 for at in ends if at < len(names) and _star(pattern).match(names[at])}
        )
    return len(names) in ends
