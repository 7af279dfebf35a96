"""A launch of the flex template is the command line of one stage, and a job that nobody waits for ends its stage by itself.

The launcher and Dataflow are Google's and not here: the same graph, with its end in it, runs on Beam's local runner.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from small_tree import starmill

from starmill.cli.template import command
from starmill.core.dataset import Workspace

PROGRAM = Path(__file__).resolve().parents[2] / "infra" / "docker" / "template.py"
FROM_LAUNCHER = ["--runner=DataflowRunner", "--staging_location=gs://my-bucket/staging", "--template_location=gs://my-bucket/t"]


def test_parameters_become_a_command_line() -> None:
    given = ["--stage=dedup", "--workspace=gs://my-bucket/work", "--recipe=stack-v2"]
    ours = ["dedup", "stack-v2", "--workspace", "gs://my-bucket/work"]
    assert command([*FROM_LAUNCHER[:1], *given, *FROM_LAUNCHER[1:]]) == [*ours, "--no-funnel", "--", *FROM_LAUNCHER]
    changed = command([*given, "--settings=minhash.threshold=0.8;sources.input.exclude=[a, b]"])
    assert changed == [*ours, "--set", "minhash.threshold=0.8", "--set", "sources.input.exclude=[a, b]", "--no-funnel", "--"]
    assert command(given[:2])[1] == "smoke"


@pytest.mark.parametrize("wrong", [["--stage=train", "--workspace=w"], ["--stage=dedup"], ["--workspace=w", "--st=dedup"]])
def test_a_launch_with_wrong_parameters_ends_at_once(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        command(wrong)


def test_a_job_of_a_template_ends_its_stage_by_itself(tmp_path: Path) -> None:
    for k in range(3):
        (tmp_path / "tree" / f"repository{k}").mkdir(parents=True)
        (tmp_path / "tree" / f"repository{k}" / "a.py").write_text(f"value = {k}\n" * 50)
    settings = f"sources.python={{kind: folders, roots: [{tmp_path / 'tree'}]}};ingest.part_bytes=600"
    program = [sys.executable, str(PROGRAM), "--stage=ingest", f"--settings={settings}"]
    templated = [*program, f"--workspace={tmp_path / 'templated'}", f"--template_location={tmp_path / 'job.json'}"]
    subprocess.run(templated, check=True, timeout=100, capture_output=True)
    stage, *more = command([*program[2:], f"--workspace={tmp_path / 'waited-for'}"])
    starmill(stage, "--workers", "1", *more, cwd=tmp_path)
    mine, plain = (Workspace(str(tmp_path / name)).manifest("records") for name in ("templated", "waited-for"))
    assert plain and len(plain.parts) == 3 and mine == plain
    # Nobody was there to take the time.
    assert not (tmp_path / "templated" / "timings.json").exists() and (tmp_path / "waited-for" / "timings.json").exists()
