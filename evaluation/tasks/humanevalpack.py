"""HumanEvalPack (Muennighoff et al. 2023): mend a function, write one from an instruction or from one's own explanation.

Prompts are the paper's "instruct", or StarCoder's own format of commits (`_commit`). Go's and Rust's programs import packages that no
toolchain brings: sandbox/prepare.py makes them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from starmill.evaluation.sandbox import golang
from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.sandbox.languages import LANGUAGES
from starmill.evaluation.task import Problem, Prompt, Rows, Task
from starmill.evaluation.tasks.programs import IMPORTS, PYTHON_STOPS, body, wrong_value

PYTHON = "python"
# Of other languages: what stands before the program, and in how many blocks the last test stands. console.assert tells, and goes on.
OTHERS = {
    "js": (
        'console.assert = (right, ...told) => { if (!right) throw new Error(["assertion failed", ...told].join(" ")); };\n',
        0,
    ),
    "java": ("", 2),
    "cpp": ("", 1),
    "go": ("", 0),
    "rust": ("fn main(){}\n", 2),
}
# What the paper's harness lets a program of Go import beside what its prompt and its tests do.
GO = 'import ("bytes"; "crypto/md5"; "fmt"; "math"; "math/rand"; "regexp"; "sort"; "strconv"; "strings"; "time")'
NAMES = {PYTHON: "Python", "js": "JavaScript", "java": "Java", "cpp": "C++", "go": "Go", "rust": "Rust"}
SECONDS = {
    PYTHON: 10.0,
    "js": 10.0,
    "java": 10.0,
    "cpp": 60.0,
    "go": 20.0,
    "rust": 300.0,
}  # of CPU, as the paper's harness has of the clock
SOURCE = "Muennighoff et al. 2023, arXiv 2308.07124"
STOPS = (*PYTHON_STOPS, "\nassert")
COMMIT = ("<commit_before>", "<commit_msg>", "<commit_after>")
Row = Mapping[str, Any]


def check(completion: str, row: Row, language: str) -> Job:
    """Judge a function's body, which ends before what is not indented, or with the first brace that is not."""
    if language == PYTHON:
        return Job(f"{IMPORTS}{row['prompt'].rstrip()}{body(completion.rstrip())}\n", row["test"])
    end = completion.find("\n}")
    return whole(row["declaration"] + (completion if end < 0 else completion[: end + 2]), row, language)


def whole(program: str, row: Row, language: str) -> Job:
    """Judge a program that has its function whole."""
    if language == PYTHON:
        return Job(IMPORTS + program, row["test"])
    if language == "go":
        return _go(program, row)
    before, blocks = OTHERS[language]
    return Job(
        before + program, LANGUAGES[language].ended(row["test"], blocks), SECONDS[language], together=True, language=language
    )


def _go(program: str, row: Row) -> Job:
    tests = golang.ended(row["test"])
    # What a declaration calls stands before it in the prompt.
    program = "\n".join([*(text for name, text in golang.functions(row["prompt"]) if f"func {name}(" not in program), program])
    # Nothing but the whole program shows which packages are used.
    text = golang.imported(f"{row['test_setup']}\n{program}\n{tests}", f"{row['import']}\n{GO}")
    return Job(golang.head(text), "", SECONDS["go"], together=True, language="go")


def _problem(
    row: Row, language: str, prompt: Prompt, wrong: str | None = None, then: Callable[[str], Prompt] | None = None
) -> Problem:
    if language == PYTHON and wrong is None:
        wrong = f"    return {wrong_value(row['test'])}\n"
    return Problem(
        row["task_id"],
        prompt,
        partial(check, row=row, language=language),
        "\n" + row["canonical_solution"],
        "\n" + (row["buggy_solution"] if wrong is None else wrong),
        whole=partial(whole, row=row, language=language),
        then=then,
    )


def _fix(rows: Rows, language: str, docs: bool, commit: bool) -> list[Problem]:
    found = []
    for row in _rows(rows):
        head = row["prompt"] if docs else row["declaration"]
        buggy = head + row["buggy_solution"]
        asked = f"Fix bugs in {row['entry_point']}."
        if commit:
            prompt = f"<commit_before>{buggy.strip()}<commit_msg>{asked}<commit_after>{head.strip()}"
        else:
            shown = buggy if docs else f"{buggy}\n{row['test'].strip()}\n"
            prompt = f"{shown.strip()}\n\n{asked}\n\n{head.strip()}".strip()
        found.append(_problem(row, language, prompt, row["buggy_solution"]))
    return found


def _synthesize(rows: Rows, language: str) -> list[Problem]:
    return [_problem(row, language, f"{row['instruction'].strip()}\n\n{row['prompt'].strip()}") for row in _rows(rows)]


def _written(row: Row, language: str) -> Callable[[str], str]:
    # The explanation may not hold the function itself: what of it is a line of the solution is left out.
    lines = {line.strip() for line in row["canonical_solution"].splitlines() if len(line.strip()) > 1}

    def prompt(explanation: str) -> str:
        told = "\n".join(line for line in explanation.strip().splitlines() if line.strip() not in lines)
        asked = f"Write functional code in {NAMES[language]} according to the description."
        return f"{told}\n\n{asked}\n\n{row['declaration'].strip()}"

    return prompt


def _explain(rows: Rows, language: str) -> list[Problem]:
    found = []
    for row in _rows(rows):
        code = f"{row['declaration'].strip()}\n{row['canonical_solution'].rstrip()}"
        most = len(row["docstring"])
        asked = f"{code}\n\nProvide a concise natural language description of the code using at most {most} characters."
        found.append(_problem(row, language, asked, then=_written(row, language)))
    return found


def _rows(rows: Rows) -> Sequence[Row]:
    (found,) = rows.values()
    return found


def _tasks(language: str) -> Iterator[Task]:
    kinds: tuple[tuple[str, str, Callable[..., list[Problem]]], ...] = (
        ("humanevalfix_tests", "mend a function, given its tests", partial(_fix, docs=False, commit=False)),
        ("humanevalfix_docs", "mend a function, given its documentation", partial(_fix, docs=True, commit=False)),
        ("humanevalfix_docs_commit", "mend a function, asked as a commit", partial(_fix, docs=True, commit=True)),
        ("humanevalsynthesize", "write a function, asked by an instruction", _synthesize),
        ("humanevalexplain", "write a function from the model's own explanation of it", _explain),
    )
    for name, about, read in kinds:
        yield Task(
            name if language == PYTHON else f"{name}_{language}",
            about if language == PYTHON else f"{about} ({NAMES[language]})",
            SOURCE,
            (f"humanevalpack/humanevalpack-{language}.jsonl",),
            partial(read, language=language),
            STOPS if language == PYTHON else ("<file_sep>",),
            samples=20,
            sentinels=COMMIT if name.endswith("_commit") else (),
            language=language,
        )


TASKS = tuple(task for language in NAMES for task in _tasks(language))
