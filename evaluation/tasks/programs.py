"""Parts of programs that several tasks cut or write: where a function's body ends, and answers that are wrong on purpose."""

import ast

# How a completion of a Python function's body ends (Chen et al. 2021, and the harness of the papers).
PYTHON_STOPS = ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "<file_sep>")
# What the papers' harness puts before a program of HumanEvalPack, as far as it is of the standard library.
IMPORTS = "import collections, copy, datetime, functools, hashlib, heapq, itertools, math, re, statistics, string, sys\n"
IMPORTS += "from typing import *\nfrom collections import *\n"


def body(text: str) -> str:
    """Return a text up to its first line that is neither blank nor indented.

    >>> body("    return 1\\nprint(2)")
    '    return 1'
    """
    lines = text.split("\n")
    ends = (at for at, line in enumerate(lines) if line.strip() and line[0] not in " \t")
    return "\n".join(lines[: next(ends, len(lines))])


def wrong_value(tests: str) -> str:
    """Return a value that is the answer of none of the tests: None, or where that is what they ask for, a text.

    >>> wrong_value("assert f(1) == 2"), wrong_value("assert f(1) is None")
    ('None', "'a wrong answer'")
    """
    return "'a wrong answer'" if "None" in tests else "None"


def all_wrong(code: str, value: str) -> str:
    """Return a program, followed by each function of its top level once more, which returns `value` whatever it is given.

    >>> print(all_wrong("def f(x): return x", "None"))
    def f(x): return x
    <BLANKLINE>
    <BLANKLINE>
    def f(*_, **__):
        return None
    <BLANKLINE>
    """
    names = dict.fromkeys(node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef))
    return code + "".join(f"\n\n\ndef {name}(*_, **__):\n    return {value}\n" for name in names)
