"""The search against a naive one: every text of the index that stands in a text is found, at any place of it, and nothing else is."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented import TASKS

from starmill.transforms.clean.overlap import forms, index, search
from starmill.transforms.clean.overlap.find import Finder
from starmill.transforms.clean.overlap.index import EXACT, HIDDEN, Matchers, compiled, opened
from starmill.transforms.clean.overlap.tasks import Task

WORDS = "harbour lantern quarry saffron meadow cobalt thistle granite ember willow copper falcon".split()
MADE = random.Random(3)
MANY = [Task("made", str(n), solution=" ".join(MADE.choices(WORDS, k=MADE.randrange(2, 30))) + f"{n}") for n in range(200)]
BLOB = compiled([*TASKS, *MANY])
ON = Matchers(exact_chars=1, bits=20, edited=False, ports=False, retold=False)
FINDER = Finder(BLOB, ON)
ROWS = [row for row in opened(BLOB).to_pylist() if row["role"] not in ("whole",)]


def naive(text: str) -> dict[int, set[tuple[str, str]]]:
    """The owners of what stands in a text, by matcher."""
    plain, bare = forms.squashed(text)[0], forms.letters(text)[0]
    found: dict[int, set[tuple[str, str]]] = {EXACT: set(), HIDDEN: set()}
    for row in ROWS:
        who = (row["benchmark"], row["task"])
        if row["form"] == "squashed" and len(row["symbols"]) >= index.SHORT and row["symbols"] in plain:
            found[EXACT].add(who)
        if row["form"] == "letters" and len(row["symbols"]) >= index.LONG and row["bits"] >= ON.bits and row["symbols"] in bare:
            found[HIDDEN].add(who)
    return found


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 40))
def test_what_stands_in_a_text_is_found(seed: int, before: int) -> None:
    draw = random.Random(seed)
    pieces = [
        draw.choice([*WORDS, *(t.solution for t in MANY[:30]), "\n", "é", "\\n", '"', " "]) for _ in range(draw.randrange(30))
    ]
    text = "x" * before + draw.choice(["", " "]).join(pieces)
    found: dict[int, set[tuple[str, str]]] = {EXACT: set(), HIDDEN: set()}
    for find in FINDER.of(text):
        found[find.matcher] |= {*find.owners}
        assert 0 <= find.start < find.end <= len(text)
    assert found == naive(text)


@pytest.mark.parametrize(
    "solution", ["x=[1]+[2]*(3-y)", r"'\n'+'\t'+(x%9)", "print(orchards, é)", 'write("orchard\\nlanterns of a quarry")']
)
@pytest.mark.parametrize("before", ["", "\\", "y" * 5])
def test_a_needle_of_few_letters_or_with_escapes_is_found(solution: str, before: str) -> None:
    finder = Finder(compiled([Task("b", "1", solution=solution)]), Matchers(exact_chars=1, hidden=False, retold=False))
    assert [find.matcher for find in finder.of(f"{before}{solution} z")] == [EXACT]
    assert not finder.of(f"{before}{solution[:-2]} z")


@pytest.mark.parametrize("shift", range(17))
def test_no_shift_hides_a_text(shift: int) -> None:
    for task in (TASKS[0], TASKS[1], MANY[0]):
        assert naive(" " + "y" * shift + task.solution)[EXACT] == {
            who for find in FINDER.of("y" * shift + task.solution) if find.matcher == EXACT for who in find.owners
        }


def test_what_is_covered_counts_by_weight_in_any_order() -> None:
    scratch = np.zeros(search.SLOTS, np.uint64), np.zeros(search.SLOTS, np.int64), np.zeros(search.SLOTS, np.int32)
    wanted = np.frombuffer(b"thequickbrownfoxjumps", np.uint8)
    weights = np.arange(1, len(wanted) + 1).astype(np.uint8)

    def covered(text: bytes, stamp: int) -> tuple[int, int, int]:
        made = np.frombuffer(text, np.uint8)
        return tuple(search.covered(made, 0, len(made), wanted, weights, *scratch, stamp, np.zeros(search.SLOTS, np.uint8)))

    assert covered(b"..thequickbrownfoxjumps.", 1) == (sum(range(1, 22)), 2, 23)
    assert covered(b"brownfox....thequick", 2) == (sum(range(1, 9)) + sum(range(9, 17)), 0, 20)
    assert covered(b"thequic kbrownf oxjumps", 3)[0] == 0, "no piece of eight letters"
