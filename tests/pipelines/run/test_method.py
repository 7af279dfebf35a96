"""What a card may say of how a dataset was made: the recipe's steps, after a look whether they made it."""

import dataclasses
import json
from pathlib import Path

import pytest
from ingested_workspace import ingested

from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError
from starmill.pipelines.recipe import Recipe, build
from starmill.pipelines.run.method import DATASET, LOCAL, method
from starmill.pipelines.run.stages import publish_stages, run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import STAGES, load


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    """A workspace with a dataset of a page, and the recipe that made it."""
    place = tmp_path_factory.mktemp("workspace")
    options = build({"workspace": str(place / "w"), "sources": {"dump": {"kind": "folders", "roots": [str(place)]}}})
    workspace = Workspace(options.workspace)
    ingested(
        workspace,
        (("r", "/page", "some words\n"),),
        ("documentation",),
        ([{"role": "text", "name": "Markdown", "start": 0, "end": 4}],),
    )
    workspace.finish("records", "k", 1, "v")
    publish_stages(workspace, 1)
    for name in STAGES[1:]:
        run_stage(name, options, choose(()), quiet=True)
        if load(name).dataset == DATASET:
            break
    return options


def test_the_steps_of_the_kinds_that_are_there(recipe: Recipe) -> None:
    told = method(recipe, Workspace(recipe.workspace))
    json.dumps(told)
    steps = {name for kinds in told["steps"].values() for steps in kinds.values() for name, _, _ in steps}
    assert {kind for kinds in told["steps"].values() for kind in kinds} == {"documentation"}
    assert {"stated_language", "text", "redact", "deduplicated: near"} == steps
    assert told["near_duplicates"]["threshold"] == 0.7
    [redact] = [
        options for kinds in told["steps"].values() for steps in kinds.values() for n, options, _ in steps if n == "redact"
    ]
    assert redact["emails"] is True and redact["ip_addresses"] is False


def test_folders_of_this_machine_are_not_told(recipe: Recipe) -> None:
    assert method(recipe, Workspace(recipe.workspace))["sources"] == {"dump": {"kind": "folders", "roots": [LOCAL]}}


def test_a_recipe_that_did_not_make_it_is_refused(recipe: Recipe) -> None:
    release = dataclasses.replace(recipe.release, redact=dataclasses.replace(recipe.release.redact, emails=False))
    with pytest.raises(UsageError, match="1 of 1 parts were made with another recipe"):
        method(dataclasses.replace(recipe, release=release), Workspace(recipe.workspace))


def test_a_dataset_that_is_not_complete(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no manifest"):
        method(build({"workspace": str(tmp_path)}), Workspace(str(tmp_path)))


def test_texts_that_are_looked_for_are_counted_and_not_told(recipe: Recipe, tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(
        json.dumps({"task_id": "T", "canonical_solution": "largest = max(values, default=0) + min(values)"})
    )
    from starmill.pipelines.run.method import _told

    options = build({"workspace": "w", "release": {"benchmarks": [str(tmp_path / "b.jsonl")]}})
    [name, shown, _] = _told(options.release.decontaminate())
    assert name == "decontaminate" and shown["index"].endswith(" characters") and shown["mode"] == "drop"
    assert "values" not in json.dumps(shown)
