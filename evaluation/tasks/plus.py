"""HumanEval+ and MBPP+ (Liu et al. 2023): the same functions, tried on many more inputs, and compared with the canonical answers.

JSON has neither tuples nor complex numbers; `mbpp_types.json` says how the arguments of a task of MBPP+ get them back.
"""

import functools
import inspect
import json
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from starmill.core.errors import InputError
from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Rows, Task
from starmill.evaluation.tasks import compare
from starmill.evaluation.tasks.mbpp import STOPS
from starmill.evaluation.tasks.programs import PYTHON_STOPS, all_wrong

HUMANEVAL, MBPP = "humaneval_plus/HumanEvalPlus.jsonl", "mbpp_plus/MbppPlus-dadf43d.jsonl"
SOURCE = "Liu et al. 2023, arXiv 2305.01210"
MEMORY = 4 << 30  # of address space, as EvalPlus has it
SECONDS = 10.0  # of CPU, the least; a canonical solution that takes longer raises it (Task.calibrated)


def checks_of(name: str, reference: str, inputs: list[Any], atol: float) -> str:
    """Return the tests of a function: compare.py's text, the reference, which is executed in a namespace of its own, and the inputs."""
    return (
        f"{inspect.getsource(compare)}\n\ninf, nan = math.inf, math.nan\nown = {{'__name__': 'reference'}}\nexec({reference!r}, own)\n"
        f"check_all({name!r}, {name}, own[{name!r}], {inputs!r}, {atol!r})\n"
    )


def _problem(row: Mapping[str, Any], head: str, prompt: str, code: str, wrong: str, inputs: list[Any]) -> Problem:
    name, reference = row["entry_point"], head + code
    if not name.isidentifier():
        raise InputError(f"{row['task_id']}: entry_point {name!r:.100} is no name; get the file again")
    tests = checks_of(name, reference, inputs, row["atol"])
    return Problem(
        row["task_id"],
        prompt,
        check=lambda completion: Job(head + completion, tests, SECONDS, MEMORY),
        canonical=code,
        mutant=wrong,
        whole=lambda program: Job(program, tests, SECONDS, MEMORY),
    )


def read_humaneval(rows: Rows) -> list[Problem]:
    """Return the problems of HumanEval+."""
    found = []
    for row in rows[HUMANEVAL]:
        head = row["prompt"].strip()
        inputs = [*row["base_input"], *row["plus_input"]]
        found.append(_problem(row, head, head, f"\n{row['canonical_solution']}", "\n    return None\n", inputs))
    return found


def read_mbpp(rows: Rows) -> list[Problem]:
    """Return the problems of MBPP+."""
    found = []
    for row in rows[MBPP]:
        inputs = [restored(row["task_id"], arguments) for arguments in [*row["base_input"], *row["plus_input"]]]
        code = row["canonical_solution"]
        found.append(_problem(row, "", row["prompt"], code, all_wrong(code, "None"), inputs))
    return found


@functools.cache
def types() -> dict[str, str]:
    """Return which shape the arguments of a task of MBPP+ have, by task; the others have what JSON gives."""
    table = json.loads(resources.files("starmill.evaluation.tasks").joinpath("mbpp_types.json").read_text("utf-8"))
    return {f"Mbpp/{number}": shape for shape, numbers in table["tasks"].items() for number in numbers}


def restored(task: str, arguments: list[Any]) -> list[Any]:
    """Return a call's arguments with the types that JSON took.

    >>> restored("Mbpp/106", [[1], [2, 3]]), restored("Mbpp/252", ["(1+2j)"])
    ([[1], (2, 3)], [(1+2j)])
    """
    shape = types().get(task)
    return arguments if shape is None else [*SHAPES[shape](arguments)]


def _inner(value: Any) -> Any:
    return [tuple(item) for item in value]


def _deep(value: Any) -> Any:
    return tuple(map(_deep, value)) if isinstance(value, list) else value


# Of the arguments of one call: which of them, or of their parts, are tuples, sets or complex numbers.
SHAPES: dict[str, Callable[[list[Any]], Any]] = {
    "each a tuple": lambda given: map(tuple, given),
    "each a list of tuples": lambda given: map(_inner, given),
    "each a tuple of tuples": lambda given: [tuple(_inner(value)) for value in given],
    "each a tuple of values or tuples": lambda given: [
        tuple(tuple(v) if isinstance(v, list) else v for v in one) for one in given
    ],
    "each a tuple all the way down": lambda given: map(_deep, given),
    "the first a tuple": lambda given: [tuple(given[0]), *given[1:]],
    "the second a tuple": lambda given: [given[0], tuple(given[1]), *given[2:]],
    "the first a list of tuples": lambda given: [_inner(given[0]), *given[1:]],
    "the first a dictionary of tuples": lambda given: [{key: tuple(v) for key, v in given[0].items()}, *given[1:]],
    "a number and a complex number": lambda given: [float(given[0]), complex(given[1])],
    "each a complex number": lambda given: map(complex, given),
}

TASKS = (
    Task(
        "humaneval_plus",
        "HumanEval with 80 times as many inputs",
        SOURCE,
        (HUMANEVAL,),
        read_humaneval,
        (*PYTHON_STOPS,),
        temperature=0.0,
        top_p=1.0,
        calibrated=True,
    ),
    Task(
        "mbpp_plus",
        "378 tasks of MBPP with 35 times as many inputs (v0.2)",
        SOURCE,
        (MBPP,),
        read_mbpp,
        STOPS,
        temperature=0.0,
        top_p=1.0,
        calibrated=True,
    ),
)
