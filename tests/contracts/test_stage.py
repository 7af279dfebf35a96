"""The contract of a stage, held by every one of STAGES, and by a toy one that runs from a dump to its funnel.

The toy is what a new stage is: one module, its name in STAGES, its options in the recipe. Runs, keys, views and the command are not told.
"""

import importlib
import inspect
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from starmill.core.dataset import Manifest, Workspace
from starmill.core.errors import UsageError
from starmill.pipelines import stages
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run import keys
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.stages.ingest import Ingest
from starmill.pipelines.stages.stage import Stage
from starmill.reports import funnel, status

TOY = '''
"""How often a word stands in each file; what has none is dropped."""

from dataclasses import dataclass

import pyarrow as pa

from starmill.core.dataset import Sidecar, Workspace, part_path
from starmill.pipelines.stages.ledger import Ledger, lineage
from starmill.pipelines.stages.stage import Options, Stage, of_parts
from starmill.core.part import PartRef
from starmill.transforms.step import chain, judge_rows


@dataclass(frozen=True)
class Holds:
    word: str
    name: str = "holds"

    def __call__(self, block):
        return judge_rows(block, ("content",), lambda text: None if self.word in text else "no_word")


@dataclass(frozen=True)
class Part:
    workspace: Workspace
    word: str

    def __call__(self, ref: PartRef) -> Sidecar:
        ledger = Ledger("toy", "words", ref.part, ref.key, lineage(self.workspace, ref.part, "records"))
        found = []
        for block in self.workspace.blocks(part_path("records", ref.part)):
            kept, dropped = chain(block, (Holds(self.word),), "toy")
            ledger.keep(kept)
            ledger.drop(dropped)
            found += [text.count(self.word) for text in kept.column("content").to_pylist()]
        ledger.add(part_path("words", ref.part, "txt"), "".join(f"{n}\\n" for n in found).encode(), len(found))
        return ledger.commit(self.workspace)


def _work(options: Options, workspace: Workspace) -> Part:
    return Part(workspace, options.word)


STAGE = Stage("toy", "words", ("records",), lambda options: (options.word,), of_parts(_work), of_parts(_work))
'''


@dataclass(frozen=True)
class WithWord(Recipe):
    """A recipe with the toy's option."""

    word: str = "def"


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WithWord]:
    """A dump of two small projects, and the toy in the list of stages."""
    for name, text in (
        ("one/a.py", "def f(): pass\ndef g(): pass\n"),
        ("one/b.py", "x = 1\n"),
        ("two/c.py", "def h(): pass\n"),
    ):
        (tmp_path / "dump" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dump" / name).write_text(text)
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms/toy.py").write_text(TOY)
    monkeypatch.setattr(stages, "__path__", [*stages.__path__, str(tmp_path / "rooms")])
    monkeypatch.setattr(stages, "STAGES", ("ingest", "toy"))
    importlib.invalidate_caches()
    sources = {"input": Folders(roots=(str(tmp_path / "dump"),))}
    yield WithWord(str(tmp_path / "w"), sources, Ingest(part_bytes=1))  # a part a repository
    sys.modules.pop(keys.module_of("toy"), None)


def holds(stage: Stage, options: Recipe) -> None:
    """What every stage is, whatever it makes."""
    assert isinstance(stage, Stage) and stage.name == stage.name.lower() and stage.dataset not in stage.needs
    for read in stage.reads(options):
        assert pickle.loads(pickle.dumps(read)) == read, "what goes into keys are values"
    assert keys.key("v", *stage.reads(options)) == keys.key("v", *stage.reads(replace(options)))
    assert isinstance(stage.reads_this_machine(options), bool)
    workspace = Workspace(options.workspace)
    assert callable(stage.sketch(options, workspace)) and not Path(options.workspace).exists(), "a sketch needs no workspace"


@pytest.mark.parametrize("name", stages.STAGES)
def test_every_stage_is_a_value_whose_keys_come_from_the_recipe(name: str, tmp_path: Path) -> None:
    holds(stages.load(name), Recipe(str(tmp_path / "none")))
    assert keys.source(keys.module_of(name)) in keys.closure(keys.module_of(name))[0]


@pytest.mark.parametrize("name", [name for name in stages.STAGES if stages.load(name).needs])
def test_a_stage_refuses_to_run_before_what_it_needs(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"^{name}: .*; run `starmill \w+` first"):
        run_stage(name, Recipe(str(tmp_path / "none")), choose(()), quiet=True)


def test_every_module_with_a_stage_is_in_the_list() -> None:
    folder = Path(inspect.getfile(stages)).parent
    named = {p.name.removesuffix(".py") for p in folder.iterdir() if p.is_dir() or p.suffix == ".py"} - {
        "__init__",
        "__pycache__",
    }
    having = {n for n in named if hasattr(importlib.import_module(keys.module_of(n)), "STAGE")}
    assert having == {*stages.STAGES}


def mill(options: WithWord) -> tuple[Manifest, set[int]]:
    """Run both stages; return the toy's manifest, and the parts whose sidecars were written now."""
    workspace = Workspace(options.workspace)
    before = workspace.published("words")
    run_stage("ingest", options, choose(()), quiet=True)
    manifest = run_stage("toy", options, choose(()), quiet=True)
    assert manifest is not None and manifest == workspace.manifest("words")
    return manifest, {k for k, when in workspace.published("words").items() if when != before.get(k)}


def test_a_new_stage_runs_is_resumed_and_is_seen(options: WithWord, tmp_path: Path) -> None:
    holds(stages.load("toy"), options)
    workspace = Workspace(options.workspace)
    first, made = mill(options)
    assert made == {0, 1} and [workspace.read(p.outputs[0].path) for p in first.parts] == [b"2\n", b"1\n"]
    assert mill(options) == (first, set()), "up to date"

    told = funnel.data(workspace)["stages"][1]
    assert (told["stage"], told["in"]["files"], told["kept"]["files"]) == ("toy", 3, 2)
    assert [(d["step"], d["reason"], d["files"]) for d in told["dropped"]] == [("holds", "no_word", 1)]
    assert status.lines(workspace)[1] == "toy       2/2 parts, complete"

    second, made = mill(replace(options, word="x"))
    assert made == {0, 1} and second.digest != first.digest, "another option makes its parts again"
    assert mill(replace(options, word="x", max_error_rate=0.5)) == (second, set()), (
        "what a stage does not read makes nothing again"
    )

    (tmp_path / "dump/two/c.py").write_text("x = x + x\n")
    third, made = mill(replace(options, word="x"))
    assert made == {1} and workspace.read(third.parts[1].outputs[0].path) == b"3\n", "only the part whose input changed"

    workspace.remove(third.parts[0].outputs[0].path)
    assert mill(replace(options, word="x")) == (third, {0}), "what was lost is made again, with the same bytes"


def test_a_new_stage_is_a_command() -> None:
    code = "from starmill.pipelines import stages; stages.STAGES += ('toy',)\n"
    code += "from starmill.cli.__main__ import main; main(['toy', '--help'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Usage: starmill toy" in done.stdout and "The toy stage alone." in done.stdout, done.stderr
