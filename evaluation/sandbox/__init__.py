"""Judges generated Python: the candidate runs in one sandboxed process, its tests in another, and only the tests' process can say "passed".

judge.py asks, warm.py is a preloaded interpreter that forks, sides.py is what its forks do, calls.py carries the tests' calls to the
candidate, values.py says what may come back, core/sandbox_inside.py and core/seccomp.py take rights away. programs.py runs other languages.

What is covered: a candidate has no network, no file but the standard library and an empty folder, sees and signals no process but its
own, makes no namespace, and leaves nothing behind; it cannot learn what its tests expect, or say that they passed. What is not: holes of
the kernel (a virtual machine is for these); how warm the processor gets; memory of many processes together, which is at most
`memory_bytes` of each of PROCESSES; tests that run `together` with their candidate, which a solution written to cheat can pass; tests
that a solution passes in one process too without doing its task (`all(map(f, ...))` where f raises StopIteration; an operator between
two of its own objects; an attribute that it sets on an object of the tests; a function of Python's that a task asks it to replace).

What passes in one process and fails here, and so needs `together`: tests that subclass or inspect the solution's classes and functions
(`type(x) is C`, signatures, coroutines, generators by class), operators and `in` between its objects and plain values, what it
prints caught by the tests, private attributes, `f(a) is a`, NaN by identity, a Path or a view of a dict by value, a change of a
subclass of list or dict, of a list that is an object's attribute or a global, or of a list in a list of which the length changes too.
"""

from starmill.evaluation.sandbox.job import Job, Verdict

__all__ = ["Job", "Verdict"]
