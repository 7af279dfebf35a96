"""What a run would ask: as many requests as a run asks where nothing is dropped, and sums by the recipe's prices."""

from dataclasses import replace
from pathlib import Path

import pytest
from scripted import recipe, rows

from starmill.alignment.estimate import lines, shares, whole
from starmill.alignment.prompts import Prompts
from starmill.alignment.recipe import Prices
from starmill.alignment.stages import seeds_of


def test_the_cost_of_the_papers_run(tmp_path: Path) -> None:
    import json

    found = seeds_of("a", "\n".join(map(json.dumps, rows(0, 4))).encode(), set()).kept
    wanted = replace(recipe(tmp_path, tmp_path, "http://127.0.0.1:9/v1"), prices=Prices(0.1, 0.4, 2_000.0))
    wanted = replace(wanted, respond=replace(wanted.respond, samples=10))
    made = shares(wanted, Prompts(), found, 250_000)
    assert {one.stage: one.requests for one in made} == {
        "judge": 250_000, "concepts": 250_000, "instruct": 250_000, "respond": 2_500_000,
    }  # fmt: skip
    sums = whole(made, wanted)
    assert sums["requests"] == 3_250_000 and sums["answer_tokens"] == sum(one.told for one in made)
    assert sums["money"] == pytest.approx((0.1 * sums["prompt_tokens"] + 0.4 * sums["answer_tokens"]) / 1e6, abs=0.01)
    assert sums["hours"] == pytest.approx(sums["answer_tokens"] / 2_000 / 3600, abs=0.01)
    said = lines(made, wanted)
    assert (
        "--- a prompt of respond" in said
        and said[-1].startswith("together: 3,250,000 requests")
        and "hours at 2,000" in said[-1]
    )
    assert all(one.prompt in "\n".join(said) for one in made)
    assert lines(shares(replace(wanted, prices=Prices()), Prompts(), [], 0), replace(wanted, prices=Prices()))[-1].endswith(
        "0 of answers"
    )
