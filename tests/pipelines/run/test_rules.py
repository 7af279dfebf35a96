"""What each rule would drop, equal to what the stage drops with that rule alone; and through the command, which leaves nothing behind."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from ingested_workspace import ROWS, ingested

from starmill.cli import __main__ as cli
from starmill.core.dataset import Workspace
from starmill.core.part import PartRef
from starmill.pipelines.kinds import KINDS, Curate
from starmill.pipelines.recipe import build
from starmill.pipelines.run import rules
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners.local import Local
from starmill.pipelines.stages.curate import CuratePart, Rules
from starmill.transforms.decide.quality import Alpha
from starmill.transforms.dedup.minhash import MinHash

STEPS = {step.name: step for step in KINDS["code"].decide(Curate())}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Measured rows, some of which several rules drop."""
    made = Workspace(str(tmp_path_factory.mktemp("rules") / "w"))
    more = (("gnu", "/d.py", "z = '" + "q" * 2000 + "'\n"), ("none", "/e.py", "12345678901234567890 = a\n" * 3))
    ingested(made, (*ROWS, *more))
    made.finish("records", "k", 1, "v")
    run_stage("measure", build({"workspace": made.root}), Local(), quiet=True)
    return made


def test_each_count_is_what_the_stage_drops_with_that_rule_alone(workspace: Workspace) -> None:
    found = rules.counted(workspace, 0, {"code": Rules(tuple(STEPS.values()), "near")})
    assert found[0] == rules.Dropped("code", "", "", None, 9, sum(f.bytes for f in found[:1]), 0)
    assert [f.step for f in found[1:] if not f.option] == [*STEPS]
    assert {f.option for f in found if f.step == "long_lines"} == {
        "", "max_lines", "max_mean_chars", "max_line_chars", "max_data_line_chars"
    }  # fmt: skip
    drops: dict[str, set[str]] = {}
    for one in found[1:]:
        step = STEPS[one.step]
        step = replace(step, **{one.option: one.value}) if one.option else step  # type: ignore[type-var]
        CuratePart(workspace, {"code": Rules((step,), "near")}, MinHash())(PartRef(0, "k"))
        lost = workspace.table("dropped/curate/part-00000.parquet", ["path", "length_bytes"]).to_pylist()
        assert (one.files, one.bytes) == (len(lost), sum(r["length_bytes"] for r in lost)), one
        if not one.option:
            drops[one.step] = {r["path"] for r in lost}
    for one in (f for f in found[1:] if not f.option):
        others = set().union(*(paths for step, paths in drops.items() if step != one.step))
        assert one.only_files == len(drops[one.step] - others), one
    assert drops["long_lines"] & drops["license_type"], "some rows fail two rules"
    assert sum(f.files for f in found[1:]) > 10, "the rows give the rules something to do"


def test_a_number_is_tried_at_half_and_twice_its_value() -> None:
    assert [(option, value) for option, value, _ in rules.variants(Alpha())] == [("min_fraction", 0.125), ("min_fraction", 0.5)]


def test_parts_add_up() -> None:
    one, two = rules.Dropped("code", "alpha", "", None, 2, 20, 1), rules.Dropped("code", "html", "", None, 1, 5, 0)
    assert rules.together([one, two, one]) == [rules.Dropped("code", "alpha", "", None, 4, 40, 2), two]


def test_the_command(workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dump/free").mkdir(parents=True)
    (tmp_path / "dump/free/a.py").write_text("x = 1\n")
    before = sorted(p.relative_to(workspace.root) for p in Path(workspace.root).rglob("*"))
    command = [
        "curate",
        "smoke",
        "--workspace",
        workspace.root,
        "--input",
        str(tmp_path / "dump"),
        "--dry-run",
        "--workers",
        "1",
    ]
    assert cli.main([*command, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["rules"]
    assert told[0]["files"] == 9 and {row["step"] for row in told[1:]} == {*STEPS}
    assert cli.main(command) == 0
    assert "9 records of kind code" in capsys.readouterr().out
    assert sorted(p.relative_to(workspace.root) for p in Path(workspace.root).rglob("*")) == before
