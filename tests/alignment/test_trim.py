"""How a response that passed is trimmed: comments, sections, and assertions behind the instruction."""

import io
import tokenize
from pathlib import Path

import pytest
from scripted import response as written

from starmill.alignment import trim
from starmill.alignment.read import Response, parsed, response
from starmill.alignment.recipe import Select
from starmill.alignment.trim import trimmed, unfinished, without_comments

ASKED = "Write a function `task_1(items)`."
ALL = Select(keep_explanation=1, keep_reasoning=1, add_assertions=1)
NONE = Select(keep_explanation=0, keep_reasoning=0, add_assertions=0)


def found(text: str = written(1, "items")) -> Response:
    made = response(text)
    assert isinstance(made, Response)
    return made


def test_sections_and_marks_go() -> None:
    assert trimmed(ASKED, found(), "a", 0, NONE) == (ASKED, "```python\ndef task_1(items):\n    return items\n```")
    asked, told = trimmed(ASKED, found(), "a", 0, ALL)
    assert asked.startswith(f"{ASKED}\n\nYour code should pass the following assertion") and "assert task_1(" in asked
    assert told.startswith("Compare each item") and told.endswith("One pass.") and "[" not in told.replace("[-1", "")
    asked, told = trimmed("Write task_1, with tests.", found(), "a", 0, ALL)
    assert asked == "Write task_1, with tests." and told.endswith("assert task_1([]) == []\n```")


def test_what_is_drawn_depends_on_the_name_alone() -> None:
    drawn = {name: trimmed(ASKED, found(), name, 7, Select()) for name in map(str, range(60))}
    assert drawn == {name: trimmed(ASKED, found(), name, 7, Select()) for name in drawn}
    assert len({*drawn.values()}) >= 8 and 15 < sum("assert" in asked for asked, _ in drawn.values()) < 45


def test_only_assertions_that_stand_alone_are_shown() -> None:
    tests = "x = [1]\nassert task_1(x) == x\nassert task_1([2]) == [2]\nassert all(i for i in task_1([3]))\n"
    tests += "assert (\n\n\n\n\n\ntask_1([]) == [])"
    asked, _ = trimmed(ASKED, found(written(1, "items", tests)), "a", 0, ALL)
    shown = [
        line for seed in range(20) for line in trimmed(ASKED, found(written(1, "items", tests)), "a", seed, ALL)[0].split("\n")
    ]
    assert {line for line in shown if line.startswith("assert")} == {
        "assert task_1([2]) == [2]",
        "assert all(i for i in task_1([3]))",
    }
    assert asked.count("```") == 2


@pytest.mark.parametrize("words", ["# TODO: more", "pass  # your code here", "raise NotImplementedError"])
def test_unfinished(words: str) -> None:
    text = written(1, "items").replace("    return", f"    {words}\n    return")
    assert bool(unfinished(found(text))) and not unfinished(found())


def test_comments_go_and_the_program_stays() -> None:
    for place in (Path(trim.__file__), Path(tokenize.__file__)):
        code = place.read_text()
        bare = without_comments(code)
        tokens = [t for t in tokenize.generate_tokens(io.StringIO(bare).readline) if t.type == tokenize.COMMENT]
        trees = [parsed(text) for text in (code, bare)]
        assert tokens == [] and trees[0] and trees[1]
        assert [type(n) for n in trees[0].body] == [type(n) for n in trees[1].body]
        import ast

        assert ast.dump(trees[0]) == ast.dump(trees[1])
    for kept in ("x = '''open", "x\x0c = 1 # a", "if x:\n  y\n z"):
        assert without_comments(kept) == kept
