"""HumanEval (Chen et al. 2021): 164 functions to write from their signature and documentation.

The protocol is that of StarCoder's paper: the prompt without blank ends, temperature 0.2, and for pass@10 and more 0.8 (an option).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Rows, Task
from starmill.evaluation.tasks.programs import PYTHON_STOPS, wrong_value

FILE = "humaneval/HumanEval.jsonl"
# What StarCoder's paper puts before a prompt, so that it looks like the file of a solution.
PREFIX = "<filename>solutions/solution_1.py\n# Here is the correct implementation of the code exercise\n"


def problem(row: Mapping[str, Any], asked: Callable[[str], str] = str.strip) -> Problem:
    """Return a row as a problem; `asked` makes the prompt of the row's."""
    kept = row["prompt"].strip()
    cut = asked(row["prompt"])
    gap = "" if cut.endswith("\n") else "\n"  # between a stripped prompt and a body
    tests = f"{row['test']}\ncheck({row['entry_point']})\n"
    head = row["prompt"] if gap == "" else kept
    return Problem(
        row["task_id"],
        cut,
        check=lambda completion: Job(head + completion, tests),
        canonical=gap + row["canonical_solution"],
        mutant=f"{gap}    return {wrong_value(row['test'])}\n",
        whole=lambda program: Job(program, tests),
    )


def read(rows: Rows) -> list[Problem]:
    """Return the problems with prompts without blank ends."""
    return [problem(row) for row in rows[FILE]]


HUMANEVAL = Task(
    "humaneval",
    "Python functions from their documentation",
    "Chen et al. 2021, arXiv 2107.03374",
    (FILE,),
    read,
    (*PYTHON_STOPS,),
)
PROMPTED = replace(
    HUMANEVAL,
    name="humaneval_prompted",
    about="HumanEval behind a file's name and a remark, as StarCoder's paper prompts",
    sentinels=("<filename>",),
    read=lambda rows: [problem(row, lambda text: PREFIX + text.strip()) for row in rows[FILE]],
)
UNSTRIPPED = replace(
    HUMANEVAL,
    name="humaneval_unstripped",
    about="HumanEval with prompts as they are, which end with a line's end",
    read=lambda rows: [problem(row, str) for row in rows[FILE]],
)
TASKS = (HUMANEVAL, PROMPTED, UNSTRIPPED)
