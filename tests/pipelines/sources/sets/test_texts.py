"""The golden text of each set, parsed back to the columns that it was made of; rows that are no text say why, in bounded time."""

import json
import re
from typing import Any, get_args

import pytest

from starmill.pipelines.sources.sets.texts import SETS, SetName, Unusable, text_of
from starmill.pipelines.sources.tables.columns import TooLarge

DOORS = {"task_name": "100 doors", "task_description": "There are 100 doors.\n\nAll are closed."}
ROSETTA: tuple[list[dict[str, Any]], str, str] = (
    [DOORS | {"language_name": name, "code": code} for name, code in (("C", "int d[100];\n"), ("C", "return;"), ("R", "d"))],
    "100 doors\nThere are 100 doors.\n\nAll are closed.\n\nLanguage: C\nint d[100];\n\n\nLanguage: C\nreturn;\n\nLanguage: R\nd",
    r"(?P<task_name>[^\n]*)\n(?P<task_description>.*?)\n\nLanguage: (?P<language_name>\w+)\n(?P<code>.*?)\n\nLanguage: C\n.*",
)
# Of each set: rows, their text, and the pattern that finds the columns in it.
GOLDEN: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "apps": (
        [
            {
                "question": "Print the sum.\n\n-----Input-----\ntwo numbers\n",
                "starter_code": "def add(a, b):\n\t",
                "solutions": json.dumps(["def add(a, b):\n    return a + b\n", "add = sum"]),
                "input_output": json.dumps({"fn_name": "add", "inputs": [[1, 2]], "outputs": [3]}),
            }
        ],
        "\nQUESTION:\nPrint the sum.\n\n-----Input-----\ntwo numbers\ndef add(a, b):\n\t\nUse Call-Based format\nANSWER:\n"
        "def add(a, b):\n    return a + b\n",
        r"\nQUESTION:\n(?P<question>.*)(?P<starter_code>def .*)\nUse Call-Based format\nANSWER:\n(?P<first>.*)",
    ),
    "code-contests": (
        [
            {
                "description": "\nAdd two numbers.\n\nOutput\n\n3\n",
                "solutions": {
                    "language": [0, 3, 2, 3, 4, 1],
                    "solution": ["?", "print(3)\n", "int main() {}", "print(1+2)", "class A {}", "print 3"],
                },
            }
        ],
        "Add two numbers.\n\nOutput\n\n3\n\nSolution (Python 3):print(3)\n\nSolution (CPP):int main() {}\nSolution (Java):class A {}\n"
        "Solution (Python 2):print 3",
        r"(?P<stripped>.*)\n\nSolution \(Python 3\):(?P<python3>.*)\nSolution \(CPP\):(?P<cpp>.*)\nSolution \(Java\):(?P<java>.*)\n"
        r"Solution \(Python 2\):(?P<python2>.*)",
    ),
    "gsm8k": (
        [{"question": "How much is 16 - 3 - 4?", "answer": "It is <<16-3-4=9>>9.\n#### 9"}],
        "How much is 16 - 3 - 4?\nIt is <<16-3-4=9>>9.\n#### 9",
        r"(?P<question>[^\n]*)\n(?P<answer>.*)",
    ),
    "gsm8k-screl": (
        [{"query": "How much is 6 * 7?", "response": "6 * 7 = 42\n#### 42"}],
        "How much is 6 * 7?\n6 * 7 = 42\n#### 42",
        r"(?P<query>[^\n]*)\n(?P<response>.*)",
    ),
    "mathematics": (
        [{"question": b"Solve 5*o = 10 for o.", "answer": b"2"}],
        "Solve 5*o = 10 for o.\n2",
        r"(?P<question>[^\n]*)\n(?P<answer>[^\n]*)",
    ),
    "multipl-t": (
        [{"content": "-- adds\nlocal function add(a, b)\n"}],
        "-- adds\nlocal function add(a, b)\n",
        "(?P<content>.*)",
    ),
    "open-web-math": ([{"content": b"Let $x$ be \xc3\xa9."}], "Let $x$ be é.", "(?P<content>.*)"),
    "proofsteps": ([{"content": "[STATEMENT]\na = a"}], "[STATEMENT]\na = a", "(?P<content>.*)"),
    **dict.fromkeys(("rosetta-code", "rosetta-data"), ROSETTA),
}
STATED = {"first": "def add(a, b):\n    return a + b\n", "stripped": "Add two numbers.\n\nOutput\n\n3"}
STATED |= {"python3": "print(3)\n", "cpp": "int main() {}", "java": "class A {}", "python2": "print 3"}


def text(name: str, *rows: dict[str, Any]) -> str:
    return SETS[name].text([*rows] if SETS[name].together else rows[0])


def as_text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_every_set_may_be_named_and_has_a_golden_text() -> None:
    assert {*get_args(SetName)} == {*SETS} == {*GOLDEN}


@pytest.mark.parametrize("name", SETS)
def test_golden(name: str) -> None:
    rows, golden, pattern = GOLDEN[name]
    assert text(name, *rows) == golden
    found = re.fullmatch(pattern, golden, re.DOTALL)
    assert found is not None
    for column, value in found.groupdict().items():
        assert value == as_text(STATED.get(column, rows[0].get(column))), column


@pytest.mark.parametrize(
    ("given", "call"),
    [
        ({}, "Standard Input"),
        ({"input_output": None}, "Standard Input"),
        ({"input_output": ""}, "Standard Input"),
        ({"input_output": '{"inputs": ["1"], "fn_name": null}'}, "Standard Input"),
        (
            {"input_output": b'{"inputs": [1' + b"0" * 5000 + b'], "fn_name": "f"}'},
            "Call-Based",
        ),  # more digits than an int may have
        ({"input_output": "{not JSON"}, "Standard Input"),
        ({"input_output": '{"fn_name":' + "[" * 100_000}, "Standard Input"),
        ({"input_output": 7}, "Standard Input"),
        ({"input_output": "[]"}, "Standard Input"),
    ],
    ids=["no column", "null", "empty", "no name", "large number", "no JSON", "deep", "number", "list"],
)
def test_what_the_tests_of_apps_say(given: dict[str, Any], call: str) -> None:
    assert text("apps", {"question": "q", "solutions": '["s"]', **given}) == f"\nQUESTION:\nq\nUse {call} format\nANSWER:\ns"


APPS, CONTEST = {"question": "q", "solutions": '["s"]'}, {"description": "d"}
BAD: dict[str, tuple[str, dict[str, Any], str]] = {
    "no solutions": ("apps", APPS | {"solutions": "[]"}, "no_solution"),
    "empty": ("apps", APPS | {"solutions": ""}, "no_solution"),
    "empty first": ("apps", APPS | {"solutions": '["", "s"]'}, "no_solution"),
    "null": ("apps", APPS | {"solutions": None}, "no_content"),
    "NaN": ("apps", APPS | {"solutions": float("nan")}, "wrong_type"),
    "NaN in JSON": ("apps", APPS | {"solutions": "[NaN]"}, "malformed_solutions"),
    "no list": ("apps", APPS | {"solutions": '{"0": "s"}'}, "malformed_solutions"),
    "of numbers": ("apps", APPS | {"solutions": "[1, 2]"}, "malformed_solutions"),
    "surrogate": ("apps", APPS | {"solutions": r'["\ud800"]'}, "malformed_solutions"),
    "deep": ("apps", APPS | {"solutions": "[" * 1_000_000}, "malformed_solutions"),
    "cut": ("apps", APPS | {"solutions": '["s'}, "malformed_solutions"),
    "starter of another type": ("apps", APPS | {"starter_code": ["x"]}, "wrong_type"),
    "no UTF-8": ("gsm8k", {"question": b"\xff", "answer": "a"}, "wrong_type"),
    "surrogate in Python": ("gsm8k", {"question": "\ud800", "answer": "a"}, "wrong_type"),
    "of a row": ("gsm8k", {"question": "q", "answer": {"text": "a"}}, "wrong_type"),
    "missing": ("gsm8k", {"question": "q"}, "no_content"),
    "large": ("proofsteps", {"content": TooLarge(1 << 40)}, "too_large"),
    "other lengths": ("code-contests", CONTEST | {"solutions": {"language": [1], "solution": []}}, "wrong_type"),
    "no languages": ("code-contests", CONTEST | {"solutions": {"solution": ["s"]}}, "wrong_type"),
    "of texts": ("code-contests", CONTEST | {"solutions": ["s"]}, "wrong_type"),
    "a text": ("code-contests", CONTEST | {"solutions": "s"}, "wrong_type"),
    "language of a list": ("code-contests", CONTEST | {"solutions": [{"language": [3], "solution": "s"}]}, "wrong_type"),
    "solution of a number": ("code-contests", CONTEST | {"solutions": [{"language": 3, "solution": 3}]}, "wrong_type"),
    "no task": ("rosetta-code", {"task_description": "d", "language_name": "C", "code": "c"}, "no_content"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_row_that_is_no_text_says_why(case: str) -> None:
    name, row, reason = BAD[case]
    with pytest.raises(Unusable) as said:
        text(name, row)
    assert said.value.reason == reason and len(str(said.value)) < 400


def test_a_problem_without_solutions_is_its_description() -> None:
    for solutions in (None, [], {"language": [], "solution": []}, [{"language": 0, "solution": "s"}]):
        assert text("code-contests", {"description": "Add.\n", "solutions": solutions}) == "Add."


def test_ten_megabytes_of_solutions_take_the_time_of_reading_them() -> None:
    many = json.dumps(["x = 1\n" * 10] * 150_000)
    assert len(many) > 10_000_000
    pairs = {"language": [3, 2] * 75_000, "solution": ["x = 1\n" * 10] * 150_000}
    assert text("apps", APPS | {"solutions": many}).endswith("ANSWER:\n" + "x = 1\n" * 10)
    assert text("code-contests", CONTEST | {"solutions": pairs}).count("Solution (") == 2


def test_a_text_is_decoded_once() -> None:
    assert text_of({"a": b"\xc3\xa9"}, "a") == text_of({"a": "é"}, "a") == "é"
