"""CanItEdit (Cassano et al. 2023): edit a program as an instruction says, one that describes the change or a lazy one.

Beside whether the tests pass it counts excess code: the share of the lines which an edit added or changed that the tests never run.
"""

from functools import partial

from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.task import Problem, Rows, Task

FILE = "canitedit/canitedit.jsonl"
SECONDS = 30.0  # of CPU: some tasks import libraries of data and learning
MEMORY = 4 << 30
# Of the tasks' taxonomy, as they are imported.
LIBRARIES = ("numpy", "pandas", "scipy", "sklearn", "torch", "z3", "autograd", "flask", "vllm")

# Runs an edited program and its tests under a trace, and prints how many of its new lines can run, and how many never did.
EXCESS = """
import difflib, json, sys
_ran = set()
def _trace(frame, event, arg):
    if frame.f_code.co_filename != "<edited>":
        return None
    if event == "line":
        _ran.add(frame.f_lineno)
    return _trace
def _lines(code):
    found = {line for _, _, line in code.co_lines() if line}
    for const in code.co_consts:
        if hasattr(const, "co_lines"):
            found |= _lines(const)
    return found
def _measure(before, after, tests):
    code = compile(after, "<edited>", "exec")
    matched = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False).get_opcodes()
    new = {n + 1 for kind, _, _, start, end in matched if kind in ("insert", "replace") for n in range(start, end)}
    names = {"__name__": "__edited__"}
    sys.settrace(_trace)
    try:
        exec(code, names)
        exec(compile(tests, "<tests>", "exec"), names)
    finally:
        sys.settrace(None)
    new &= _lines(code)
    print(json.dumps({"excess_code": len(new - _ran) / len(new) if new else 0.0}))
"""


def check(completion: str, tests: str) -> Job:
    """Judge an edited program: its tests are executed behind it, since many look into its classes."""
    return Job(completion, tests, SECONDS, MEMORY, together=True)


def excess(completion: str, before: str, tests: str) -> Job:
    """Return the job that prints the share of an edit's lines that the tests do not run."""
    return Job("", f"{EXCESS}\n_measure({before!r}, {completion!r}, {tests!r})\n", 4 * SECONDS, MEMORY, together=True)


def prompt(before: str, instruction: str) -> str:
    """Return the prompt for models that were not trained on instructions, in the paper's layout."""
    return f"## Code Before:\n{before}\n## Instruction:\n{instruction}\n## Code After:\n"


def _read(rows: Rows, kind: str) -> list[Problem]:
    return [
        Problem(
            row["full_name"],
            prompt(row["before"], row[f"instruction_{kind}"]),
            partial(check, tests=row["tests"]),
            row["after"],
            row["before"],
            measure=partial(excess, before=row["before"], tests=row["tests"]),
        )
        for row in rows[FILE]
    ]


TASKS = tuple(
    Task(
        f"canitedit_{kind}",
        f"edit a program, by {what} instruction",
        "Cassano et al. 2023, arXiv 2312.12450",
        (FILE,),
        partial(_read, kind=kind),
        ("\n## ", "<file_sep>"),
        max_new_tokens=1024,
        samples=20,
        libraries=LIBRARIES,
    )
    for kind, what in (("descriptive", "a full"), ("lazy", "a short"))
)
