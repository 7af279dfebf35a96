"""A benchmark's tasks: its lines read by named fields, and what of a prompt is prose.

StarCoder2's decontamination takes the docstring of a HumanEval prompt, the second quoted block where there are two, and solutions. Here a
description says which fields are what; a field may be absent, and that of tests may be a list of texts.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starmill.core.errors import InputError

QUOTED = re.compile(r'"""(.*?)"""|\'\'\'(.*?)\'\'\'', re.DOTALL)
COMMENT = re.compile(r"^[ \t]*(?:///?!?|\*+(?!/)|/\*+|#(?!include|lang|!|\[)'?|--+|;+|%+)[ \t]?(.*)$")
DOCTEST = re.compile(r"^\W*(?:>>>|assert\b)")
EXAMPLE = re.compile(
    r"^\W*(?:>>>|assert\b|examples?\b|for examples?\b|for instance\b|e\.g\.|note\b)|=>|==>|➞|->|\) ==? ", re.IGNORECASE
)
SUFFIX = re.compile(r"(\.(jsonl?|parquet|gz|zst|xz|bz2|zip))+$", re.IGNORECASE)
ROLES = ("prompt", "docstring", "solution", "tests")


@dataclass(frozen=True)
class Description:
    """Which fields of a benchmark are what. A field is the name of a column; a role may have several, of which a line needs one.

    `task`: the column that names a task, else its line does. `entry`: the column with the function's name, which else is the last one
    that the prompt or the solution defines. `until`: where a prompt or docstring ends that has its answer's frame behind it.
    `numbers`: the first and the last of the tasks that count, where tasks have numbers.

    >>> Description(docstring=("question",)).tasks([{"question": "How many?"}], "mine")
    [Task(benchmark='mine', name='1', docstring='How many?', prompt='', solution='', tests='', entry='')]
    """

    benchmark: str = ""  # its name in finds; where there is none, that of the file
    task: str = "task_id"
    prompt: tuple[str, ...] = ()
    docstring: tuple[str, ...] = ()
    solution: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    entry: str = ""
    until: str = ""
    numbers: tuple[int, int] | None = None

    def tasks(self, lines: Iterable[object], where: str) -> "list[Task]":
        """Return the tasks of a benchmark's lines as values. Raises InputError, naming file, line and field, for a bad one."""
        found = [self._task(line, number, where) for number, line in enumerate(lines, 1) if line is not None]
        if self.numbers is None:
            return found
        first, last = self.numbers
        return [task for task in found if task.name.isdecimal() and first <= int(task.name) <= last]

    def _task(self, line: object, number: int, where: str) -> "Task":
        place = f"{where}, line {number}"
        if not isinstance(line, Mapping):
            raise InputError(f"{place}: {type(line).__name__} where an object with texts should be")
        texts = {role: _text(line, getattr(self, role), place, role == "tests") for role in ROLES}
        if not any(texts.values()):
            wanted = [name for role in ROLES for name in getattr(self, role)]
            raise InputError(f"{place}: none of {', '.join(wanted)}")
        if self.until:
            texts |= {role: texts[role].partition(self.until)[0] for role in ("prompt", "docstring")}
        entry = line.get(self.entry) if self.entry else None
        name = line.get(self.task)
        said = re.sub(r"[^\x21-\x7e]+", "_", str(number if name is None else name))[:100]
        file = SUFFIX.sub("", where.rpartition("/")[2])
        return Task(self.benchmark or file, said, entry=entry if isinstance(entry, str) else "", **texts)


def _text(line: Mapping[Any, Any], names: tuple[str, ...], place: str, several: bool) -> str:
    made = []
    for name in names:
        value = line.get(name)
        for text in value if several and isinstance(value, list) else [value]:
            if text is not None and not isinstance(text, str):
                raise InputError(f"{place}: {name} is {json.dumps(value, default=str)[:40]} where a text should be")
            made.append(text or "")
    return "\n".join(filter(None, made))


@dataclass(frozen=True)
class Task:
    """One task: its texts, as the benchmark has them, and what it is called."""

    benchmark: str
    name: str
    docstring: str = ""
    prompt: str = ""
    solution: str = ""
    tests: str = ""
    entry: str = ""

    @property
    def stated(self) -> str:
        """The docstring: of a prompt the quoted block, the second where there are two, or all of it where it quotes nothing."""
        quoted = [a or b for a, b in QUOTED.findall(self.prompt)]
        return self.docstring or (quoted[min(1, len(quoted) - 1)] if quoted else self.prompt)

    @property
    def prose(self) -> str:
        """What the docstring says without its doctests; of a prompt that quotes nothing, its comments, if it has some."""
        lines = self.stated.splitlines()
        if not self.docstring and self.stated == self.prompt:
            said = [found[1] for found in map(COMMENT.match, lines) if found and found[1].strip(" */")]
            lines = said or lines
        return "\n".join(_without_doctests(lines))

    @property
    def opening(self) -> str:
        """The prose up to its first example."""
        lines = self.prose.splitlines()
        end = next((n for n, line in enumerate(lines) if n and EXAMPLE.search(line)), len(lines))
        return "\n".join(lines[:end])

    @property
    def called(self) -> str:
        """The name of the function that the task asks for, or nothing where that is not known."""
        if self.entry:
            return self.entry
        defined = re.findall(r"\b(?:def|fn|func|function|sub)\s+(\w+)", self.prompt) or []
        more = re.findall(r"^def\s+(\w+)", self.solution, re.MULTILINE)
        return str(defined[-1] if defined else more[-1] if more else "")


def _without_doctests(lines: Iterable[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        if DOCTEST.match(line):
            inside = ">>>" in line
        elif inside:
            inside = bool(line.strip(" \t*#/;-%"))
        else:
            yield line
