"""The parts of the comparison: plants, clean files, the loop that is a peer, and the tables of speed."""

import random
from pathlib import Path

import decontaminate as compared
import disguises
import pytest
from invented import TASKS

from starmill.transforms.clean.overlap.find import Finder
from starmill.transforms.clean.overlap.index import Matchers, compiled


def test_the_loop_finds_what_the_exact_matcher_finds() -> None:
    texts = [disguise(task, random.Random(2)) for disguise in disguises.WORN.values() for task in TASKS]
    exact = compared.rows(Finder(compiled(TASKS), compared.PAPER), texts)
    assert compared.loop(TASKS, texts) == exact and 0 < sum(exact) < len(exact)


def test_plants_hold_their_task_and_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared, "PORTS", ())
    found = [*compared.planted({"HumanEval": TASKS[:1], "MBPP": TASKS[1:2]}, ["x = 1\n" * 300], Path())]
    assert {name for name, *_ in found} == {*disguises.WORN, *disguises.EDITED} and len(found) == 2 * len({f[0] for f in found})
    [text] = [text for name, benchmark, _, text in found if (name, benchmark) == ("as it is", "MBPP")]
    assert TASKS[1].solution in text and text.startswith("x = 1\n") and text.endswith("x = 1\n")
    hits = compared.rows(Finder(compiled(TASKS), Matchers()), [text for *_, text in found])
    assert sum(hits) > 0.8 * len(hits)


def test_clean_files_are_distinct_texts_of_packages_on_one_side(tmp_path: Path) -> None:
    for n in range(6):
        for package in ("even", "right", "right-1.2"):
            (tmp_path / package).mkdir(exist_ok=True)
            (tmp_path / package / f"{n}.py").write_text(f"{package.partition('-')[0]} = {n % 3}\n" * 30)
    (tmp_path / "right/image.png").write_bytes(b"\x89PNG\xff\xfe" * 90)
    sides = {name: compared.side(Path(name, "x.py")) for name in ("even", "right", "right-1.2", "right.py")}
    assert sides == {"even": 1 - sides["right"], **dict.fromkeys(("right", "right-1.2", "right.py"), sides["right"])}
    for name in ("even", "right"):
        assert sorted(compared.files([str(tmp_path)], 9, sides[name])) == [f"{name} = {n}\n" * 30 for n in range(3)]
    assert len(compared.files([str(tmp_path)], 2, sides["right"])) == 2


def test_speed_says_how_many_texts() -> None:
    for line in compared.speeds(TASKS, ["x = 1\n" * 3000]):
        assert line.startswith("| 6 | ") and float(line.split("|")[4].replace(",", "")) > 0
