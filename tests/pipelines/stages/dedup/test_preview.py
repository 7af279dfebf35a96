"""What each threshold would remove, close to brute force; and through the command, which leaves nothing behind."""

import random

import pytest
from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions
from curated_workspace import OPTIONS, fill, row, shingle_set

from starmill.cli import __main__ as cli
from starmill.core.dataset import Workspace
from starmill.pipelines.run.dry import taken
from starmill.pipelines.stages.dedup import preview


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    """Families of edited texts, a few copies, and a crowd that makes a hot bucket."""
    draw = random.Random(12)
    texts = []
    for n in range(40):
        words = [f"w{n}_{i}" for i in range(150)]
        texts.append(" ".join(words))
        for changed in (1, 3, 5, 8):
            edited = list(words)
            for place in draw.sample(range(150), changed):
                edited[place] = "edited"
            texts.append(" ".join(edited))
    texts += texts[:7]
    header = " ".join(f"h{i}" for i in range(70))
    texts += [header + "".join(f" own{n}_{i}" for i in range(5)) for n in range(90)]
    return [row("r", f"/{i:03d}", t) for i, t in enumerate(texts)]


def brute_force(rows: list[dict], threshold: float) -> int:
    unique = {r["blob_id"]: shingle_set(r["content"]) for r in reversed(rows)}
    kept: list[set] = []
    for one in reversed(unique.values()):
        if not any(len(one & k) >= threshold * len(one | k) for k in kept):
            kept.append(one)
    return len(unique) - len(kept)


def test_each_threshold_removes_what_brute_force_does(rows, tmp_path):
    workspace = Workspace(str(tmp_path))
    refs = fill(workspace, [rows[:100], rows[100:]], group=50)
    with Pipeline(options=PipelineOptions(["--runner=FnApiRunner"])) as pipeline:
        preview.build(pipeline, workspace, refs, OPTIONS)
    title, head, *lines = preview.table(taken(workspace, preview.REPORT, preview.Removed))
    assert title.startswith(f"{len(rows)} files, ")
    assert "7 exact copies" in title
    assert head.split()[0] == "threshold"
    found = {float(line.split()[0]): int(line.split()[1]) for line in lines}
    for threshold in preview.THRESHOLDS:  # bands miss a pair at the lowest threshold now and then
        assert abs(found[threshold] - brute_force(rows, threshold)) <= 0.04 * len(rows)
    assert len(set(found.values())) > 5
    assert not workspace.exists(preview.REPORT)
    assert not workspace.exists("verdicts")


def test_the_command_says_what_is_missing(tmp_path, capsys):
    (tmp_path / "source").mkdir()
    status = cli.main(["dedup", "smoke", "--dry-run", "--input", str(tmp_path / "source"), "--workspace", str(tmp_path / "w")])
    assert status == 2
    assert "run `starmill curate` first" in capsys.readouterr().err
