"""HumanEvalPack (Muennighoff et al. 2023), Python: mend a function, write one from an instruction or from one's own explanation.

Prompts are the paper's "instruct", or StarCoder's own format of commits (`_commit`).
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Prompt, Rows, Task
from starmill.evaluation.tasks.programs import IMPORTS, PYTHON_STOPS, body, wrong_value

FILE = "humanevalpack/humanevalpack-python.jsonl"
SOURCE = "Muennighoff et al. 2023, arXiv 2308.07124"
STOPS = (*PYTHON_STOPS, "\nassert")
COMMIT = ("<commit_before>", "<commit_msg>", "<commit_after>")
Row = Mapping[str, Any]


def check(completion: str, row: Row) -> Job:
    """Judge a function's body, which ends before what is not indented."""
    return Job(f"{IMPORTS}{row['prompt'].rstrip()}{body(completion.rstrip())}\n", row["test"])


def _problem(row: Row, prompt: Prompt, wrong: str | None = None, then: Callable[[str], Prompt] | None = None) -> Problem:
    return Problem(
        row["task_id"],
        prompt,
        partial(check, row=row),
        "\n" + row["canonical_solution"],
        "\n" + (f"    return {wrong_value(row['test'])}\n" if wrong is None else wrong),
        whole=lambda program: Job(IMPORTS + program, row["test"]),
        then=then,
    )


def _fix(rows: Rows, docs: bool, commit: bool) -> list[Problem]:
    found = []
    for row in rows[FILE]:
        head = row["prompt"] if docs else row["declaration"]
        buggy = head + row["buggy_solution"]
        asked = f"Fix bugs in {row['entry_point']}."
        if commit:
            prompt = f"<commit_before>{buggy.strip()}<commit_msg>{asked}<commit_after>{head.strip()}"
        else:
            shown = buggy if docs else f"{buggy}\n{row['test'].strip()}\n"
            prompt = f"{shown.strip()}\n\n{asked}\n\n{head.strip()}".strip()
        found.append(_problem(row, prompt, row["buggy_solution"]))
    return found


def _synthesize(rows: Rows) -> list[Problem]:
    return [_problem(row, f"{row['instruction'].strip()}\n\n{row['prompt'].strip()}") for row in rows[FILE]]


def _written(row: Row) -> Callable[[str], str]:
    # The explanation may not hold the function itself: what of it is a line of the solution is left out.
    lines = {line.strip() for line in row["canonical_solution"].splitlines() if len(line.strip()) > 1}

    def prompt(explanation: str) -> str:
        told = "\n".join(line for line in explanation.strip().splitlines() if line.strip() not in lines)
        return f"{told}\n\nWrite functional code in Python according to the description.\n\n{row['declaration'].strip()}"

    return prompt


def _explain(rows: Rows) -> list[Problem]:
    found = []
    for row in rows[FILE]:
        code = f"{row['declaration'].strip()}\n{row['canonical_solution'].rstrip()}"
        most = len(row["docstring"])
        asked = f"{code}\n\nProvide a concise natural language description of the code using at most {most} characters."
        found.append(_problem(row, asked, then=_written(row)))
    return found


def _task(name: str, about: str, read: Callable[[Rows], list[Problem]]) -> Task:
    return Task(name, about, SOURCE, (FILE,), read, STOPS, samples=20, sentinels=COMMIT if name.endswith("_commit") else ())


TASKS = (
    _task("humanevalfix_tests", "mend a function, given its tests", partial(_fix, docs=False, commit=False)),
    _task("humanevalfix_docs", "mend a function, given its documentation", partial(_fix, docs=True, commit=False)),
    _task("humanevalfix_docs_commit", "mend a function, asked as a commit", partial(_fix, docs=True, commit=True)),
    _task("humanevalsynthesize", "write a function, asked by an instruction", _synthesize),
    _task("humanevalexplain", "write a function from the model's own explanation of it", _explain),
)
