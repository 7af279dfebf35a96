"""HumanEval infilling (Bavarian et al. 2022): lines and spans that are missing from HumanEval's solutions."""

from functools import partial

from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Rows, Task

FOLDER = "humaneval_infilling"
SOURCE = "Bavarian et al. 2022, arXiv 2207.14255"


def first_line(text: str) -> str:
    """Return the first line that is not blank, with its end: what a completion of a single line is.

    >>> first_line("    x = 1\\n    y = 2\\n")
    '    x = 1\\n'
    """
    return next((f"{line}\n" for line in text.split("\n") if line.strip()), "")


def read(rows: Rows, file: str, single: bool = False) -> list[Problem]:
    """Return the problems of a file. A mutant writes a name that is nothing, in place of what is missing."""
    found = []
    for row in rows[file]:
        before, after = row["prompt"], row["suffix"]
        tests = f"{row['test']}\ncheck({row['entry_point']})\n"

        def check(completion: str, before: str = before, after: str = after, tests: str = tests) -> Job:
            return Job(before + (first_line(completion) if single else completion) + after, tests)

        right = row["canonical_solution"]
        # Nothing at all may be right; a syntax error never is.
        found.append(Problem(row["task_id"], (before, after), check, right, "    this is no code(\n"))
    return found


def _task(name: str, file: str, what: str, single: bool = False) -> Task:
    place = f"{FOLDER}/HumanEval-{file}.jsonl"
    reader = partial(read, file=place, single=single)
    # The middle ends where the model says so, with <|endoftext|>.
    return Task(name, what, SOURCE, (place,), reader, ("<file_sep>",), max_new_tokens=64 if single else 512)


TASKS = (
    _task("infilling_single_line", "SingleLineInfilling", "a missing line of HumanEval's solutions", single=True),
    _task("infilling_multi_line", "MultiLineInfilling", "missing lines of HumanEval's solutions"),
    _task("infilling_span", "RandomSpanInfilling", "a missing span of HumanEval's solutions"),
    _task("infilling_span_light", "RandomSpanInfillingLight", "one missing span of each of HumanEval's solutions"),
)
