"""What the mixture leaves of a dataset: as plain Python takes it, with every other row in dropped/, whatever the parts and workers."""

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mixed import release, rows, tokenize

from starmill.core import seeds
from starmill.core.dataset import Workspace
from starmill.core.shards import open_shards
from starmill.core.tokenizer import train
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import vocabulary
from starmill.pipelines.stages.vocabulary import TokenizerOptions
from starmill.transforms.decide.mix import Level, Mix, Weights

ROWS = rows()
MIX = Mix(kinds=("code", "notebook_script"), languages=("Java", "JSON"), caps={"Java": 9000, "JSON": 5000, "C": 10})


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> TokenizerOptions:
    place = tmp_path_factory.mktemp("tokenizer") / "mine.json"
    place.write_bytes(train([row["content"] for row in ROWS], 320))
    return TokenizerOptions(path=str(place))


def recipe(workspace: Workspace, tokenizer: TokenizerOptions, mix: Mix = MIX) -> Recipe:
    return Recipe(workspace.root, tokenizer=tokenizer, mix=mix)


def documents(workspace: Workspace) -> list[tuple[Any, ...]]:
    found = []
    for shard in open_shards(workspace.root):
        for row in shard.table.to_pylist():
            files = [(f["path"], f["content_id"]) for f in row["files"]]
            found.append((row["kind"], row["repo_name"], row["weight"], shard.tokens(row["document"]).tolist(), files))
    return sorted(found)


def test_as_plain_python_takes_it_and_nothing_disappears(tmp_path: Path, tokenizer: TokenizerOptions) -> None:
    workspace = release(tmp_path)
    tokenize(workspace, recipe(workspace, tokenizer))
    total = Counter[str]()
    for row in ROWS:
        if row["kind"] == "code":
            total[row["language"]] += row["length_bytes"]
    assert total["Java"] > 9000 and total["JSON"] > 5000
    wanted, lost = [], Counter[tuple[str, str, str]]()
    for row in ROWS:
        kind, language = row["kind"], row["language"]
        if kind == "issue" or (kind == "code" and language == "C"):
            lost["not_in_mix", kind, language or ""] += 1
        elif (
            kind == "code"
            and seeds.uniform(0, "mix", language, row["repo_name"], row["path"]) * total[language] >= MIX.caps[language]
        ):
            lost["above_cap", kind, language] += 1
        else:
            wanted.append(row["content_id"])
    ids = [content_id for *_, files in documents(workspace) for _, content_id in files]
    assert sorted(ids) == sorted(wanted) and {r for r, *_ in lost} == {"not_in_mix", "above_cap"}
    dropped = Counter(
        (row["reason"], row["kind"], row["language"] or "")
        for path in workspace.parts("dropped/tokenize")
        for row in workspace.table(path).to_pylist()
    )
    assert dropped == lost and sum(lost.values()) + len(ids) == len(ROWS)
    manifest = workspace.manifest("shards")
    assert manifest is not None
    counts = [c for part in manifest.parts for c in part.counts]
    assert {c.step for c in counts} == {"", "mix"} and sum(c.files for c in counts) == len(ROWS)
    assert sum(c.bytes for c in counts) == sum(row["length_bytes"] for row in ROWS)
    assert sum(c.files for c in counts if not c.reason) == len(wanted)
    assert [part.kinds for part in manifest.parts] == [("code", "notebook_script")] * len(manifest.parts)


def test_parts_and_workers_change_nothing(tmp_path: Path, tokenizer: TokenizerOptions) -> None:
    few, many = release(tmp_path / "few", 12), release(tmp_path / "many", 3)
    trained = TokenizerOptions(vocab_size=310, sample_bytes=4000)  # on a sample of what is taken
    tokenize(few, recipe(few, trained))
    run_stage("tokenize", recipe(many, trained), choose((), 2), quiet=True)
    assert vocabulary.sha256(few) == vocabulary.sha256(many) and documents(few) == documents(many)
    alone = Workspace(str(tmp_path / "alone"))
    shutil.copytree(many.root, alone.root)
    alone.clear("shards")
    assert tokenize(alone, recipe(alone, trained)) == {*range(8)}
    first, second = (w.manifest("shards") for w in (many, alone))
    assert first is not None and second is not None and first.digest == second.digest


def test_another_cap_makes_the_parts_again_that_have_its_language(tmp_path: Path, tokenizer: TokenizerOptions) -> None:
    only_c = [row for row in ROWS if row["language"] != "Java" or row["repo_name"] < "o/r012"]
    workspace = release(tmp_path, 4, only_c)
    options = recipe(workspace, tokenizer, Mix())
    assert tokenize(workspace, options) == {*range(6)} and tokenize(workspace, options) == set()
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file() and p.parent.name != "shards"}
    assert tokenize(workspace, replace(options, mix=Mix(caps={"Java": 10**12}))) == set(), "a cap above all there is"
    assert tokenize(workspace, replace(options, mix=Mix(caps={"Java": 500}))) == {0, 1, 2}
    assert tokenize(workspace, replace(options, mix=Mix(caps={"Java": 500}, seed=1))) == {0, 1, 2}
    assert tokenize(workspace, replace(options, mix=Mix(kinds=("code",)))) == {*range(6)}
    after = {p.name: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file() and p.parent.name != "shards"}
    remade = {name for name in after if after[name] != before.get(name)}
    assert remade <= {"timings.json", *(f"part-{k:05}.parquet" for k in range(6))}  # those of dropped/tokenize
    assert all((tmp_path / f"dataset/part-{k:05}.parquet").stat().st_mtime_ns <= max(before.values()) for k in range(6))


def test_a_tokenizer_is_trained_on_what_is_taken(tmp_path: Path) -> None:
    workspace = release(tmp_path)
    trained = TokenizerOptions(vocab_size=400, sample_bytes=10**9)
    texts = [row["content"] for row in ROWS if row["kind"] == "notebook_script"]
    tokenize(workspace, recipe(workspace, trained, Mix(kinds=("notebook_script",))))
    assert workspace.read(vocabulary.PATH) == train(texts, 400)
    tokenize(workspace, recipe(workspace, trained, Mix()))
    assert workspace.read(vocabulary.PATH) == train([row["content"] for row in ROWS], 400)


def test_a_document_has_the_mean_weight_of_its_records(tmp_path: Path, tokenizer: TokenizerOptions) -> None:
    workspace = release(tmp_path)
    lengths = Weights("length_bytes", (Level(100, 0.5), Level(600, 3.0)), otherwise=2.0)
    tokenize(workspace, recipe(workspace, tokenizer, Mix(weights=lengths)))
    of_content = {row["content_id"]: row for row in ROWS}
    for _, _, weight, _, files in documents(workspace):
        sizes = [of_content[content_id]["length_bytes"] for _, content_id in files]
        mean = sum(size * (2.0 if size < 100 else 0.5 if size < 600 else 3.0) for size in sizes) / sum(sizes)
        assert weight == np.float32(weight) == pytest.approx(mean, rel=1e-6)
    assert len({weight for _, _, weight, *_ in documents(workspace)}) > 5
    assert tokenize(workspace, recipe(workspace, tokenizer, Mix())) == {*range(6)}, "without weights"
    assert {weight for _, _, weight, *_ in documents(workspace)} == {1.0}
