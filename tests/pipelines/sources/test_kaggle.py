"""Cells to scripts: a golden script, each rule, and code that makes CPython's compiler slow, large, or end the process."""

import json

import pytest

from starmill.pipelines.sources.kaggle import MAX_SCRIPT, script, wrong
from starmill.pipelines.sources.notebooks import records

CELLS = [
    ("markdown", "# Digits\n<h1>A <b>first</b> look</h1>\n\nGreetings from the Kaggle bot! Here is a kernel."),
    (
        "code",
        "# This Python 3 environment comes with many helpful analytics libraries installed\nimport numpy as np # linear algebra\n"
        "%matplotlib inline\n\n!pip install x\npip install y\ncd ../input\n"
        "# You can write up to 20GB to the current directory (/kaggle/working/)\npip = 3\n",
    ),
    ("raw", "left out"),
    ("code", "%%bash\nls"),
    ("code", '%%time\ndef f(a):\n\n    """Long.\n\n%no magic\n"""\n    return a\n' + "x" * 601 + "\n"),
    ("code", "print(f(pip))"),
    ("markdown", "The end."),
]
GOLDEN = '''# # Digits
# A first look
import numpy as np # linear algebra
pip = 3
def f(a):
    """Long.

%no magic
"""
    return a

print(f(pip))
'''


def test_the_golden_script() -> None:
    assert script(CELLS) == (GOLDEN, None, None)


def test_lines_for_the_shell_go_whatever_their_arguments_and_python_stays() -> None:
    gone = [
        "pip install a==1.2 'b>=3'",
        "wget https://a.b/c?d=e",
        "pip install 'a(b)'",
        "cd ..",
        "conda install x=1",
        "apt-get update",
    ]
    stays = [
        "pip = 3",
        "pip += 1",
        "pip -= 1",
        "pip //= 2",
        "cd: int = 3",
        "pip == 3",
        "cd in (pip, 2)",
        "wget(1)",
        "pip if cd else 2",
    ]
    made, reason, detail = script(
        [("code", "\n".join([*stays[:1], *gone, "def wget(n):", "    return n", *stays, "print('-' * 100)"]))]
    )
    assert (reason, detail) == (None, None)
    assert [line for line in made.split("\n") if line in gone] == [] and {*stays} <= {*made.split("\n")}


def test_a_notebook() -> None:
    cells = [{"cell_type": kind, "source": source, "outputs": []} for kind, source in CELLS]
    book = {"nbformat": 4, "metadata": {"kernelspec": {"name": "python3"}}, "cells": cells}
    [made] = records(json.dumps(book), ("kaggle",))
    assert (made.kind, made.text, made.reason) == ("kaggle", GOLDEN, None)
    assert [(s["role"], s["name"], s["end"]) for s in made.segments] == [("script", "Python", len(GOLDEN))]
    [other] = records(json.dumps(book | {"metadata": {"kernelspec": {"name": "ir"}}}), ("kaggle",))
    assert (other.reason, other.detail) == ("not_python", "r")


REASONS = {
    "nothing": ([], "no_code"),
    "text only": ([("markdown", "a" * 200)], "no_code"),
    "short": ([("code", "x" * 99)], "too_short"),
    "long enough": ([("code", "x" * 100)], None),
    "Python 2": ([("code", "print 'a'\n" * 20)], "does_not_compile"),
    "what the shell leaves": ([("code", "if a:\n    !ls\n" + "b = 1\n" * 30)], "does_not_compile"),
    "a warning": ([("code", "a = '\\d'\nb = 1 is 1\n" * 9)], None),
    "a null": ([("code", "a = 1\0\n" * 30)], "does_not_compile"),
}


@pytest.mark.parametrize("case", REASONS)
def test_what_is_no_script(case: str) -> None:
    cells, reason = REASONS[case]
    assert script(cells)[1] == reason


N = 80_000
HOSTILE = {
    "nested for": "[1" + " for a in a" * N + "]",
    "dots": "import " + "\\\n".join(["a." * 200] * 500) + "a",
    "an f-string": "f'''" + "{a}\n" * N + "'''",
    "brackets": "(" * N + ")" * N,
    "signs": "(" + "-\n" * N + "1)",
    "a sum": "(1" + "+\n1" * N + ")",
    "else": "if a:\n pass\n" + "elif a:\n pass\n" * 9000,
    "except": "try:\n pass\n" + "except a:\n pass\n" * 9000,
    "levels": "".join(" " * k + "if a:\n" for k in range(600)),
    "statements": "a = 1\n" * 150_000,
    "a number": "9" * N,
    "a power": "9**9**9**9",
    "a large text": "'a' * 10**10",
    "quotes": '"""' * 9999 + "'",
    "quote": "'\n" * N,
    "too large": "#" * MAX_SCRIPT + "\n",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_code_ends_soon(case: str) -> None:
    wrong(HOSTILE[case])


def test_statements_that_end_a_process_are_not_compiled() -> None:
    for case in ("nested for", "dots", "an f-string"):
        assert wrong(HOSTILE[case]) == "a statement of more than 20,000 characters", case


def test_long_texts_and_tables_are_no_long_statements() -> None:
    assert wrong('a = """' + "word\n" * 20_000 + '"""\n') is None
    assert wrong("a = [\n" + "1,\n" * 5000 + "]\n") is None and wrong("a = [\n" + "1,\n" * 7000 + "]\n") is not None
