"""Decontamination against a naive search; white space and case do not matter; short needles are no needles."""

import dataclasses
import json
import pickle
from pathlib import Path

import pyarrow as pa
import pytest

from starmill.core.errors import InputError
from starmill.transforms.clean.decontaminate import Decontaminate, Needle, needles, normalize

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


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "Expecting"),
        ("[1]", "list where an object"),
        ("7", "int where an object"),
        ('"a text"', "str where an object"),
        ('{"task_id": 1}', "none of prompt"),
        ('{"prompt": "", "text": null}', "none of prompt"),
        ('{"prompt": ["def f():"]}', r'prompt is \["def f\(\):"\] where a text should be'),
        ('{"prompt": 12, "text": "x"}', "prompt is 12 where"),
        ('{"prompt": "def f():", "canonical_solution": {"a": 1}}', "canonical_solution is .* where"),
        ('{"canonical_solution": ["return x"]}', "canonical_solution is .* where"),
        ('{"text": 0}', "text is 0 where"),
        ('{"code": true}', "code is true where"),
    ],
)
def test_a_bad_line_is_named(line: str, said: str) -> None:
    with pytest.raises(InputError, match=r"^some/tasks\.jsonl, line 2: .*" + said):
        needles([LINES[0], line], "some/tasks.jsonl")


def test_the_needles_are_not_looked_at_for_each_file() -> None:
    asked = []

    class Watched(Needle):
        def __hash__(self) -> int:
            asked.append(self)
            return 0

    step = Decontaminate((*FOUND, Watched("aneedlethatis longenough".replace(" ", ""), "bench 9")))
    assert [step.judge(text) for text in ("x = 1", "A needle that is LONG enough", "")] == [None, "bench 9", None]
    assert not asked


def test_a_step_travels_without_its_automaton() -> None:
    step = Decontaminate(FOUND)
    before = pickle.dumps(step)
    assert step.judge(TASKS[0]["canonical_solution"]) == "tasks.jsonl T/0"
    assert pickle.dumps(step) == before
    there = pickle.loads(before)
    assert there == step and hash(there) == hash(step) and dataclasses.replace(step, name="other").needles == FOUND
    assert there.judge(TASKS[0]["canonical_solution"]) == "tasks.jsonl T/0"
    with pytest.raises(dataclasses.FrozenInstanceError):
        there.needles = ()


def test_the_shipped_benchmark_reads() -> None:
    file = Path(__file__).resolve().parents[3] / "recipes/benchmarks/smoke.jsonl"
    assert len(needles(file.read_text().splitlines(), str(file))) == 6
    assert normalize("A b\n\tC") == "abc"
