"""The stages from seeds to instructions, by a scripted server: exact counts, nothing asked twice, equal bytes after stops and budgets."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import scripted
from scripted import REQUESTS, RETRIES, WANTED, Script, recipe, serving

from starmill.alignment import card, run
from starmill.alignment.ask import BudgetSpent
from starmill.alignment.recipe import AlignRecipe, Budget, Prices, Respond
from starmill.core.conversations import Conversation, conversation
from starmill.core.errors import InputError
from starmill.core.preferences import Preference, preference
from starmill.evaluation.run.endpoint import Endpoint
from starmill.evaluation.sandbox.judge import Judge


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as made:
        yield made


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, judge: Judge) -> dict[str, str]:
    """The digests of a run that nothing stopped."""
    place = tmp_path_factory.mktemp("whole")
    folder = scripted.write_seeds(place / "seeds")
    with serving(Script.of(folder)) as url:
        align(recipe(place / "w", folder, url), judge)
    return bytes_of(place / "w")


def align(wanted: AlignRecipe, judge: Judge, tell: Callable[[str], None] = lambda _: None) -> run.Finished:
    assert wanted.endpoint is not None
    model = Endpoint(wanted.endpoint, wanted.model, wanted.at_once, pause=lambda _: None)
    return run.run(wanted, model, lambda: judge, lambda text: None, "", tell)


def bytes_of(workspace: Path) -> dict[str, str]:
    """Digests of all datasets of a workspace."""
    places = (p for p in sorted(workspace.rglob("*")) if p.is_file() and "answers" not in p.relative_to(workspace).parts)
    return {str(p.relative_to(workspace)): hashlib.sha256(p.read_bytes()).hexdigest() for p in places}


def read(place: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in place.read_text().splitlines()]


def test_counts_at_every_stage(tmp_path: Path, judge: Judge) -> None:
    folder = scripted.write_seeds(tmp_path / "seeds")
    script = Script.of(folder)
    with serving(script) as url:
        wanted = recipe(tmp_path / "w", folder, url)
        done = align(wanted, judge)
        assert {step.stage: (step.into, step.kept, step.dropped) for step in done.funnel} == WANTED
        assert done.new == done.spent.requests == REQUESTS and set(script.answered.values()) == {1}
        assert script.attempts.total() == REQUESTS + RETRIES
        before = bytes_of(tmp_path / "w")
        again = align(wanted, judge)
        assert again.new == 0 and script.attempts.total() == REQUESTS + RETRIES and bytes_of(tmp_path / "w") == before
        # Another selection asks nothing anew.
        other = align(replace(wanted, select=replace(wanted.select, same_names=False, comments=True)), judge)
        assert other.new == 0 and bytes_of(tmp_path / "w") != before
        assert align(wanted, judge).new == 0 and bytes_of(tmp_path / "w") == before
        # Another temperature asks one stage anew, and what depends on it.
        hotter = align(replace(wanted, instruct=replace(wanted.instruct, temperature=0.9)), judge)
        assert hotter.new == 7
    rows = read(tmp_path / "w/instructions/part-00000.jsonl")
    assert [row["instruction"].split("`")[1] for row in rows] == ["task_0(items)", "task_1(items)"]
    for row in rows:
        assert isinstance(conversation(row), Conversation)
        assert row["seed"] in (scripted.snippet(0), scripted.snippet(1)) and row["swhid"].startswith("swh:1:cnt:0")
        assert row["licenses"] == ["MIT"] and row["model"] == {"model": "scripted", "by": "endpoint"} and row["concepts"]
        assert "#" not in row["response"].replace("###", "") and "[Implementation]" not in row["response"]
    [pair] = read(tmp_path / "w/preferences/part-00000.jsonl")
    assert isinstance(preference(pair), Preference) and pair["rejected"][0]["content"].count("return items\n") == 1
    page = (tmp_path / "w/instructions/README.md").read_text()
    assert "2 pairs" in page and "- MIT: 2" in page and "| verify | 6 | 3 | failed_wrong 2, failed_cpu 1 |" in page
    answers = [row for place in (tmp_path / "w/answers").rglob("*.jsonl") for row in read(place)]
    assert all(row["model"]["model"] == "scripted" and row["prompt"] and row["sampling"]["max_new_tokens"] for row in answers)
    assert card.lines(done.funnel)[0].split() == ["judge", "12", "in", "8", "kept"]


def test_a_budget_ends_it_and_a_larger_one_goes_on(tmp_path: Path, judge: Judge, whole: dict[str, str]) -> None:
    folder = scripted.write_seeds(tmp_path / "seeds")
    script = Script.of(folder)
    with serving(script) as url:
        priced = replace(recipe(tmp_path / "w", folder, url), prices=Prices(10.0, 100.0))
        budgets = (Budget(requests=4), Budget(requests=13), Budget(tokens=4_500), Budget(money=0.2))
        for budget in budgets:
            with pytest.raises(BudgetSpent, match="the budget is spent") as spent:
                align(replace(priced, budget=budget), judge)
            assert spent.value.status == 4
            if budget.requests:
                assert script.answered.total() == budget.requests
        assert align(replace(priced, budget=Budget(requests=REQUESTS)), judge).spent.money(priced.prices) > 0
    assert set(script.answered.values()) == {1}
    assert bytes_of(tmp_path / "w") == whole


def test_a_stop_in_the_middle_of_each_stage(tmp_path: Path, judge: Judge, whole: dict[str, str]) -> None:
    folder = scripted.write_seeds(tmp_path / "seeds")
    script = Script.of(folder)
    with serving(script) as url:
        one = replace(recipe(tmp_path / "w", folder, url), at_once=1)

        def stop(said: str) -> None:
            if ": 2 of " in said or said.startswith("verify"):
                raise KeyboardInterrupt

        stops = 0
        for _ in range(20):
            try:
                align(one, judge, stop)
                break
            except KeyboardInterrupt:
                stops += 1
    assert stops > 5 and set(script.answered.values()) == {1}
    assert bytes_of(tmp_path / "w") == whole


def test_more_examples_than_there_are_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    folder = scripted.write_seeds(tmp_path / "seeds")
    wanted = recipe(tmp_path / "w", folder, "http://127.0.0.1:9/v1", respond=Respond(9, samples=1))
    with pytest.raises(InputError, match="4 examples for respond, and shots=9"):
        run.run(wanted, Endpoint("http://127.0.0.1:9/v1", "scripted", 1), Judge, lambda text: None, "")
    assert not (tmp_path / "w").exists()


def test_without_seeds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no \.jsonl in it"):
        run.seed_files(recipe(tmp_path, tmp_path / "none", "http://127.0.0.1:9/v1"))
