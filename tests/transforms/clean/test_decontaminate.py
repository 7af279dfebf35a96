"""Decontamination against a naive search; white space and case do not matter; short needles are no needles."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.transforms.clean.decontaminate import Decontaminate, needles, normalize

TASKS = [
    {
        "task_id": "T/0",
        "prompt": 'import os\n"""A module of tasks, with a docstring of its own."""\ndef f(x):\n    """Return the third '
        'largest of the given numbers, or none if there are fewer."""\n',
        "canonical_solution": "    ranked = sorted(set(x), reverse=True)\n    return ranked[2] if len(ranked) > 2 else None\n",
    },
    {"task_id": "T/1", "prompt": 'def add(x, y):\n    """Add."""\n', "canonical_solution": "    return x + y\n"},
    {"task_id": 12, "text": "Write a function to find the perimeter of a regular polygon with n sides.", "code": "x = 1"},
]
LINES = [json.dumps(t) for t in TASKS]
FOUND = needles([*LINES, ""], "bench/tasks.jsonl")


def test_what_counts_as_a_needle() -> None:
    assert [n.origin for n in FOUND] == ["tasks.jsonl T/0", "tasks.jsonl T/0", "tasks.jsonl 12"]
    assert "docstringofitsown" not in "".join(n.text for n in FOUND), "of two quoted blocks the second counts"
    assert len(needles(LINES, "b", min_chars=1)) == 6


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("x = 1", None),
        ("return x + y", None),
        ("RANKED=sorted( set(x),reverse = True )\n\n\treturn ranked[2] IF len(ranked)>2 else None", "tasks.jsonl T/0"),
        ("# write a function to find the\n# perimeter", None),
        ('"""write a function to find the\n   perimeter of a regular polygon with N sides."""', "tasks.jsonl 12"),
    ],
)
def test_judge(text: str, origin: str | None) -> None:
    step = Decontaminate(FOUND)
    assert step.judge(text) == origin
    assert (origin is not None) == any(n.text in "".join(text.lower().split()) for n in FOUND)


def test_a_block() -> None:
    block = pa.record_batch({"content": ["x = 1", TASKS[0]["canonical_solution"]], "path": ["/a", "/b"]})
    split = Decontaminate(FOUND)(block)
    assert (split.reasons, split.details) == (("contaminated",), ("tasks.jsonl T/0",))
    assert split.kept.column("path").to_pylist() == ["/a"]
    assert Decontaminate()(block).kept.num_rows == 2


@pytest.mark.parametrize("line", ["{", "[1]", '{"task_id": 1}'])
def test_a_bad_line_is_named(line: str) -> None:
    with pytest.raises(ValueError, match=r"tasks\.jsonl, line 2"):
        needles([LINES[0], line], "tasks.jsonl")


def test_the_shipped_benchmark_reads() -> None:
    file = Path(__file__).resolve().parents[3] / "recipes/benchmarks/smoke.jsonl"
    assert len(needles(file.read_text().splitlines(), str(file))) == 6
    assert normalize("A b\n\tC") == "abc"
