"""Disguises: ways in which a task of a benchmark lies in real files, as the benchmark has it or edited.

Each takes a task and a source of random numbers, and returns the text of a file. WORN leave every word where it is; EDITED do not.
"""

import json
import random
import re
from collections.abc import Callable

from starmill.transforms.clean.overlap.tasks import Task

OTHER_WORDS = dict(
    pair.split("=")
    for pair in (
        "given=provided list=sequence return=give find=get number=value check=test string=text function=routine elements=items "
        "element=item integer=number array=vector maximum=largest minimum=smallest whether=if write=create using=with first=initial"
    ).split()
)
KEYWORDS = set(
    "def return if else elif for while in not and or is None True False lambda import from as try except class pass break continue "
    "self range len max min sum sorted print list set dict str int float".split()
)


def code(task: Task) -> str:
    """Return the task as Python: a function that says what it does, and does it."""
    if task.prompt:
        return task.prompt + task.solution
    return f'"""\n{task.docstring}\n"""\n{task.solution}\n'.replace("\r\n", "\n")


def indented(task: Task, draw: random.Random) -> str:
    """Return the code in a class, indented by tabs."""
    lines = code(task).splitlines()
    return "class Answers:\n" + "\n".join(f"\t{line}" for line in lines)


def notebook(task: Task, draw: random.Random) -> str:
    """Return the code as a cell of a notebook."""
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": code(task).splitlines(keepends=True)}]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def json_line(task: Task, draw: random.Random) -> str:
    """Return the code as a value of a JSON line."""
    return json.dumps({"id": draw.randrange(10**6), "text": code(task), "source": "web"})


def commented(leader: str, frame: str) -> Callable[[Task, random.Random], str]:
    """Return a disguise: the docstring alone, as comments."""

    def disguise(task: Task, draw: random.Random) -> str:
        lines = [f"{leader} {line.strip()}" for line in task.stated.splitlines() if line.strip()]
        return frame.format("\n".join(lines), task.called or "solve")

    return disguise


def without_doctests(task: Task, draw: random.Random) -> str:
    """Return the docstring without its examples, and no solution."""
    return f'def {task.called or "solve"}(v):\n    """{task.prose}"""\n'


def other_spaces(task: Task, draw: random.Random) -> str:
    """Return the code with carriage returns, tabs and no-break spaces."""
    return re.sub(r"(?<=\w) (?=\w)", "\u00a0", code(task).replace("    ", "\t")).replace("\n", "\r\n")


def wrapped(task: Task, draw: random.Random) -> str:
    """Return the docstring in lines of forty characters, and the code without blank lines."""
    words, lines = task.stated.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 40:
            lines.append("")
        lines[-1] += f"{word} "
    told = "\n".join(lines)
    return f"'''{told}'''\n" + "\n".join(line for line in task.solution.splitlines() if line.strip())


def upper(task: Task, draw: random.Random) -> str:
    """Return the code in capitals."""
    return code(task).upper()


def typos(task: Task, draw: random.Random) -> str:
    """Return the code with a typo in one word of twelve: a letter gone, twice, or in its neighbour's place."""

    def slip(found: re.Match[str]) -> str:
        word = found[0]
        if draw.random() > 1 / 12 or len(word) < 3:
            return word
        at = draw.randrange(len(word) - 1)
        kind = draw.randrange(3)
        return (
            word[:at] + word[at + 1 :]
            if kind == 0
            else word[:at] + word[at] + word[at:]
            if kind == 1
            else word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        )

    return re.sub(r"\w+", slip, code(task))


def renamed(task: Task, draw: random.Random) -> str:
    """Return the code with other names for its arguments and variables, in the docstring too."""
    text = code(task)
    names = set(re.findall(r"(?:^|[^\w.])([A-Za-z_]\w*)\s*(?=[-+*/]?=[^=])", task.solution))
    for arguments in re.findall(r"def \w+\((.*?)\)", text):
        names |= set(re.findall(r"(\w+)\s*(?=[,:=]|$)", arguments))
    names = {n for n in names - KEYWORDS if not n[0].isdigit()}
    other = {name: f"{draw.choice('pqwkz')}{draw.choice(['ar', 'al', 'in', 'um'])}{n}" for n, name in enumerate(sorted(names))}
    return re.sub(r"\w+", lambda found: other.get(found[0], found[0]), text)


def _reworded(text: str, draw: random.Random) -> str:
    words = text.split()
    for n in range(len(words) - 1):
        if draw.random() < 1 / 10:
            words[n], words[n + 1] = words[n + 1], words[n]
    return " ".join(OTHER_WORDS.get(w.lower(), w) if draw.random() < 0.5 else w for w in words)


def paraphrase(task: Task, draw: random.Random) -> str:
    """Return the prose with other words and words that changed places, and the solution with other names."""
    return f'def {task.called or "solve"}(v):\n    """{_reworded(task.prose, draw)}"""\n' + renamed(
        Task(task.benchmark, task.name, docstring="-", solution=task.solution), draw
    )


def told_otherwise(task: Task, draw: random.Random) -> str:
    """Return the prose alone, with other words and words that changed places."""
    return f"# {_reworded(task.prose, draw)}\n"


def as_is(task: Task, draw: random.Random) -> str:
    """Return the code."""
    return code(task)


WORN: dict[str, Callable[[Task, random.Random], str]] = {
    "as it is": as_is,
    "indented, in a class": indented,
    "cell of a notebook": notebook,
    "value in a JSON line": json_line,
    "docstring as // comments": commented("//", "{}\nfunction {}(v) {{\n}}\n"),
    "docstring as # comments": commented("#", "{}\nsub {} {{\n}}\n"),
    "docstring as -- comments": commented("--", "{}\nlocal function {}(v)\nend\n"),
    "docstring as * comments": commented(" *", "/**\n{}\n */\nint {}(int v);\n"),
    "docstring without doctests": without_doctests,
    "other white space": other_spaces,
    "other line breaks": wrapped,
    "upper case": upper,
}
EDITED: dict[str, Callable[[Task, random.Random], str]] = {
    "typos": typos,
    "other names": renamed,
    "paraphrase": paraphrase,
    "paraphrase of the docstring alone": told_otherwise,
}
