"""The index: the same tasks give the same blob, whose texts and tables are those of the matchers that are on."""

import dataclasses

import pytest
from invented import TASKS

from starmill.core.errors import InputError
from starmill.transforms.clean.overlap import forms, index
from starmill.transforms.clean.overlap.index import Matchers, Tables, compiled, opened
from starmill.transforms.clean.overlap.tasks import Task

BLOB = compiled(TASKS)
OFF = Matchers(exact=False, short=False, hidden=False, edited=False, ports=False, retold=False)


def test_a_blob_is_what_the_tasks_say() -> None:
    assert compiled(list(TASKS)) == BLOB != compiled(TASKS[:2])
    rows = opened(BLOB).to_pylist()
    widest = {(r["role"], r["form"]): r for r in rows if r["task"] == "Lab/0"}
    assert widest["solution", "squashed"]["symbols"] == forms.squashed(TASKS[0].solution)[0]
    assert widest["docstring", "letters"]["symbols"] == forms.letters(TASKS[0].prose)[0]
    assert all(len(r["symbols"].split() if r["form"] == "words" else r["symbols"]) == len(r["weights"]) for r in rows)
    assert {r["entry"] for r in rows} == {b"widestgap", b"keepfruit", b"third"}


@pytest.mark.parametrize("blob", ["", "AAAA", "no base64!", BLOB[:-40]])
def test_what_is_no_blob_is_refused(blob: str) -> None:
    with pytest.raises(InputError, match="compile the benchmarks again"):
        opened(blob)


def test_switches() -> None:
    assert not any(len(part[0][4]) for part in (Tables(BLOB, OFF).exact, Tables(BLOB, OFF).short, Tables(BLOB, OFF).letters))
    exact = Tables(BLOB, dataclasses.replace(OFF, exact=True))
    assert len(exact.exact_owners) == 4 and not exact.short_owners, (
        "all but two solutions have 40 characters without white space"
    )
    short = Tables(BLOB, dataclasses.replace(OFF, exact=True, short=True, exact_chars=10**6))
    assert {owner for owners in short.exact_owners + short.short_owners for (owner,) in (owners,)} >= {("lab", "Lab/1")}
    hidden = Tables(BLOB, dataclasses.replace(OFF, hidden=True)).units
    assert hidden[3].any() and (hidden[4] == index.NEVER).all() and (hidden[5] == index.NEVER).all()
    told = Tables(BLOB, dataclasses.replace(OFF, retold=True))
    assert len(told.words[0][4]) and not len(told.letters[0][4]) and not len(Tables(BLOB, OFF).words[0][4])
    edited = Tables(BLOB, dataclasses.replace(OFF, edited=True)).units
    assert not edited[3].any() and (edited[4] < index.NEVER).any()


def test_a_text_of_many_tasks_is_one_text_of_all() -> None:
    twice = [TASKS[0], dataclasses.replace(TASKS[0], benchmark="lab-plus")]
    for owners in Tables(compiled(twice), Matchers()).owners:
        assert owners == [("lab", "Lab/0"), ("lab-plus", "Lab/0")]


def test_words_that_many_tasks_say_weigh_little() -> None:
    tasks = [
        Task("b", str(n), docstring=f"Write a function of the vineyard that finds kumquat{n} herring{n}.") for n in range(9)
    ]
    rows = [r for r in opened(compiled(tasks)).to_pylist() if r["form"] == "letters"]
    weights = rows[0]["weights"]
    often, rare = weights[: len("writeafunctionofthe")], weights[-len("herring0") :]
    assert sum(often) / len(often) < sum(rare) / len(rare) / 3


def test_every_window_of_a_long_text_that_is_looked_up_is_one_of_its_own() -> None:
    (windows, _), (symbols, bounds, *_) = (tables := Tables(BLOB, Matchers())).letters, tables.units
    *_, which, shifts = windows
    assert ((shifts >= 0) & (shifts + index.WINDOW <= (bounds[1:] - bounds[:-1])[which])).all()
    assert tables.bytes < 3_000_000 and bounds[len(tables.lengths)] == sum(tables.lengths) <= len(symbols)
