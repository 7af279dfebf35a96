"""Tasks by named fields; what of a prompt is prose; bad lines named."""

import pytest
from invented import DESCRIPTION, LINES, TASKS

from starmill.core.errors import InputError
from starmill.transforms.clean.overlap.tasks import Description, Task


def test_a_prompt_s_docstring_and_its_prose() -> None:
    widest, _, third = TASKS
    assert widest.stated.splitlines()[2:4] == ["    >>> widest_gap([4, 1, 9])", "    5"]
    assert widest.prose.split() == widest.stated.split(">>>")[0].split()
    assert (widest.benchmark, widest.name, widest.called) == ("lab", "Lab/0", "widest_gap")
    assert third.stated.startswith("Rank the given"), "of two quoted blocks the second counts"


def test_a_prompt_in_another_language() -> None:
    said = "#include <vector>\n// Sum the harvests\n// of all vineyards.\n// >>> sum({1})\n// 1\n// For example, none is 0.\nlong sum() {\n"
    task = Task("b", "1", prompt=said)
    assert task.stated == said
    assert task.prose == "Sum the harvests\nof all vineyards." and task.opening == task.prose
    assert Task("b", "1", prompt="(define (f x)\n").prose == "(define (f x)"


def test_the_opening_ends_at_an_example() -> None:
    task = Task("b", "1", docstring="Sum the harvests.\nExample 1:\n[1, 2] => 3\nassert sum([]) == 0\nMore.")
    assert task.prose == "Sum the harvests.\nExample 1:\n[1, 2] => 3\nMore." and task.opening == "Sum the harvests."


def test_fields_of_a_description() -> None:
    about = Description(benchmark="Mine", task="id", docstring=("q", "more"), tests=("checks",), until="STOP", prompt=("p",))
    rows = [{"id": 7, "q": "one", "more": "two", "checks": ["assert a", "assert b"], "p": "code STOP frame"}, None, {"q": "x"}]
    first, second = about.tasks(rows, "x/y.jsonl.gz")
    assert first == Task("Mine", "7", docstring="one\ntwo", tests="assert a\nassert b", prompt="code ")
    assert (second.name, second.called) == ("3", "")
    assert [t.name for t in Description(docstring=("q",), task="id", numbers=(7, 9)).tasks(rows, "b")] == ["7"]
    assert Description(docstring=("q",)).tasks([{"q": "x", "task_id": "a\n\x1bb"}], "d/set.parquet")[0].name == "a_b"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ([1], "list where an object"),
        (7, "int where an object"),
        ("a text", "str where an object"),
        ({"task_id": 1}, "none of prompt, canonical_solution"),
        ({"prompt": "", "canonical_solution": None}, "none of prompt"),
        ({"prompt": ["def f():"]}, r'prompt is \["def f\(\):"\] where a text should be'),
        ({"prompt": "def f():", "canonical_solution": {"a": 1}}, "canonical_solution is .* where"),
        ({"task_id": 3, "canonical_solution": ["return x"]}, "canonical_solution is .* where"),
        ({"prompt": True}, "prompt is true where"),
        ({"prompt": b"x"}, "prompt is .* where"),
    ],
)
def test_a_bad_line_is_named(line: object, said: str) -> None:
    with pytest.raises(InputError, match=r"^some/tasks\.jsonl, line 2: .*" + said):
        DESCRIPTION.tasks([LINES[0], line], "some/tasks.jsonl")
