"""What stands in a program of a language with braces: comments, strings, functions, and what its tests reach when they run.

A reader of words and braces, not a parser: it says of tests only whether they are run at all, and the compiler and the sandbox say the
rest. Where it is unsure, tests count. All of it takes linear time.
"""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

BLOCK = r"//[^\n]*|/\*(?s:.*?(?:\*/|\Z))"  # a comment
TEXT = r'"(?:[^"\\\n]|\\.)*"?'
LETTER = r"'(?:[^'\\\n]|\\[^\n][^'\n]{0,8})'"
TYPES = r"\b(?:class|struct|enum|interface|trait|record|type)\s+(\w+)"
NO_FUNCTION = r"(?<!new )\b(?!(?:if|for|while|switch|catch|synchronized|try|return|else|do|new|assert|sizeof|decltype|throw)\b)"
PAIRS = {"(": ")", "{": "}"}
Span = tuple[int, int]


@dataclass(frozen=True)
class Braces:
    """How a language writes things, as patterns that a masked program is searched by.

    `strings`: texts in quotes; `function`: from the beginning of a function to its name, and to the bracket of what it takes; `between`
    that and its body; `roots`: how functions begin that run by themselves, or nothing where all outside of functions
    runs; `bound`: what else is defined; `asserts`: what fails a test; `line`: an assertion of one line; `words`: what such a line may name.
    """

    strings: str
    function: str
    between: str
    asserts: str
    roots: str = ""
    bound: str = TYPES
    line: str = ""
    words: str = ""

    def masked(self, text: str) -> str:
        """Return a program with blanks for comments and for what is in quotes: of the same length, with the same lines."""
        return re.sub(f"{BLOCK}|{self.strings}", lambda found: _blank(found[0]), text)

    def functions(self, masked: str) -> "list[Function]":
        """Return the functions of a masked program, by where they begin."""
        return [*self._functions(masked)]

    def _functions(self, masked: str) -> "Iterator[Function]":
        ends = closed(masked)
        for head in re.finditer(self.function, masked, re.MULTILINE):
            name = next(filter(None, head.groups()))
            at = ends.get(head.end() - 1, -1) + 1 if head[0].endswith("(") else head.end()
            if at and (body := re.compile(self.between).match(masked, at)) and (end := ends.get(body.end() - 1)):
                runs = bool(self.roots) and re.search(self.roots, head[0]) is not None
                yield Function(name, head.start(), body.end(), end, runs)

    def names(self, code: str) -> tuple[str, ...]:
        """Return the names of a program's functions and types, in their order."""
        masked = self.masked(code)
        found = [(one.begin, one.name) for one in self.functions(masked)]
        found += [(one.start(), next(filter(None, one.groups()))) for one in re.finditer(self.bound, masked, re.MULTILINE)]
        return tuple(dict.fromkeys(name for _, name in sorted(found) if name != "main"))

    def has_assertion(self, tests: str) -> bool:
        """Say whether anything in tests can fail them."""
        return re.search(self.asserts, self.masked(tests)) is not None

    def invoked(self, code: str, tests: str) -> bool:
        """Say whether what tests reach when they run has an assertion, and names something that the code defines."""
        reached = self.reached(self.masked(tests))
        return bool(re.search(self.asserts, reached)) and not {*self.names(code)}.isdisjoint(_words(reached))

    def reached(self, masked: str) -> str:
        """Return masked tests with blanks for what does not run: what runs are the roots, and functions that are named by what runs."""
        functions = self.functions(masked)
        bodies: dict[str, list[Span]] = {}
        for one in functions:
            bodies.setdefault(one.name, []).extend(_own(one.opens, one.end, functions))
        roots = dict.fromkeys(one.name for one in functions if one.runs)
        reached = [*(span for name in roots for span in bodies[name])] if self.roots else _own(0, len(masked), functions)
        seen = {*roots}
        for begin, end in reached:  # which grows
            for name in _words(masked[begin:end]):
                if name in bodies and name not in seen:
                    seen.add(name)
                    reached += bodies[name]
        made, at = [], 0
        for begin, end in sorted(reached):
            made += [_blank(masked[at:begin]), masked[begin:end]]
            at = end
        return "".join([*made, _blank(masked[at:])])

    def assertions(self, code: str, tests: str) -> list[str]:
        """Return the assertions of one line that name nothing but what the code defines and the language has."""
        known, found = {*self.names(code), *self.words.split()}, []
        for one in re.finditer(self.line, self.reached(self.masked(tests)), re.MULTILINE) if self.line else ():
            if one[1].count("(") == one[1].count(")") and {*_words(one[1])} <= known:
                found.append(tests[one.start(1) : one.end(1)])
        return [*dict.fromkeys(found)]

    def without_comments(self, code: str) -> str:
        """Return a program without its comments, and without lines that had nothing else."""

        def cut(found: re.Match[str]) -> str:
            before, comment, after = found[1] or "", found[2], found[3] or ""
            if comment is None:
                return found[0]
            begins = found.start() == 0 or code[found.start() - 1] == "\n"
            if after or comment.startswith("//"):
                return "" if begins else after
            return before or ("" if begins else " ")

        return re.sub(rf"(?<![ \t])([ \t]*)({BLOCK})[ \t]*(\n|\Z)?|{self.strings}", cut, code)


class Function(NamedTuple):
    """Where a function begins, where its body opens, and where that ends."""

    name: str
    begin: int
    opens: int
    end: int
    runs: bool  # by itself


def closed(masked: str) -> dict[int, int]:
    """Return where each bracket that is opened is closed; of a round one that is not, the brace around it knows nothing."""
    found: dict[int, int] = {}
    ahead: list[int] = []
    for one in re.finditer(r"[(){}]", masked):
        if one[0] in PAIRS:
            ahead.append(one.start())
            continue
        while one[0] == "}" and ahead and masked[ahead[-1]] == "(":
            ahead.pop()
        if ahead and PAIRS[masked[ahead[-1]]] == one[0]:
            found[ahead.pop()] = one.start()
    return found


def _own(begin: int, end: int, functions: list[Function]) -> list[Span]:
    """Return the spans of a part of a program that are not in the functions which it defines."""
    made, at = [], begin
    index = bisect.bisect_left(functions, begin, key=_begin)
    while index < len(functions) and (one := functions[index]).end < end:
        made.append((at, one.begin))
        at = one.end + 1
        index = bisect.bisect_left(functions, at, key=_begin)
    return [*made, (at, end)]


def _begin(one: Function) -> int:
    return one.begin


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


def _words(text: str) -> list[str]:
    """Return the names in a masked text, but for members of something."""
    return re.findall(r"(?<![\w.$])[A-Za-z_$][\w$]*", text)
