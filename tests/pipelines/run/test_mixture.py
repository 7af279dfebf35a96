"""What a recipe would take, before anything is tokenized: totals as plain Python counts them, tokens near what tokenizing then gives."""

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from mixed import release, rows, tokenize

from starmill.cli.__main__ import main
from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError
from starmill.core.tokenizer import train
from starmill.pipelines.costs.traffic import PROTOCOL, Traffic, counting
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run import mixture
from starmill.pipelines.run.mixture import BYTES_A_TOKEN, SAMPLED, SHARDED, STATED, expected
from starmill.pipelines.stages.vocabulary import TokenizerOptions
from starmill.reports.mixture import Row, of_shards
from starmill.transforms.decide.mix import Level, Mix, Weights

ROWS = rows()
TRAINED = TokenizerOptions(vocab_size=330, sample_bytes=10**9)


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """With a dataset, and nothing after it."""
    return release(tmp_path_factory.mktemp("workspace"))


def by_key(found: mixture.Table) -> dict[tuple[str, str], Row]:
    return {(row.kind, row.language): row for row in found.rows}


def test_records_and_bytes_are_reckoned_from_the_manifest_alone(workspace: Workspace, tmp_path: Path) -> None:
    import fsspec

    alone = Workspace(str(tmp_path))
    alone.publish("dataset/manifest.json", workspace.read("dataset/manifest.json"))
    traffic = Traffic()
    fsspec.register_implementation(PROTOCOL, counting(traffic), clobber=True)
    place = f"{PROTOCOL}://{alone.root}"
    mix = Mix(kinds=("code",), languages=("Java", "C"), caps={"Java": 7000, "C": 10**9})
    found = expected(Recipe(place, mix=mix), Workspace(place))
    assert {path for _, path in traffic.counts if "part-" in path} == set(), "no part is looked at"
    assert found.basis == STATED
    files, size = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row in ROWS:
        files[row["kind"], row["language"] or ""] += 1
        size[row["kind"], row["language"] or ""] += row["length_bytes"]
    shares = dict.fromkeys(files, 0.0) | {("code", "C"): 1.0, ("code", "Java"): 7000 / size["code", "Java"]}
    assert {*by_key(found)} == {*files}
    for key, row in by_key(found).items():
        assert (row.records, row.bytes, row.documents) == (files[key], size[key], None)
        assert (row.taken_records, row.taken_bytes) == pytest.approx((files[key] * shares[key], size[key] * shares[key]))
        assert row.tokens == row.epoch == pytest.approx(size[key] * shares[key] / BYTES_A_TOKEN)


def test_a_sample_tells_what_no_manifest_does(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_bytes(train([row["content"] for row in ROWS], 330))
    weights = Weights("star_events_count", (Level(10, 2.0),), otherwise=0.5)
    mix = Mix(languages="smol", weights=weights)
    options = Recipe(workspace.root, tokenizer=TokenizerOptions(path=str(tmp_path / "mine.json")), mix=mix)
    found = expected(options, workspace)
    assert found == expected(options, workspace) and found.basis == SAMPLED
    tokenize(place := release(tmp_path / "w"), Recipe(place.root, tokenizer=options.tokenizer, mix=mix))
    counted = of_shards(place)
    assert counted is not None
    there = by_key(counted)
    for key, row in by_key(found).items():
        # Four of the six parts were looked at.
        assert row.tokens == pytest.approx(there[key].tokens, rel=0.25), key
        assert row.epoch == pytest.approx(there[key].epoch, rel=0.25) and row.epoch != row.tokens
        if key != ("code", "JSON"):
            assert (row.taken_records, row.taken_bytes) == (there[key].taken_records, there[key].taken_bytes)
    json_files = by_key(found)["code", "JSON"]
    assert 0 < json_files.taken_bytes < json_files.bytes
    assert json_files.taken_bytes == pytest.approx(there["code", "JSON"].taken_bytes, rel=0.35)


def test_weights_by_a_score_are_those_of_the_side_tables(tmp_path: Path) -> None:
    scored = [row | {"quality_score": [None, 0.25, 0.5, 0.97][n % 4]} for n, row in enumerate(rows(8))]
    place = release(tmp_path / "w", 4, scored)
    levels = (Level(0.5, 1.5), Level(0.9, 3.0))
    options = Recipe(place.root, tokenizer=TRAINED, mix=Mix(weights=Weights("quality_score", levels, otherwise=0.5)))
    tokenize(place, options)
    counted, planned = of_shards(place), expected(options, place)
    assert counted is not None and planned.basis == SHARDED
    weight = {row["content_id"]: [0.5, 0.5, 1.5, 3.0][n % 4] for n, row in enumerate(scored)}
    sizes = {row["content_id"]: row["length_bytes"] for row in scored}
    tables = [place.table(f"shards/{path.name}") for path in sorted((tmp_path / "w/shards").glob("*.docs.parquet"))]
    documents = [row for table in tables for row in table.to_pylist()]
    seen, epoch = 0, 0.0
    for document in documents:
        ids = [file["content_id"] for file in document["files"]]
        mean = sum(weight[i] * sizes[i] for i in ids) / sum(sizes[i] for i in ids)
        assert document["weight"] == pytest.approx(mean), "by bytes"
        seen, epoch = seen + len(ids), epoch + mean * document["token_count"]
    assert seen == len(scored)
    assert sum(row.epoch for row in counted.rows) == pytest.approx(epoch, rel=1e-6)
    there = by_key(counted)
    for key, row in by_key(planned).items():
        assert row.tokens == pytest.approx(there[key].tokens) and row.epoch == pytest.approx(there[key].epoch, rel=0.4)


def test_after_tokenizing_the_shards_say_how_many_bytes_a_token_has(tmp_path: Path) -> None:
    place = release(tmp_path)
    tokenize(place, Recipe(place.root, tokenizer=TRAINED))
    counted = of_shards(place)
    assert counted is not None
    again = expected(Recipe(place.root, tokenizer=TRAINED), place)
    assert again.basis == SHARDED
    for key, row in by_key(again).items():
        assert row.tokens == pytest.approx(by_key(counted)[key].tokens)
    total = sum(row["length_bytes"] for row in ROWS if (row["kind"], row["language"]) == ("code", "Java"))
    options = Recipe(place.root, tokenizer=TRAINED, mix=Mix(caps={"Java": total // 2}))
    planned = by_key(expected(options, place))["code", "Java"]
    tokenize(place, options)
    counted = of_shards(place)
    assert counted is not None
    java = by_key(counted)["code", "Java"]
    assert planned.taken_bytes == pytest.approx(total / 2, abs=1)
    assert abs(java.taken_records - java.records / 2) < 4 * math.sqrt(java.records / 4)


def told(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert main(["mix", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = release(tmp_path / "w", 4, rows(8))
    (tmp_path / "r.yaml").write_text(f"workspace: {place.root}\ntokenizer: {{vocab_size: 330}}\n")
    recipe = str(tmp_path / "r.yaml")
    before = told(capsys, recipe, "--set", "mix.kinds=[code]")
    assert before == told(capsys, recipe, "--set", "mix.kinds=[code]", "--dry-run") and before["estimated"]
    assert {kind["kind"]: kind["taken_records"] for kind in before["kinds"]} == {"code": 37, "issue": 0, "notebook_script": 0}
    tokenize(place, Recipe(place.root, tokenizer=TokenizerOptions(vocab_size=330)))
    assert told(capsys, recipe, "--set", "mix.kinds=[code]")["total"]["taken_records"] == 53, "of the shards, as they are"
    planned = told(capsys, recipe, "--set", "mix.kinds=[code]", "--dry-run")
    assert planned["total"]["taken_records"] == 37 and planned["basis"] == SHARDED
    assert main(["mix", recipe, "--languages", "1"]) == 0
    shown = capsys.readouterr().out
    assert "2 others" in shown and "as counted" in shown
    assert main(["mix", recipe, "--set", "mix.kinds=[isue]"]) == 2
    assert "'isue' is no kind of record; did you mean 'issue'" in capsys.readouterr().err
    assert main(["mix", recipe, "--workspace", str(tmp_path / "none")]) == 2
    assert "run `starmill release` first" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_before_there_is_a_dataset(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"mix: .*stage release is not complete; run `starmill release` first"):
        expected(Recipe(str(tmp_path)), Workspace(str(tmp_path)))
