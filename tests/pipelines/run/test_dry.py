"""What each stage's keys depend on: an edited option remakes what reads it and nothing before it."""

import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from starmill.core import recipe
from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError
from starmill.pipelines import recipe as recipes
from starmill.pipelines import stages
from starmill.pipelines.run import cleaning, dry
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners.local import Local
from starmill.pipelines.stages import STAGES

CODE = "def area(width, height):\n    return width * height\n\n\nprint(area({}, 3), 'square meters of floor in the room')\n"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> recipes.Recipe:
    place = tmp_path_factory.mktemp("mill")
    for i in range(3):
        (place / f"in/r{i}").mkdir(parents=True)
        (place / f"in/r{i}/a.py").write_text(CODE.format(i) + f"room_{i} = {i}\n" * 9 * (i + 1))
    values = {
        "workspace": str(place / "w"),
        "sources": {"input": {"kind": "folders", "roots": [str(place / "in")]}},
        "ingest": {"part_bytes": 1},
        "tokenizer": {"vocab_size": 300},
    }
    made = recipe.build(recipes.Recipe, values)
    for stage in STAGES:
        run_stage(stage, made, Local(), quiet=True)
    return made


def keys(options: recipes.Recipe) -> dict[str, list[str]]:
    workspace = Workspace(options.workspace)
    return {s: [p.key for p in workspace.manifest(stages.load(s).dataset).parts] for s in STAGES}  # type: ignore[union-attr]


def changed(options: recipes.Recipe, **change: object) -> set[str]:
    before = keys(options)
    altered = dataclasses.replace(options, **change)
    for stage in STAGES:
        run_stage(stage, altered, Local(), quiet=True)
    after = keys(altered)
    for stage in STAGES:
        run_stage(stage, options, Local(), quiet=True)
    return {s for s in STAGES if before[s] != after[s]}


def test_an_option_remakes_what_reads_it(options: recipes.Recipe) -> None:
    assert changed(options) == set()
    assert changed(options, max_error_rate=0.5) == set()
    assert changed(options, format=dataclasses.replace(options.format, seed=1)) == {"tokenize"}
    # Signatures know nothing of thresholds, so curate is not repeated for one.
    assert changed(options, minhash=dataclasses.replace(options.minhash, threshold=0.9)) == {"dedup"}
    assert changed(options, minhash=dataclasses.replace(options.minhash, shingle_words=6)) >= {"curate", "dedup"}
    # Redaction finds nothing here, so the dataset stays equal, and with it the shards' keys.
    redact = dataclasses.replace(options.release.redact, seed=5)
    assert changed(options, release=dataclasses.replace(options.release, redact=redact)) == {"release"}


def test_a_stage_needs_the_one_before(tmp_path: Path, options: recipes.Recipe) -> None:
    fresh = dataclasses.replace(options, workspace=str(tmp_path))
    for stage, before in [
        ("measure", "ingest"),
        ("curate", "ingest"),
        ("dedup", "curate"),
        ("release", "curate"),
        ("tokenize", "release"),
    ]:
        with pytest.raises(UsageError, match=f"run `starmill {before}` first"):
            run_stage(stage, fresh, Local(), quiet=True)


def test_the_plan_names_parts_and_stages(options: recipes.Recipe) -> None:
    planned = dry.overview(options)
    assert [part["part"] for part in planned["parts"]] == [0, 1, 2]
    assert [stage["complete"] for stage in planned["stages"]] == [True] * len(STAGES)


def test_dedup_tells_what_it_shuffled_and_in_how_many_rounds(
    options: recipes.Recipe, capfd: pytest.CaptureFixture[str]
) -> None:
    altered = dataclasses.replace(options, minhash=dataclasses.replace(options.minhash, rounds=2))
    run_stage("dedup", altered, Local())
    said = capfd.readouterr().err
    run_stage("dedup", options, Local(), quiet=True)
    assert re.search(
        r"dedup +shuffled 0\.\d MB, [\d,]+ bytes per file; resolved in [0-2] distributed rounds and 1 in one process", said
    )


@pytest.mark.parametrize(("stage", "gone"), [("curate", "records"), ("dedup", "curated")])
def test_a_preview_of_what_was_cleaned_is_refused(options: recipes.Recipe, tmp_path: Path, stage: str, gone: str) -> None:
    shutil.copytree(options.workspace, tmp_path / "w")
    cleaned = dataclasses.replace(options, workspace=str(tmp_path / "w"))
    cleaning.clean(cleaning.planned(Workspace(cleaned.workspace)))
    with pytest.raises(UsageError, match=rf"^{stage}: `starmill clean` emptied .*/{gone}; run `starmill run` first"):
        dry.preview(stage, cleaned, Local())
