"""Judges generated Python: the candidate runs in one sandboxed process, its tests in another, and only the tests' process can say "passed".

What runs where: judge.py asks, warm.py (a preloaded interpreter, `python warm.py`) forks, isolate.py takes rights away, calls.py carries
the tests' calls to the candidate and values back.
"""

from starmill.evaluation.sandbox.job import Job, Verdict

__all__ = ["Job", "Verdict"]
