"""MBPP (Austin et al. 2021): 974 small programs from a sentence and an assertion; the papers use ids 11 to 510, and 427 were sanitized.

The prompt is InCoder's, as StarCoder's paper uses it: the sentence and the first assertion, as the documentation of a module.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Rows, Task
from starmill.evaluation.tasks.programs import all_wrong, wrong_value

FULL, SANITIZED = "mbpp/mbpp.jsonl", "mbpp/sanitized-mbpp.json"
TEST = range(11, 511)  # of the task ids
STOPS = ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```", "<file_sep>")


def asked(text: str, example: str) -> str:
    """Return the prompt of a sentence and an assertion.

    >>> print(asked("Add one.", "assert f(1) == 2"))
    \"\"\"
    Add one.
    assert f(1) == 2
    \"\"\"
    <BLANKLINE>
    """
    return f'"""\n{text}\n{example}\n"""\n'


def problem(row: Mapping[str, Any]) -> Problem:
    """Return a row of either file as a problem; only that the solution's definitions are whole lines is asked of it."""
    code = row["code"].replace("\r\n", "\n")
    setup = row.get("test_setup_code", "").replace("\r\n", "\n")
    lines = [*row.get("test_imports", ()), setup, *row["test_list"], *row.get("challenge_test_list", ())]
    tests = "\n".join(line for line in lines if line) + "\n"

    def check(completion: str) -> Job:
        # A setup makes objects of the solution's classes and changes them: no border can lie between.
        return Job(completion, tests, together=bool(setup))

    wrong = all_wrong(code, wrong_value(tests))
    return Problem(
        f"Mbpp/{row['task_id']}", asked(row.get("text", row.get("prompt", "")), row["test_list"][0]), check, code, wrong
    )


def _read(rows: Rows, file: str, ids: range | None = None) -> list[Problem]:
    return [problem(row) for row in rows[file] if ids is None or row["task_id"] in ids]


MBPP = Task(
    "mbpp",
    "small Python programs from a sentence; the 500 of the test split",
    "Austin et al. 2021, arXiv 2108.07732",
    (FULL,),
    lambda rows: _read(rows, FULL, TEST),
    STOPS,
    samples=15,
)
TASKS = (
    MBPP,
    replace(MBPP, name="mbpp_all", about="MBPP, all 974", read=lambda rows: _read(rows, FULL)),
    replace(
        MBPP,
        name="mbpp_sanitized",
        about="MBPP, the 427 that people looked through",
        files=(SANITIZED,),
        read=lambda rows: _read(rows, SANITIZED),
    ),
)
