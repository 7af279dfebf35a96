"""CRUXEval (Gu et al. 2024): what a short function returns for an input, or an input for which it returns that; directly or after thinking.

The examples in the prompts are of our own writing, in the paper's layout: [PYTHON], [THOUGHT] and [ANSWER].
"""

import ast
from functools import partial

from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Rows, Score, Task

FILE = "cruxeval/cruxeval.jsonl"
SOURCE = "Gu et al. 2024, arXiv 2401.03065"
END = "[/ANSWER]"

ASK_OUTPUT = (
    "You are given a Python function and an assertion with an input of it. Complete the assertion with the literal that the function "
    "returns for this input, even if the function is wrong or incomplete: a value, without calls or operators. "
)
ASK_INPUT = (
    "You are given a Python function f and a value, as in f(??) == value. Find any input for which f returns the value. Several may be "
    "right; give one. "
)
DIRECT = "Write the whole assertion between [ANSWER] and [/ANSWER], and nothing else, as in the examples."
THINK = "Think step by step first; then write the whole assertion between [ANSWER] and [/ANSWER], as in the example."

OUTPUTS = (
    ("def f(a, b):\n    return a * b + 1", "3, 4", "13", ""),
    ('def f(words):\n    return [w[::-1] for w in words if w != "no"]', '["yes", "no", "ok"]', '["sey", "ko"]', ""),
)
INPUTS = (
    ("def f(numbers):\n    return sum(n for n in numbers if n > 2)", "[1, 5, 2, 4]", "9", ""),
    ('def f(left, right):\n    return left + "-" + right', '"top", "down"', '"top-down"', ""),
)
OUTPUT_THOUGHT = (
    'def f(text):\n    text = text.strip()\n    return text.upper() + "!"',
    '" go "',
    '"GO!"',
    'f is called with " go ". strip() takes the spaces from both ends, so text is "go". upper() makes it "GO", and "!" is put behind it. '
    'So f returns "GO!".',
)
INPUT_THOUGHT = (
    "def f(n):\n    return 3 * n - 2",
    "7",
    "19",
    "f multiplies its input by 3 and takes 2 away. For f(n) to be 19, 3 * n must be 21, so n is 7.",
)


def _asserted(argument: str, value: str) -> str:
    return f"assert f({argument}) == {value}"


def prompt(code: str, argument: str, value: str, thinking: bool) -> str:
    """Return the prompt of a function; of `argument` and `value` one is ??, and wanted."""
    forward = value == "??"
    if thinking:
        examples: tuple[tuple[str, str, str, str], ...] = (OUTPUT_THOUGHT if forward else INPUT_THOUGHT,)
    else:
        examples = OUTPUTS if forward else INPUTS
    parts = [(ASK_OUTPUT if forward else ASK_INPUT) + (THINK if thinking else DIRECT)]
    for shown, given, got, thought in examples:
        question = _asserted(given, "??") if forward else _asserted("??", got)
        thoughts = f"[THOUGHT]\n{thought}\n[/THOUGHT]\n" if thinking else ""
        parts.append(f"[PYTHON]\n{shown}\n{question}\n[/PYTHON]\n{thoughts}[ANSWER]\n{_asserted(given, got)}\n{END}")
    last = "[THOUGHT]\n" if thinking else "[ANSWER]\n"
    parts.append(f"[PYTHON]\n{code}\n{_asserted(argument, value)}\n[/PYTHON]\n{last}")
    return "\n\n".join(parts)


def answer(completion: str) -> ast.expr | None:
    """Return what a completion says: the expression of its assertion, or the one that it is; None where it says nothing.

    >>> ast.unparse(answer("so it is 3\\n[ANSWER]\\nassert f(2) == 3\\n"))
    'f(2) == 3'
    """
    said = completion.rpartition("[ANSWER]")[2].partition(END)[0].strip().removeprefix("assert").strip()
    try:
        return ast.parse(said, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def check_output(completion: str, code: str, argument: str) -> Job | Score:
    """Judge a value: it is computed in the solution's process, which does not know the function."""
    said = answer(completion)
    if isinstance(said, ast.Compare) and len(said.ops) == 1 and isinstance(said.ops[0], ast.Eq):
        said = said.comparators[0]
    if said is None:
        return Score(False, "no answer")
    return Job(f"def said():\n    return {ast.unparse(said)}\n", f"{code}\n\n\nassert f({argument}) == said()\n")


def check_input(completion: str, code: str, value: str) -> Job | Score:
    """Judge an input: the function is called with it in the solution's process; only a call of f is an answer."""
    said = answer(completion)
    if isinstance(said, ast.Compare):
        said = said.left
    if said is None or not (isinstance(said, ast.Call) and isinstance(said.func, ast.Name) and said.func.id == "f"):
        return Score(False, "no answer")
    return Job(f"{code}\n\n\ndef said():\n    return {ast.unparse(said)}\n", f"assert said() == {value}\n")


def _read(rows: Rows, forward: bool, thinking: bool) -> list[Problem]:
    found = []
    for row in rows[FILE]:
        code, given, got = row["code"], row["input"], row["output"]
        asked = prompt(code, given if forward else "??", "??" if forward else got, thinking)
        check = partial(check_output, code=code, argument=given) if forward else partial(check_input, code=code, value=got)
        right = f"{_asserted(given, got)}\n{END}"
        thoughts = "It is so.\n[/THOUGHT]\n[ANSWER]\n" if thinking else ""
        # No input of these functions is an object of its own, and no value is one.
        wrong = _asserted(given, "object()") if forward else _asserted("*[object()] * 9", got)
        found.append(Problem(row["id"], asked, check, thoughts + right, f"{thoughts}{wrong}\n{END}"))
    return found


def _task(forward: bool, thinking: bool) -> Task:
    what = "what a function returns" if forward else "an input for which a function returns a value"
    return Task(
        f"cruxeval_{'output' if forward else 'input'}{'_cot' if thinking else ''}",
        f"{what}, {'after thinking' if thinking else 'directly'}",
        SOURCE,
        (FILE,),
        partial(_read, forward=forward, thinking=thinking),
        (END, "<file_sep>"),
        max_new_tokens=1000 if thinking else 100,
        samples=10,
    )


TASKS = tuple(_task(forward, thinking) for thinking in (False, True) for forward in (False, True))
