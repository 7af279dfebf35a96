"""MultiPL-E (Cassano et al. 2022), its Python file: HumanEval as the other languages' files have it, with its tests called already."""

from collections.abc import Mapping
from typing import Any

from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Rows, Task
from starmill.evaluation.tasks.programs import wrong_value

PYTHON = "multipl_e/humaneval-python.jsonl"


def _problem(row: Mapping[str, Any]) -> Problem:
    kept, tests = row["prompt"].strip(), row["test"]
    return Problem(
        row["task_id"],
        kept,
        check=lambda completion: Job(kept + completion, tests),
        canonical="\n" + row["canonical_solution"],
        mutant=f"\n    return {wrong_value(tests)}\n",
        whole=lambda program: Job(program, tests),
    )


def read(rows: Rows) -> list[Problem]:
    """Return the problems of the Python file."""
    return [_problem(row) for row in rows[PYTHON]]


TASKS = (
    Task(
        "multipl_e_python",
        "HumanEval in MultiPL-E's layout, Python",
        "Cassano et al. 2022, arXiv 2208.08227",
        (PYTHON,),
        read,
        ("\ndef", "\n#", "\nif", "\nclass", "<file_sep>"),
        samples=50,
    ),
)
