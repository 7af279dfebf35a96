"""Rows of seeds, and what each stage makes of answers; the whole is tests/alignment/test_run.py."""

import json
from typing import Any

import pytest
from scripted import recipe, rows

from starmill.alignment.prompts import Prompts
from starmill.alignment.stages import LINEAGE, Stages, seeds_of
from starmill.evaluation.run.generate import Reply


def test_bad_seeds_are_dropped_rows() -> None:
    good = rows(0, 2)
    lines = [
        json.dumps(good[0]).encode(), b"", b"{", b"\xff", b"3", b"[" * 100_000, b'{"seed": 3}', b'{"seed": " "}',
        json.dumps(good[0]).encode(), json.dumps({**good[1], "language": "Rust"}).encode(), json.dumps(good[1]).encode(),
        b'{"seed": "\\ud800", "language": "Python", "licenses": 3}',
    ]  # fmt: skip
    made = seeds_of("f", b"\n".join(lines), known := set())
    assert [row["seed"] for row in made.kept] == [good[0]["seed"], good[1]["seed"], "\ud800"] and len(known) == 3
    assert [row["reason"] for row in made.dropped] == ["not_a_seed"] * 6 + ["repeated_seed", "not_verified_here"]
    assert made.dropped[0]["place"] == "f:3" and made.dropped[-1]["detail"] == "Rust"
    for row in made.kept[:2]:
        assert {*LINEAGE} <= {*row} and row["swhid"]
    assert seeds_of("g", json.dumps(good[0]).encode(), known).dropped[0]["reason"] == "repeated_seed"


@pytest.mark.parametrize(
    ("text", "ended", "kept"),
    [
        (" Yes", "length", 1),
        ("No", "stop", 0),
        ("Yes or no", "stop", 0),
        ("maybe", "stop", 0),
        ("", "stop", 0),
        ("yes", "error", 0),
    ],
)
def test_a_judgement(text: str, ended: str, kept: int) -> None:
    found = seeds_of("f", json.dumps(rows(0, 1)[0]).encode(), set())

    def ask(stage: str, wanted: Any, how: Any) -> Any:
        assert stage == "judge" and how.temperature == 0 and "My answer is:" in wanted[0].prompt
        return {(one.name, one.number): Reply(text, "", ended) for one in wanted}

    made = Stages(recipe("w", "s", "http://127.0.0.1:9/v1"), Prompts(), ask).judge(found)  # type: ignore[arg-type]
    assert (len(made.kept), len(made.dropped)) == (kept, 1 - kept)


def test_without_a_judge_all_seeds_do() -> None:
    found = seeds_of("f", json.dumps(rows(0, 1)[0]).encode(), set())
    stages = Stages(recipe("w", "s", "http://127.0.0.1:9/v1", judge=None), Prompts(), lambda *_: {})  # type: ignore[arg-type]
    assert stages.judge(found) is found
