"""GSM8K by programs (Cobbe et al. 2021; PAL, Gao et al. 2022): a model writes a program that computes the answer of a word problem.

The eight worked examples of the prompt are of our own writing (pal.txt), in PAL's layout.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import resources
from typing import Any

from starmill.core.errors import InputError
from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Rows, Task

GSM8K, HARD = "gsm8k/gsm8k-test.jsonl", "gsm8k/gsmhardv2.jsonl"
ANSWER = re.compile(r"#### (-?[\d,]+(?:\.\d+)?)\s*$")
SIGN = "# solution in Python:\n\n\n"


def check(completion: str, wanted: float) -> Job:
    """Judge by the number that `solution()` returns; the program prints it, so that samples can vote."""
    program = f"{completion}\n\n\ndef answer():\n    return round(float(solution()), 6)\n\n\nprint(answer())\n"
    return Job(program, f"assert abs(answer() - {wanted!r}) < 1e-3\n")


def _problem(name: str, question: str, wanted: float, examples: str) -> Problem:
    prompt = f"{examples}Q: {question}\n\n{SIGN}"
    right = f"def solution():\n    return {wanted!r}\n"
    wrong = f"def solution():\n    return {wanted!r} + 1 + abs({wanted!r})\n"
    return Problem(name, prompt, partial(check, wanted=wanted), right, wrong)


def number_of(row: Mapping[str, Any], file: str) -> float:
    """Return the answer of a row: what stands behind ####, or `target`. Raises InputError."""
    if "target" in row:
        return float(row["target"])
    if not (found := ANSWER.search(row["answer"])):
        raise InputError(f"{file}: no number behind #### in {row['answer'][-60:]!r}; get the file again")
    return float(found[1].replace(",", ""))


def _read(rows: Rows, file: str) -> list[Problem]:
    examples = resources.files("starmill.evaluation.tasks").joinpath("pal.txt").read_text("utf-8")
    return [
        _problem(str(at), row.get("question", row.get("input", "")), number_of(row, file), examples)
        for at, row in enumerate(rows[file])
    ]


GREEDY = Task(
    "gsm8k_pal",
    "word problems by programs, greedy",
    "Cobbe et al. 2021, arXiv 2110.14168; Gao et al. 2022, arXiv 2211.10435",
    (GSM8K,),
    partial(_read, file=GSM8K),
    ("\n\n\n", "\nQ:", "<file_sep>"),
    temperature=0.0,
    top_p=1.0,
)
MAJORITY = replace(
    GREEDY,
    name="gsm8k_pal_majority",
    about="word problems by programs, the answer of most of 40",
    temperature=0.7,
    top_p=0.95,
    samples=40,
    vote=True,
)
TASKS = (
    GREEDY,
    MAJORITY,
    replace(
        GREEDY, name="gsmhard_pal", about="word problems with large numbers", files=(HARD,), read=partial(_read, file=HARD)
    ),
)
