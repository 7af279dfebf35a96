"""What is judged, and what came of it."""

from dataclasses import dataclass
from typing import Literal

# How a job ended. `wrong`: an assertion of the tests failed; `error`: anything else was raised; `missing`: the solution has not what the
# tests ask for; `cpu`, `wall`, `memory`, `output`: the bound that it passed; `ended`: the candidate's process ended before its tests did.
Reason = Literal["", "wrong", "error", "syntax", "missing", "cpu", "wall", "memory", "output", "ended"]


@dataclass(frozen=True)
class Job:
    """A solution and its tests, both texts of Python.

    The solution is a module that the candidate's process executes. The tests are a module that another process executes: each name that
    the tests read and do not make is the solution's. Values of plain types go between the two by value, all others by reference; an
    object of the solution equals a value of the tests only where it has a plain type.

    `together`: the tests are executed in the candidate's process, behind the solution, in one namespace: for tests that a border cannot
    divide (they subclass the solution's classes, patch it, or compare tables of pandas). A candidate that is written to cheat can pass
    such tests.

    >>> Job("def double(x): return 2 * x", "assert double(4) == 8").cpu_seconds
    10.0
    """

    solution: str
    tests: str
    cpu_seconds: float = 10.0  # of each process; the clock has ten times as many, since a loaded machine is slow
    memory_bytes: int = 1 << 30  # of address space of each process beyond what the interpreter had
    together: bool = False
    # Of another language (languages.py), the tests stand in the program and say NONCE at their end; `together` is so.
    language: str = "python"


@dataclass(frozen=True)
class Verdict:
    """Whether a solution passed its tests, and if not, why: `reason` is of Reason, `said` the exception's type and first line."""

    passed: bool
    reason: Reason = ""
    said: str = ""
    cpu_seconds: float = 0.0  # of the candidate and the tests together
    output: str = ""  # the first 4,096 bytes that the solution printed
