"""Templates and examples: what is drawn, what is text and never a template, and what is said of files that are wrong."""

import shutil
from pathlib import Path

import pytest

from starmill.alignment.prompts import SHIPPED, STAGES, STOP, Prompts, difficulty
from starmill.core.errors import InputError

FIELDS = {
    "judge": {"code": "def f(): pass"},
    "concepts": {"code": "def {{concepts}}(): pass"},
    "instruct": {"category": "c", "language": "Python", "concepts": "loops", "difficulty": "easy"},
    "respond": {"instruction": "Write it."},
}


@pytest.mark.parametrize("stage", STAGES)
def test_prompts_of_each_stage(stage: str) -> None:
    prompts = Prompts()
    made = [prompts.prompt(stage, 3, 0, name, FIELDS[stage]) for name in ("a", "a", "b")]
    assert made[0] == made[1] != made[2]
    assert all(one.count(STOP) == 4 and f"{STOP} 4\n" in one for one in made)
    assert not made[0].endswith("\n"), "a newline at the end is another token"
    assert [*FIELDS[stage].values()][-1].strip() in made[0], "what stands in a field is text"
    assert prompts.prompt(stage, 0, 0, "a", FIELDS[stage]).count(STOP) == 1


def test_examples_are_drawn_evenly() -> None:
    prompts = Prompts()
    drawn = [prompts.prompt("respond", 1, 0, str(n), FIELDS["respond"]).split("### Instruction\n")[1] for n in range(200)]
    assert min(drawn.count(one) for one in {*drawn}) > 20 and len({*drawn}) == 4
    assert {difficulty(0, str(n)) for n in range(30)} == {"easy", "medium", "hard"}


def test_another_language_has_its_own_examples_first_and_those_of_python_are_as_they_were() -> None:
    one, both = Prompts(), Prompts(languages=("Python", "Go"))
    for stage in STAGES:
        assert both.prompt(stage, 3, 0, "a", FIELDS[stage]) == one.prompt(stage, 3, 0, "a", FIELDS[stage])
    assert one.digest == Prompts(languages=("Python",)).digest != both.digest != Prompts(languages=("Go", "Rust")).digest
    made = both.prompt("concepts", 3, 0, "a", FIELDS["concepts"], "Go")
    assert [made.count(word) for word in ("func ", "def ")] == [2, 2], "the third example, and what is asked"
    with pytest.raises(InputError, match="2 examples in Go for respond, and shots=3"):
        both.prompt("respond", 3, 0, "a", FIELDS["respond"], "Go")


def test_files_of_ones_own(tmp_path: Path) -> None:
    own = shutil.copytree(SHIPPED, tmp_path / "own")
    assert Prompts(own).digest == Prompts().digest
    (own / "concepts.txt").write_text("=== head\nH\n=== example\n{{code}}\n=== query\n{{code}} is\n")
    assert Prompts(own).prompt("concepts", 0, 0, "a", {"code": "x"}) == "H\nx is" and Prompts(own).digest != Prompts().digest
    for text, said in (
        ("=== head\nH\n", "not one each"),
        ("=== head\n=== example\n=== query\n=== query\n", "not one each"),
        ("=== head\n=== example\n{{codes}}\n=== query\n", "{{codes}} in example; there may be code, concepts, number"),
        ("=== head\n=== example\n=== query\n{{concepts}}", "{{concepts}} in query"),
    ):
        (own / "concepts.txt").write_text(text)
        with pytest.raises(InputError) as error:
            Prompts(own).prompt("concepts", 0, 0, "a", {"code": "x"})
        assert said in str(error.value)
    (own / "shots.jsonl").write_text('{"code": "x"}\n')
    with pytest.raises(InputError, match="line 1 is no object with the texts code, concepts"):
        _ = Prompts(own).shots
    (own / "shots.jsonl").write_bytes(b"\xff")
    with pytest.raises(InputError, match="not UTF-8"):
        _ = Prompts(own).shots
    (own / "shots.jsonl").unlink()
    with pytest.raises(InputError, match="not there; copy the files of"):
        _ = Prompts(own).digest
    with pytest.raises(InputError, match="4 examples for respond, and shots=9"):
        Prompts().prompt("respond", 9, 0, "a", FIELDS["respond"])


def test_files_of_ones_own_in_another_language(tmp_path: Path) -> None:
    own = shutil.copytree(SHIPPED, tmp_path / "own")
    (own / "respond-languages.txt").write_text(
        "=== head\n{{language}}: {{tests}}\n=== example\n{{response}}\n=== query\n{{fence}}"
    )
    made = Prompts(own, ("C++",)).prompt("respond", 0, 0, "a", FIELDS["respond"], "C++")
    assert made.startswith("C++: a main function") and made.endswith("\ncpp")
    (own / "judge.txt").write_text("=== head\n{{language}}\n=== example\n=== query\n")
    with pytest.raises(InputError, match="in head; there may be no fields"):
        _ = Prompts(own).templates
    (own / "shots-cpp.jsonl").unlink()
    with pytest.raises(InputError, match=r"shots-cpp\.jsonl: not there; copy the files"):
        _ = Prompts(own, ("C++",)).digest
