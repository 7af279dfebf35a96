"""The table of a workspace with shards: it agrees to the token with the side table, and with what the trainer takes."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from mixed import release, rows, tokenize
from small_workspace import RECIPE

from starmill.core import recipe
from starmill.core.dataset import Workspace
from starmill.core.shards import open_shards
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.stages.vocabulary import PATH, TokenizerOptions
from starmill.reports import mixture
from starmill.reports.mixture import Row, Table
from starmill.trainer import plan
from starmill.trainer.config import Data, Mixture, TrainRecipe
from starmill.trainer.data.corpus import Corpus
from starmill.trainer.data.inputs import open_inputs
from starmill.trainer.data.units import read_units, split
from starmill.transforms.decide.mix import Level, Mix, Weights

ROWS = rows()
MIX = Mix(
    kinds=("code", "notebook_script"),
    caps={"Java": 9000},
    weights=Weights("star_events_count", (Level(10, 1.5), Level(100, 0.25))),
)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made = release(tmp_path_factory.mktemp("workspace"))
    tokenize(made, Recipe(made.root, tokenizer=TokenizerOptions(vocab_size=320, sample_bytes=20_000), mix=MIX))
    return made


def table_of(workspace: Workspace) -> Table:
    table = mixture.of_shards(workspace)
    assert table is not None and not table.basis
    return table


def test_records_and_bytes_are_the_dataset_s_and_what_of_it_is_in_the_shards(workspace: Workspace) -> None:
    inside = {f["content_id"] for shard in open_shards(workspace.root) for d in shard.table.to_pylist() for f in d["files"]}
    for row in table_of(workspace).rows:
        mine = [r for r in ROWS if (r["kind"], r["language"] or "") == (row.kind, row.language)]
        taken = [r for r in mine if r["content_id"] in inside]
        assert (row.records, row.bytes) == (len(mine), sum(r["length_bytes"] for r in mine))
        assert (row.taken_records, row.taken_bytes) == (len(taken), sum(r["length_bytes"] for r in taken))
    assert sum(row.records for row in table_of(workspace).rows) == len(ROWS)


def test_the_table_the_side_table_and_the_trainer_agree_to_the_token(workspace: Workspace) -> None:
    shards = open_shards(workspace.root)
    tokens, documents, epoch, files = Counter[str](), Counter[str](), Counter[str](), Counter[tuple[str, str]]()
    for row in (row for shard in shards for row in shard.table.to_pylist()):
        tokens[row["kind"]] += row["token_count"]
        documents[row["kind"]] += 1
        epoch[row["kind"]] += row["token_count"] * row["weight"]
        rest = row["token_count"]
        for file in row["files"]:
            files[row["kind"], file["language"]] += file["token_count"]
            rest -= file["token_count"]
        files[row["kind"], row["language"]] += rest
    assert sum(tokens.values()) == sum(int(shard.lengths.sum()) for shard in shards) > 0 and {*tokens} == {
        "code",
        "notebook_script",
    }

    told = {kind["kind"]: kind for kind in mixture.data(workspace)["kinds"]}
    assert {kind: (t["tokens"], t["documents"]) for kind, t in told.items() if t["tokens"]} == {
        kind: (n, documents[kind]) for kind, n in tokens.items()
    }
    assert {(row.kind, row.language): row.tokens for row in table_of(workspace).rows if row.tokens} == dict(files)
    assert told["issue"]["taken_records"] == told["issue"]["tokens"] == 0 and told["issue"]["records"] == 24

    options = Data(sequence_length=32, batch=1, micro_batch=1, unit_tokens=60, mixture=Mixture(kinds={"notebook_script": 2.0}))
    tokenizer = Tokenizer.load(workspace.read(PATH))
    units = read_units(shards, options.unit_tokens)
    whole = Corpus(units, tokenizer, options, seed=0)
    assert units.sizes("kind") == dict(tokens) and len(units) > sum(documents.values())
    taken = whole.epoch_kinds()
    assert taken == {"code": epoch["code"], "notebook_script": 2.0 * epoch["notebook_script"]}
    assert {kind: told[kind]["epoch"] for kind in taken} == dict(epoch)
    assert whole.epoch_tokens() == sum(taken.values()) == sum(epoch.values()) + epoch["notebook_script"]
    assert mixture.data(workspace)["total"]["epoch"] == sum(epoch.values())
    halves = [Corpus(some, tokenizer, options, seed=0) for some in split(units, 0.3, 0)]
    assert sum(half.epoch_tokens() for half in halves) == whole.epoch_tokens() and not halves[1].is_empty


def test_the_plan_of_a_training_shows_the_same_kinds(workspace: Workspace) -> None:
    mix = {"kinds": {"code": 1, "notebook_script": 0.5}, "other_kinds": 0}
    values = {**RECIPE, "workspace": workspace.root, "output": "o", "data": {**RECIPE["data"], "held_out": 0.0, "mixture": mix}}
    options = recipe.build(TrainRecipe, values)
    found = open_inputs(options)
    told = {kind["kind"]: kind for kind in mixture.data(workspace)["kinds"]}
    assert plan.data(options, found.config, found)["kinds"] == {
        kind: {"tokens": told[kind]["tokens"], "epoch_tokens": factor * told[kind]["epoch"]}
        for kind, factor in (("code", 1.0), ("notebook_script", 0.5))
    }
    shown = [line.split() for line in plan.data_lines(options, found)]
    epoch, half = told["code"]["epoch"], told["notebook_script"]["epoch"] / 2
    share = f"{half / (epoch + half):.2%}"
    assert ["notebook_script", f"{told['notebook_script']['tokens']:,}", f"{half:,.0f}", share] in shown


def test_shards_of_another_dataset_are_not_told(workspace: Workspace, tmp_path: Path) -> None:
    copy = Workspace(str(tmp_path))
    for path in ("dataset/manifest.json", "shards/manifest.json"):
        copy.publish(path, workspace.read(path))
    assert mixture.of_shards(copy) == mixture.of_shards(workspace)
    copy.publish("dataset/manifest.json", release(tmp_path / "other", 4, rows(23)).read("dataset/manifest.json"))
    assert mixture.of_shards(copy) is None
    assert [*mixture.lines(copy)] == [f"{copy.root}: no shards are complete here"] and mixture.data(copy)["kinds"] == []


def test_the_table_for_a_person(workspace: Workspace) -> None:
    found = Table(
        (Row("code", "C", 3, 2_000_000, 3, 2_000_000, 2, 1000, 1000), Row("code", "Ada", 1, 500_000, 1, 500_000, 0, 250, 250)),
    )
    lines = [*mixture.lines(workspace, found, languages=1)]
    assert [line.split() for line in lines[1:5]] == [
        ["code", "4", "2.50", "4", "2.50", "1,250", "100.00%"],
        ["C", "3", "2.00", "3", "2.00", "1,000", "80.00%"],
        ["1", "others", "1", "0.50", "1", "0.50", "250", "20.00%"],
        ["total", "4", "2.50", "4", "2.50", "1,250", "100.00%"],
    ]
    assert "epoch" not in lines[0] and "as counted" in lines[5]
    guessed = Table((replace(found.rows[0], epoch=1500.4),), "tokens are estimated")
    lines = [*mixture.lines(workspace, guessed)]
    assert (
        lines[1].split()[-3:] == ["~1,000", "100.00%", "~1,500"]
        and lines[0].endswith("tokens an epoch")
        and lines[-1] == guessed.basis
    )
