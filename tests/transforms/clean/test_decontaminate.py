"""The step: files dropped with what was found, or texts cut out of them with their segments; what travels, and what a key counts."""

import dataclasses
import pickle

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented import LINES, TASKS

from starmill.core import schema
from starmill.transforms.clean.decontaminate import Decontaminate
from starmill.transforms.clean.overlap.index import Matchers, compiled
from starmill.transforms.clean.overlap.tasks import Task

BLOB = compiled(TASKS)
STEP, CUT = Decontaminate(BLOB), Decontaminate(BLOB, mode="cut")
SOLUTION = TASKS[0].solution


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", None),
        ("return x + y", None),
        (SOLUTION.upper().replace("    ", "\t"), "lab Lab/0: exact, characters 1 to 130"),
        ("# return the widest gap between two\n# readings", None),
        (f"'''{TASKS[0].prose}'''".replace("\n", "\n# "), "lab Lab/0: hidden, characters 4 to 166"),
    ],
)
def test_judge(text: str, said: str | None) -> None:
    assert STEP.judge(text) == said
    assert Decontaminate().judge(text) is None


def test_a_block() -> None:
    block = pa.record_batch({"content": ["x = 1", SOLUTION, None], "path": ["/a", "/b", "/c"]})
    split = STEP(block)
    assert (split.reasons, split.details) == (("contaminated",), ("lab Lab/0: exact, characters 4 to 139",))
    assert split.kept.column("path").to_pylist() == ["/a", "/c"]
    assert Decontaminate()(block).kept.equals(block) and CUT(block.slice(0, 1)).kept.column("cuts").to_pylist() == [[]]


def test_starcoder2_s_matcher_alone() -> None:
    paper = Decontaminate(BLOB, Matchers(exact_chars=60, short=False, hidden=False, edited=False, ports=False, retold=False))
    assert paper.judge(SOLUTION) and not paper.judge(TASKS[1].solution), "44 characters are under exact_chars"
    assert STEP.judge(TASKS[1].solution)
    assert not paper.judge(f"'''{TASKS[0].prose}'''"), "without the doctest it is not the docstring"


def test_a_text_is_cut() -> None:
    text = f"import os\n\ndef mine(readings):\n{SOLUTION}\nprint('é', mine)\n"
    start = text.index("ordered")
    segments = [
        {"role": "code", "name": None, "start": 0, "end": 10},
        {"role": "code", "name": None, "start": 10, "end": start + 7},
        {"role": "code", "name": None, "start": start + 9, "end": len(text)},
    ]
    rows = [
        {"content": text, "length_bytes": 0, "segments": segments},
        {"content": "x = 1\n", "length_bytes": 6, "segments": None},
    ]
    fields = [schema.DATASET.field(name) for name in rows[0]]
    split = CUT(pa.RecordBatch.from_pylist(rows, schema=pa.schema(fields)))
    cut, other = split.kept.to_pylist()
    assert not split.reasons and other == rows[1] | {"cuts": []}
    assert cut["content"] == text.replace(SOLUTION.strip(), "") and cut["length_bytes"] == len(cut["content"].encode())
    assert [(s["start"], s["end"]) for s in cut["segments"]] == [(0, 10), (10, start), (start, len(cut["content"]))]
    assert f"lab Lab/0: exact, characters {start} to {start + len(SOLUTION.strip())}" in cut["cuts"]
    assert split.kept.schema.field("cuts").type == schema.DATASET.field("cuts").type


def test_what_holds_a_text_after_the_cut_is_dropped() -> None:
    half = len(SOLUTION) // 2
    split = CUT(pa.record_batch({"content": [SOLUTION[:half] + SOLUTION + SOLUTION[half:]]}))
    assert split.kept.num_rows == 0 and split.reasons == ("contaminated",)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([SOLUTION, TASKS[1].solution, TASKS[0].prose, "x = 1\n", "é", "\n"]), max_size=8))
def test_nothing_of_a_benchmark_is_left(pieces: list[str]) -> None:
    text = "\n".join(pieces)
    marks = [{"role": "r", "name": None, "start": at, "end": len(text)} for at in range(0, len(text) + 1, 7)]
    fields = pa.schema([schema.DATASET.field("content"), schema.DATASET.field("segments")])
    kept = CUT(pa.RecordBatch.from_pylist([{"content": text, "segments": marks}], schema=fields)).kept.to_pylist()
    for row in kept:
        assert STEP.judge(row["content"]) is None
        bounds = [s["start"] for s in row["segments"]]
        assert bounds == sorted(bounds) and all(s["end"] == len(row["content"]) for s in row["segments"])
        assert bool(row["cuts"]) == (STEP.judge(text) is not None)


def test_the_index_is_not_looked_at_for_each_file() -> None:
    step = dataclasses.replace(STEP)
    assert step.finder is step.finder


def test_a_step_travels_without_its_tables() -> None:
    step = Decontaminate(BLOB)
    before = pickle.dumps(step)
    assert step.judge(SOLUTION)
    assert pickle.dumps(step) == before
    there = pickle.loads(before)
    assert there == step and hash(there) == hash(step)
    assert there.judge(SOLUTION) == step.judge(SOLUTION)
    with pytest.raises(dataclasses.FrozenInstanceError):
        there.index = ""


def test_what_a_key_counts() -> None:
    assert STEP.material() == CUT.material() != Decontaminate(compiled(TASKS[:1])).material()


def test_lines_of_a_benchmark_that_is_published_nowhere() -> None:
    assert [task.name for task in TASKS] == [line["task_id"] for line in LINES]
    assert Decontaminate(compiled([Task("b", "1", docstring="short")])).judge("short") is None
