"""LiveCodeBench: pickles read by hand beside pickle itself, windows of time, and programs that read, print or are called."""

import base64
import pickle
import zlib

import pytest
import toys
import toys_repositories

from starmill.core.errors import InputError
from starmill.evaluation.sandbox.judge import Judge
from starmill.evaluation.tasks.livecodebench import cases_of, pickled_text


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_texts_are_those_of_pickle(protocol: int) -> None:
    for text in ("", "[]", "\u00e9\u4e2d" * 200, "x" * 70_000):
        assert pickled_text(pickle.dumps(text, protocol)) == text
    for other in (b"x", 1, ["x"], ("a", "b"), {"a": "b"}, print):
        with pytest.raises(ValueError, match="a pickle of"):
            pickled_text(pickle.dumps(other, protocol))


@pytest.mark.parametrize(
    "data", [b"", b".", b"\x80", b"\x95", b"\x8c", b"\x8c\x05ab.", b"X\xff\xff\xff\xff", b"cos\nsystem\n(S'x'\ntR."]
)
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="a pickle of"):
        pickled_text(data)


def test_tests_are_read_or_refused_with_their_problem() -> None:
    row = toys_repositories.contest("p", "2024-01-01")
    assert [one["output"] for one in cases_of(row)] == ["3", "9"]
    for bad in ("!", base64.b64encode(b"x").decode(), base64.b64encode(zlib.compress(b"x" * 99)[:-9]).decode(), "[1"):
        with pytest.raises(InputError, match="livecodebench: p: private_test_cases"):
            cases_of(row | {"private_test_cases": bad})


def test_windows() -> None:
    found = {
        name: [p.name for p in toys.fixed(f"livecodebench_{name}")]
        for name in ("2023_second_half", "2024_first_half", "2024_second_half", "2025_first_half")
    }
    assert [*found.values()] == [
        ["toy/test-0"],
        ["toy/test2-0", "toy/test3-0"],
        ["toy/test4-0", "toy/test5-0"],
        ["toy/test5-2", "toy/test6-0"],
    ]


def test_programs() -> None:
    (called,) = toys.fixed("livecodebench_2023_second_half")
    reads = toys.fixed("livecodebench_2024_first_half")[0]
    assert "class Solution:" in called.prompt and reads.prompt.endswith("### Answer\n```python\n")
    head = "class Solution:\n    def both(self, xs, y):\n        "
    answers = [
        (called, f"{head}return (x + y for x in ()) and [tuple(x + y for x in xs)]\n", True),
        (called, f"{head}return [[x - y for x in xs]]\n", False),
        (called, f"{head}raise SystemExit(0)\n", False),
        (reads, "a, b = map(int, input().split())\nprint(a + b)\n```\nmore", True),
        (reads, "Here:\n```python\nimport sys\nprint(sum(map(float, sys.stdin.buffer.read().split())))\n```", True),
        (reads, "print(3)", False),
        (reads, "import os\nos._exit(0)", False),
    ]
    with Judge() as judge:
        found = [*judge.judge(problem.check(text) for problem, text, _ in answers)]  # type: ignore[misc]
    assert [one.passed for one in found] == [passed for *_, passed in answers], found
