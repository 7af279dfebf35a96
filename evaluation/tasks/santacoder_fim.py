"""Single-line fill-in-the-middle in Python, Java and JavaScript: the line itself is wanted (Ben Allal et al. 2023; StarCoder's table)."""

from functools import partial

from starmill.evaluation.task import Problem, Rows, Score, Task


def exact(completion: str, wanted: str) -> Score:
    """Judge by the first line that is not blank, without blank ends, as the paper does."""
    lines = completion.strip().splitlines()
    return Score(lines[0].strip() == wanted.strip(), "another line") if lines else Score(not wanted.strip(), "an empty line")


def read(rows: Rows, file: str) -> list[Problem]:
    """Return the problems of a language's file."""
    return [
        Problem(
            f"{number}:{row['name']}",
            (row["prompt"], row["suffix"]),
            partial(exact, wanted=row["canonical_solution"]),
            row["canonical_solution"],
            f"{row['canonical_solution'].strip()} and more",
        )
        for number, row in enumerate(rows[file])
    ]


def _task(language: str, file: str) -> Task:
    place = f"santacoder_fim/{file}.jsonl"
    return Task(
        f"santacoder_fim_{file}",
        f"a missing line of {language}, exactly",
        "Ben Allal et al. 2023, arXiv 2301.03988",
        (place,),
        partial(read, file=place),
        ("<file_sep>",),
        max_new_tokens=25,
    )


TASKS = (_task("Python", "py"), _task("Java", "java"), _task("JavaScript", "js"))
