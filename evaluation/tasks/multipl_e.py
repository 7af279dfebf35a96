"""MultiPL-E (Cassano et al. 2022): HumanEval in other languages, whose tests stand behind the function in one program.

The files have no solutions, but Python's. Of a language whose toolchain this machine lacks nothing is scored.
C# is not among them: Mono reads where its process lies in memory from /proc, which no sandbox here has.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from starmill.evaluation.sandbox import golang
from starmill.evaluation.sandbox.job import Job
from starmill.evaluation.sandbox.languages import LANGUAGES
from starmill.evaluation.task import Problem, Rows, Task
from starmill.evaluation.tasks.programs import wrong_value

PYTHON = "multipl_e/humaneval-python.jsonl"
SOURCE = "Cassano et al. 2022, arXiv 2208.08227"
SECONDS = 15.0  # of CPU, as its own runner has of the clock
# Of each language's file: in how many blocks the last test stands, and where a completion ends (its stop_tokens).
OTHERS: dict[str, tuple[int, tuple[str, ...]]] = {
    "cpp": (1, ("\n}",)),
    "d": (2, ("\n\n", "\nvoid", "\nbool", "\nint")),
    "go": (0, ("\nfunc", "struct", "\n// ")),
    "java": (2, ("\n    }\n",)),
    "jl": (0, ("\nfunction", "\nmacro", "\n\n")),
    "js": (0, ("\nfunction ", "\n/*", "\n//", "\nconsole.log")),
    "lua": (1, ("\nlocal", "\nfunction", "\n--", "\n\n")),
    "php": (0, ("\nfunction", "\n?>", "\n//", "\n#")),
    "pl": (0, ("\nsub", "\n#", "\n\n")),
    "r": (0, ("\n#", "\n```")),
    "rb": (2, ("\nclass", "\ndef", "\n#", "\n\n")),
    "rkt": (0, ("\n(define ", "\n#|", "\n;", "\n(")),
    "rs": (1, ("\n}",)),
    "scala": (2, ("\n    }\n",)),
    "sh": (0, ("\n}",)),
    "swift": (0, ("\n}",)),
    "ts": (0, ("\nfunction ", "\n/*", "\n//", "\nclass")),
}
RUN_AS = {"java": "java_problem"}  # where the row of LANGUAGES has another name
# Racket's checks tell of what is wrong and go on; with this they end the program.
CHECKS = ("(require rackunit)", "(require rackunit)\n(current-check-handler (lambda (e) (raise e)))")


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


def check(completion: str, row: Mapping[str, Any], language: str) -> Job:
    """Judge a completion between its prompt and its tests, which may begin with the end of the function."""
    kept, tests, name = row["prompt"].rstrip(), row["tests"], RUN_AS.get(language, language)
    if language == "go":
        kept, tests = golang.head(kept), golang.ended(tests)
    else:
        tests = LANGUAGES[name].ended(tests.replace(*CHECKS) if language == "rkt" else tests, OTHERS[language][0])
    return Job(kept + completion, tests, SECONDS, together=True, language=name)


def _translated(rows: Rows, language: str) -> list[Problem]:
    (file,) = rows.values()
    return [Problem(row["name"], row["prompt"].rstrip(), partial(check, row=row, language=language), "", "") for row in file]


def _task(language: str) -> Task:
    about = f"HumanEval in MultiPL-E's layout, {language}"
    files = (f"multipl_e/humaneval-{language}.jsonl",)
    stops = (*OTHERS[language][1], "<file_sep>")
    return Task(
        f"multipl_e_{language}", about, SOURCE, files, partial(_translated, language=language), stops, samples=50, solved=False,
        language=RUN_AS.get(language, language),
    )  # fmt: skip


TASKS = (
    Task(
        "multipl_e_python",
        "HumanEval in MultiPL-E's layout, Python",
        SOURCE,
        (PYTHON,),
        read,
        ("\ndef", "\n#", "\nif", "\nclass", "<file_sep>"),
        samples=50,
    ),
    *map(_task, OTHERS),
)
