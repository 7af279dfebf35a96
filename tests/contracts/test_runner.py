"""The contract of a runner, held by every one of RUNNERS, and by a toy one that is chosen and runs a stage."""

import dataclasses
import importlib
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from starmill.core.dataset import Workspace
from starmill.pipelines import runners
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.sources.folders import Folders

# What a person writes after `--`; together they reach every runner, which a test checks.
LINES = (
    (),
    ("--runner=FlinkRunner", "--flink_master=localhost:1"),
    ("--runner", "PortableRunner", "--job_endpoint=localhost:1"),
    ("--runner=DataflowRunner", "--project=p", "--region=europe-west1", "--temp_location=gs://b/tmp"),
    ("--runner=PrismRunner",),
)
every_line = pytest.mark.parametrize("options", LINES, ids=lambda o: " ".join(o[:2]) or "none")

TOY = '''
"""The local runner, which notes how many pipelines were asked for."""

from dataclasses import dataclass, field

from starmill.pipelines.runners.local import Local
from starmill.pipelines.runners.runner import name_of


@dataclass(frozen=True)
class Toy(Local):
    asked: list = field(default_factory=list)

    def pipeline(self, parts):
        self.asked.append(parts)
        return Local().pipeline(parts)


def of(options, workers):
    return Toy(options, workers) if name_of(options) == "toyrunner" else None
'''


def module_of(runner: Runner) -> str:
    return type(runner).__module__.rpartition(".")[2]


def holds(options: tuple[str, ...]) -> None:
    """What every runner is, wherever it runs; nothing here is started or asked."""
    runner = choose(options, 3)
    assert isinstance(runner, Runner) and runner.options == options, "Beam's options stay as they were given"
    assert dataclasses.is_dataclass(runner) and runner.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert choose(options, 3) == runner and pickle.loads(pickle.dumps(runner)) == runner
    assert runner.waits and not runner.is_dry_run and isinstance(runner.sees_this_machine, bool)
    assert runner.sees_this_machine or not runner.is_local, "a process of this machine sees its disk"
    named = runner.named("/w", "curate")
    assert isinstance(named, type(runner)) and named == runner.named("/w", "curate"), (
        "a driver finds its earlier job by the name"
    )
    others = [runner.named("/w", "release"), runner.named("/v", "curate")]
    assert named not in others or named == runner, "where jobs have names, no other stage or workspace has this one"


@every_line
def test_every_runner_is_a_value_chosen_from_beam_s_options(options: tuple[str, ...]) -> None:
    holds(options)


def test_the_lines_reach_every_runner() -> None:
    assert {module_of(choose(options)) for options in LINES} == {*runners.RUNNERS}


@every_line
def test_one_runner_alone_is_meant(options: tuple[str, ...]) -> None:
    modules = [importlib.import_module(f"{runners.__name__}.{name}") for name in runners.RUNNERS]
    assert sum(module.of(options, 1) is not None for module in modules[:-1]) <= 1, "so their order does not matter"
    assert modules[-1].of(options, 1) is not None, "the last takes whatever Beam knows"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The toy in the list of runners."""
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms/toy.py").write_text(TOY)
    monkeypatch.setattr(runners, "__path__", [*runners.__path__, str(tmp_path / "rooms")])
    monkeypatch.setattr(runners, "RUNNERS", ("toy", *runners.RUNNERS))
    importlib.invalidate_caches()
    yield
    sys.modules.pop(f"{runners.__name__}.toy", None)


@pytest.mark.usefixtures("toy")
def test_a_new_runner_is_chosen_and_runs_a_stage(tmp_path: Path) -> None:
    (tmp_path / "dump/one").mkdir(parents=True)
    (tmp_path / "dump/one/a.py").write_text("x = 1\n")
    holds(("--runner=ToyRunner",))
    assert {module_of(choose(options)) for options in LINES} == {*runners.RUNNERS} - {"toy"}, "and nobody else is"
    runner = choose(("--runner=ToyRunner",))
    manifest = run_stage(
        "ingest", Recipe(str(tmp_path / "w"), {"input": Folders(roots=(str(tmp_path / "dump"),))}), runner, quiet=True
    )
    assert vars(runner)["asked"] == [1] and manifest is not None
    assert Workspace(str(tmp_path / "w")).table("records/part-00000.parquet", ["path"]).to_pylist() == [{"path": "/a.py"}]
