"""Profiles: py-spy's lines are shared out as they should be, and a real py-spy sees what a stage did."""

import shutil
import sys
from pathlib import Path

import pytest
from plain_tree import tree

from starmill.core.errors import MachineError
from starmill.pipelines.costs import profile
from starmill.pipelines.costs.profile import HERE, IMPORTS, Profile, costliest
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.stages import STAGES
from starmill.pipelines.stages.ingest import Ingest
from starmill.pipelines.stages.vocabulary import TokenizerOptions


def test_seconds_are_shared_out_by_samples() -> None:
    root = 'process 1:"python -m starmill.pipelines.costs.bench curate"'
    stage = f"{root};main ({HERE}/pipelines/costs/bench.py);run_stage ({HERE}/pipelines/run/stages.py)"
    found = costliest(
        1.8,
        [
            f"{stage};split ({HERE}/transforms/step.py) 30",
            f"{stage};split ({HERE}/transforms/step.py);read (/usr/lib/python3.11/zipfile.py) 40",
            f"{stage};split ({HERE}/transforms/step.py);_find_and_load (<frozen importlib._bootstrap>) 10",
            f"{root};main ({HERE}/pipelines/costs/bench.py) 5",
            f"{root} 5",  # a stack that was torn
            f'{root};process 2:"python scan (its child)";scan ({HERE}/.venv/lib/python3.11/site-packages/licensedcode/match.py) 10',
        ],
    )
    split = "transforms/step.py:split"
    assert [hot.function for hot in found] == ["zipfile.py:read", split, "licensedcode/match.py:scan", IMPORTS]
    assert [hot.within for hot in found] == [split, split, "", ""]
    assert [hot.seconds for hot in found] == pytest.approx([0.8, 0.6, 0.2, 0.2])
    told = "\n".join(profile.table([Profile("curate", 5e6, 1.8, 0.5, found)]))
    assert "### curate: 5.0 MB, 1.8 CPU s, and 0.5 of imports" in told
    assert f"| 44% | 0.80 | `zipfile.py:read` | `{split}` |" in told and f"`{split}` |  |" in told


def test_without_py_spy_the_command_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match=r"py-spy is not installed; run: pip install 'starmill\[profile\]'"):
        profile.profile(Recipe("w", tree(tmp_path / "dump", 4, 1)), 0.01, lambda line: None)


@pytest.mark.slow
def test_a_real_py_spy_names_the_functions_of_every_stage(tmp_path: Path) -> None:
    if shutil.which("py-spy", path=str(Path(sys.executable).parent)) is None:
        pytest.skip("NOT RUN: py-spy, which is not installed (pip install 'starmill[profile]')")
    tokenizer = TokenizerOptions(vocab_size=300, sample_bytes=50_000)
    options = Recipe("w", tree(tmp_path / "dump", 40, 1), Ingest(), tokenizer=tokenizer)
    said: list[str] = []
    found = profile.profile(options, 0.2, said.append)
    assert [one.stage for one in found] == list(STAGES) == [line.split()[0] for line in said]
    for one in found:
        assert one.seconds > 0 and one.before > 0 and one.hot
        assert sum(hot.seconds for hot in one.hot) <= one.seconds * 1.001
    assert any(hot.within.startswith("pipelines/") for one in found for hot in one.hot)
