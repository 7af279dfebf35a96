"""Asking: what was answered is not asked again, by whatever model; a folder's model says by tokens whether it was cut."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from starmill.alignment.ask import Asking, BudgetSpent, Wanted
from starmill.alignment.recipe import Asked, Budget, Prices
from starmill.core.errors import InputError
from starmill.evaluation.run.generate import Decoding, Reply, Request

HOW = Asked(0, 0.5, max_new_tokens=4)
WANTED = [Wanted(name, number, f"prompt of {name}") for name in "ab" for number in range(3)]


class Folder:
    """What a model in a folder is to the asking."""

    def __init__(self, identity: str = "1", batch: int = 1) -> None:
        self.identity, self.batch, self.asked = {"model": identity, "by": "test"}, batch, list[str]()

    def replies(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[tuple[int, Reply]]:
        assert len(requests) <= 4 * self.batch
        for index, request in reversed([*enumerate(requests)]):
            self.asked.append(request.name)
            cut = request.name.endswith("/2")
            said = Reply("1 2 3 4" if cut else "1 2", "", "length" if cut else "stop", 3, 4 if cut else 2)
            yield index, Reply("", "too long") if request.name.endswith("b/1") else said


def asking(folder: Path, model: Any, seed: int = 0, budget: Budget = Budget()) -> Asking:  # noqa: B008
    return Asking(model, folder, seed, budget, Prices(1.0, 2.0), "prompts")


def test_answers_and_what_they_record(tmp_path: Path) -> None:
    model = Folder()
    found = asking(tmp_path, model).answers("respond", "part-00000", WANTED, HOW)
    assert len(model.asked) == 6 and {*found} == {(one.name, one.number) for one in WANTED}
    assert [(found[at].ended, found[at].refused) for at in (("a", 0), ("a", 2), ("b", 1))] == [
        ("stop", ""), ("length", ""), ("", "too long"),
    ]  # fmt: skip
    again = asking(tmp_path, model)
    assert again.answers("respond", "part-00000", WANTED, HOW) == {
        at: reply if not reply.refused else type(reply)("", reply.refused, "", 0, 0) for at, reply in found.items()
    }
    assert len(model.asked) == 6 and (again.new, again.spent.requests, again.spent.told) == (0, 6, 14)
    rows = [json.loads(line) for line in (tmp_path / "respond/part-00000.jsonl").read_text().splitlines()]
    assert len({row["key"] for row in rows}) == 6 and {row["prompts"] for row in rows} == {"prompts"}
    assert len({row["prompt"] for row in rows}) == 2 and len({row["sampling"]["seed"] for row in rows}) == 6
    assert rows[0]["model"] == model.identity and rows[0]["sampling"]["temperature"] == 0.5


@pytest.mark.parametrize("change", ["model", "seed", "temperature", "prompt"])
def test_what_asks_otherwise_has_answers_of_its_own(tmp_path: Path, change: str) -> None:
    model, seed, how, wanted = Folder(), 0, HOW, WANTED
    asking(tmp_path, model).answers("respond", "p", WANTED, HOW)
    model = Folder("2") if change == "model" else Folder()
    seed = int(change == "seed")
    how = Asked(0, 0.6, max_new_tokens=4) if change == "temperature" else HOW
    wanted = [Wanted(one.name, one.number, f"{one.prompt}!" if one.name == "a" else one.prompt) for one in WANTED]
    asking(tmp_path, model, seed).answers("respond", "p", wanted if change == "prompt" else WANTED, how)
    assert len(model.asked) == (3 if change == "prompt" else 6)


def test_a_budget_counts_what_is_under_way(tmp_path: Path) -> None:
    model = Folder(batch=8)
    with pytest.raises(BudgetSpent, match=r"2 requests, .* 4 of respond p are not asked"):
        asking(tmp_path, model, budget=Budget(requests=2)).answers("respond", "p", WANTED, HOW)
    assert len(model.asked) == 2
    with pytest.raises(BudgetSpent):
        asking(tmp_path, model, budget=Budget(requests=2)).answers("respond", "p", WANTED, HOW)
    with pytest.raises(BudgetSpent):
        asking(tmp_path, model, budget=Budget(tokens=20)).answers("respond", "p", WANTED, HOW)
    assert len(model.asked) == 3
    assert len(asking(tmp_path, model).answers("respond", "p", WANTED, HOW)) == 6 and len(model.asked) == 6


def test_a_torn_line_is_asked_again_and_a_wrong_one_named(tmp_path: Path) -> None:
    model, place = Folder(), tmp_path / "respond/p.jsonl"
    asking(tmp_path, model).answers("respond", "p", WANTED, HOW)
    place.write_bytes(place.read_bytes()[:-5])
    asking(tmp_path, model).answers("respond", "p", WANTED, HOW)
    assert len(model.asked) == 7
    place.write_text("7\n")
    with pytest.raises(InputError, match="line 1 is no answer; remove the file"):
        asking(tmp_path, model)
    place.write_text("{}\n")
    with pytest.raises(InputError, match="line 1 is no answer; remove the file"):
        asking(tmp_path, model)


def test_requests_a_minute(tmp_path: Path) -> None:
    waits: list[float] = []
    slow = Asking(Folder(), tmp_path, 0, Budget(), Prices(), "", per_minute=2, pause=waits.append)
    assert len(slow.answers("respond", "p", WANTED, HOW)) == 6
    assert len(waits) == 5 and all(0 < wait <= 30 for wait in waits)
