"""Finds in every disguise, with their matcher and characters; texts of code that are none; blocks, rooms and time."""

import inspect
import random
import sysconfig
from pathlib import Path

import disguises
import pyarrow as pa
import pytest
from invented import TASKS
from tedious_texts import is_linear

from starmill.transforms.clean.overlap.find import Find, Finder
from starmill.transforms.clean.overlap.index import EXACT, NAMES, Matchers, compiled
from starmill.transforms.clean.overlap.tasks import Task

FINDER = Finder(compiled(TASKS), Matchers())
HOST = inspect.getsource(random)[:6000]


def planted(made: str) -> str:
    return f"{HOST[:3000]}\n{made}\n{HOST[3000:]}"


@pytest.mark.parametrize("name", [*disguises.WORN, *disguises.EDITED])
def test_a_disguise_hides_nothing(name: str) -> None:
    disguise = (disguises.WORN | disguises.EDITED)[name]
    text = planted(disguise(TASKS[0], random.Random(1)))
    finds = FINDER.of(text)
    assert finds and {owner for find in finds for owner in find.owners} == {("lab", "Lab/0")}
    assert all(2000 < find.start < find.end < len(text) - 2000 for find in finds), "where it was planted, and not the file"
    if name in disguises.WORN:
        assert NAMES[finds[0].matcher] in ("exact", "hidden")


@pytest.mark.parametrize("name", [*disguises.WORN, *disguises.EDITED])
def test_starcoder2_s_matcher_alone_is_what_it_was(name: str) -> None:
    paper = Finder(compiled(TASKS), Matchers(short=False, hidden=False, edited=False, ports=False, retold=False))
    text = planted((disguises.WORN | disguises.EDITED)[name](TASKS[0], random.Random(1)))
    wanted = ["".join(t.lower().split()) for t in (TASKS[0].stated, TASKS[0].solution)]
    assert bool(paper.of(text)) == any(w in "".join(text.lower().split()) for w in wanted)


def test_a_port_is_found_by_its_docstring_and_name() -> None:
    told = "/* Returns the widest gap between two neighbouring values once they are put in order, or zero\n */"
    assert not FINDER.of(f"{told}\nint other(int *v) {{ return 0; }}")
    found = FINDER.of(f"{told}\nint widestGap(int *v) {{ return 0; }}")
    assert [(NAMES[find.matcher], find.owners) for find in found] == [("ported", (("lab", "Lab/0"),))]


def test_a_docstring_told_again_is_found_by_its_words_alone() -> None:
    told = "Find the widest gap between two neighbours of the sorted values of an orchard, or zero for an empty one."
    finder = Finder(compiled([Task("b", "1", docstring=told)]), Matchers(hidden=False, edited=False, ports=False))
    again = "é // Get the widest gap between two values of a sorted orchard that are neighbours, or zero for an empty one."
    (find,) = finder.of(again)
    assert (NAMES[find.matcher], find.owners) == ("retold", (("b", "1"),))
    assert (
        again[find.start : find.end]
        == "the widest gap between two values of a sorted orchard that are neighbours, or zero for an empty one"
    )
    assert not finder.of(
        "The widest gap of an orchard has two values. Zero neighbours are in this garden behind the old harbour wall."
    )


def test_a_question_of_few_rare_words_told_again_is_found_and_a_generic_one_is_not() -> None:
    asked = [
        Task("b", "1", docstring="Write a function to find the nth tetrahedral number."),
        Task("b", "2", docstring="Concatenate list of strings into a single string"),
    ]
    finder = Finder(compiled(asked), Matchers())
    (find,) = finder.of("x = 1  # Write a function to get the nth tetrahedral number.")
    assert (NAMES[find.matcher], find.owners) == ("retold", (("b", "1"),))
    assert not finder.of("# Concatenate all of the names into a single list")


def test_a_table_of_numerals_and_an_algorithm_of_few_words_are_anybodys() -> None:
    numerals = "zero one two three four five six seven eight nine".split()
    table = ", ".join(f"'{word}': {n}" for n, word in enumerate(numerals))
    sort = f"value_map = {{{table}}}\nreturn ' '.join(sorted(numbers.split(' '), key=lambda x: value_map[x]))"
    finder = Finder(
        compiled([Task("b", "1", solution=sort), Task("b", "2", solution="while b:\n    a, b = b, a % b\nreturn a")]),
        Matchers(),
    )
    assert not finder.of(f"NUMBERS = {{{table}, 'ten': 10}}") and not finder.of("while b:\n    a, b = b, a % b\nreturn a")
    assert finder.of(sort.replace("numbers", "words"))


def test_a_short_solution_by_rarity() -> None:
    solution = "def zzz(basket, fruit):\n    return [crate for crate in basket if fruit in crate]\n"
    assert FINDER.of(solution)[0].matcher == EXACT
    rare = [Task("b", "1", solution="return hopscotch(kumquats)"), Task("b", "2", solution="return len(string)")]
    finder = Finder(compiled(rare), Matchers(short_bits=30, bits=30))
    find, *_ = finder.of("x = 1\nreturn  hopscotch( kumquats )  # return len(string)")
    assert (find.matcher, find.owners, find.start, find.end) == (EXACT, (("b", "1"),), 6, 35)
    assert not Finder(compiled(rare), Matchers(short_bits=30, bits=30, short=False, hidden=False)).of(
        "return hopscotch(kumquats)"
    )


def test_no_file_of_the_standard_library_is_a_find() -> None:
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))[:120]
    found = FINDER.finds(pa.array([file.read_text("utf-8", "replace") for file in files]))
    assert len(found) == len(files) > 100 and not any(found)


def test_characters_of_a_find_behind_characters_of_several_bytes() -> None:
    text = f"# é漢😀\n{TASKS[0].solution}"
    (find, *_) = FINDER.of(text)
    assert text[find.start : find.end] == TASKS[0].solution.strip()


def test_every_place_of_a_text() -> None:
    text = planted(TASKS[0].solution) * 3
    assert len({find.start for find in FINDER.of(text, every=True) if find.matcher == EXACT}) == 3
    assert len({find.start for find in FINDER.of(text) if find.matcher == EXACT}) == 1


def test_a_block_has_the_finds_of_its_texts() -> None:
    made = [planted(d(task, random.Random(n))) for n, d in enumerate(disguises.WORN.values()) for task in TASKS]
    texts = [None, "", *made, HOST]
    assert FINDER.finds(pa.array(texts)) == [FINDER.of(text or "") for text in texts]
    assert FINDER.finds(pa.array(texts).slice(3, 5)) == [FINDER.of(text or "") for text in texts[3:8]]
    assert FINDER.finds(pa.array([], pa.string())) == []


def test_more_finds_than_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = pa.array([planted(TASKS[0].solution)] * 20)
    wanted = FINDER.finds(texts)
    monkeypatch.setattr("starmill.transforms.clean.overlap.find.ROOM", 3)
    assert FINDER.finds(texts) == wanted and all(wanted)


@pytest.mark.parametrize(
    "piece", [TASKS[0].solution, TASKS[0].prose[:40], TASKS[0].prose[20:60], "widestgapbetween", "gapsgapsgaps"]
)
def test_time_is_linear_in_what_looks_like_a_benchmark(piece: str) -> None:
    assert is_linear(lambda size: FINDER.raw(pa.array([piece * (size // len(piece))]), every=True), 400_000)


def test_a_find_is_said() -> None:
    assert str(Find(3, 0, 1200, (("b", "t"),))) == "b t: ported, characters 0 to 1200"
