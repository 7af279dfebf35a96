"""What a new step, kind, source, stage, runner or command takes: its module, its test, and one line of one table; and then it works.

The toys stand in a copy of the house in which nothing else is changed: a row of ADDITIONS says which files it adds and which it edits.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WALLS = "tests/test_architecture.py"
PACKAGES = ("core", "transforms", "reports", "pipelines", "model", "evaluation", "trainer", "cli")


@dataclass(frozen=True)
class Addition:
    """One new thing: the place and the text of its module, and the edits of the file that names it."""

    module: str
    text: str
    table: str
    edits: tuple[tuple[str, str], ...]

    @property
    def test(self) -> str:
        folder, _, name = self.module.rpartition("/")
        return f"tests/{folder}/test_{name}"


STEP = '''"""Drops what is too short."""

from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from starmill.transforms.step import Split, judge_rows


@dataclass(frozen=True)
class Toy:
    reads: ClassVar[tuple[str, ...]] = ("length_bytes",)
    name: str = "toy"

    def __call__(self, block: pa.RecordBatch) -> Split:
        return judge_rows(block, self.reads, lambda size: "too_short" if size < 30 else None)
'''
KIND = '''"""A note is a document."""

from collections.abc import Iterable, Iterator

import pyarrow as pa

from starmill.core.document import Document, FileSpan
from starmill.transforms.render.code import Format


def documents(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    for row in (row for block in blocks for row in block.to_pylist()):
        file = FileSpan(row["path"].lstrip("/"), row["content_id"], "", 0, 1)
        yield Document("note", row["repo_name"], "", (row["content"],), (file,))
'''
SOURCE = '''"""A repository that says what its recipe says."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from starmill.pipelines.sources.source import Entry, Limits, Options, Repository, Snapshot


@dataclass(frozen=True, kw_only=True)
class Toy(Options):
    kind: Literal["toy"] = "toy"
    says: str = ""

    def inventory(self) -> list[Repository]:
        return [Repository("toy", {}, len(self.says), self.says)]

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        return Snapshot(), iter([Entry(b"toy.js", self.says.encode())])
'''
STAGE = '''"""The sizes of the records."""

from dataclasses import dataclass

from starmill.core.dataset import Sidecar, Workspace, part_path
from starmill.pipelines.stages.ledger import Ledger, lineage
from starmill.pipelines.stages.stage import Options, Stage, of_parts
from starmill.core.part import PartRef


@dataclass(frozen=True)
class Part:
    workspace: Workspace

    def __call__(self, ref: PartRef) -> Sidecar:
        ledger, sizes = Ledger("toy", "sizes", ref.part, ref.key, lineage(self.workspace, ref.part, "records")), []
        for block in self.workspace.blocks(part_path("records", ref.part)):
            ledger.keep(block)
            sizes += block.column("length_bytes").to_pylist()
        ledger.add(part_path("sizes", ref.part, "txt"), repr(sizes).encode(), len(sizes))
        return ledger.commit(self.workspace)


def _work(options: Options, workspace: Workspace) -> Part:
    return Part(workspace)


STAGE = Stage("toy", "sizes", ("records",), lambda options: (), of_parts(_work), of_parts(_work))
'''
RUNNER = '''"""The local runner, which says that it is asked."""

from starmill.pipelines.runners.local import Local
from starmill.pipelines.runners.runner import name_of


class Toy(Local):
    def pipeline(self, parts):
        print("the toy runs")
        return Local().pipeline(parts)


def of(options, workers):
    return Toy(options, workers) if name_of(options) == "toyrunner" else None
'''
COMMAND = '''"""Toys."""


def dig(depth: int = 1) -> None:
    """Dig a hole."""
    print(f"a hole of {depth} m")
'''
# What a new word of the house is: a row here.
ADDITIONS = {
    "step": Addition(
        "transforms/decide/toy.py",
        STEP,
        "pipelines/kinds.py",
        (
            (
                "\nfrom starmill.transforms.measure.html",
                "\nfrom starmill.transforms.decide.toy import Toy\nfrom starmill.transforms.measure.html",
            ),
            ("*on.quality.steps(), *on.signals.steps())", "*on.quality.steps(), *on.signals.steps(), Toy())"),
        ),
    ),
    "kind": Addition(
        "transforms/render/toy.py",
        KIND,
        "pipelines/kinds.py",
        (
            ("from starmill.transforms.render import ", "from starmill.transforms.render import toy, "),
            (
                "\nKINDS = {",
                '\nKINDS = {"note": Kind(lambda on: (on.text,), lambda on: (), lambda on: (on.redact,), toy.documents, "exact"),',
            ),
        ),
    ),
    "source": Addition(
        "pipelines/sources/toy.py",
        SOURCE,
        "pipelines/recipe.py",
        (
            (
                "\nfrom starmill.pipelines.sources.source",
                "\nfrom starmill.pipelines.sources.toy import Toy\nfrom starmill.pipelines.sources.source",
            ),
            ("SOURCES: tuple[type[Source], ...] = (", "SOURCES: tuple[type[Source], ...] = (Toy, "),
        ),
    ),
    "stage": Addition(
        "pipelines/stages/toy.py", STAGE, "pipelines/stages/__init__.py", (('"tokenize")', '"tokenize", "toy")'),)
    ),
    "runner": Addition(
        "pipelines/runners/toy.py", RUNNER, "pipelines/runners/__init__.py", (("RUNNERS = (", 'RUNNERS = ("toy", '),)
    ),
    "command": Addition(
        "cli/toy.py",
        COMMAND,
        "cli/__main__.py",
        (("from starmill.cli import (", "from starmill.cli import (toy,"), ("ROOMS = (", "ROOMS = (toy, ")),
    ),
}


# Records of another kind than code, as a source would leave them, through the stages behind.
NOTES = """
from ingested_workspace import ingested
from starmill.core.dataset import Workspace
from starmill.pipelines.recipe import build
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import STAGES
workspace = Workspace("notes")
ingested(workspace, (("r", "/note", "some words"),), ("note",))
workspace.finish("records", "k", 1, "v")
for stage in STAGES[1:]:
    run_stage(stage, build({"workspace": "notes", "tokenizer": {"vocab_size": 300}}), choose(()), quiet=True)
print(workspace.table("shards/part-00000.docs.parquet").column("kind").to_pylist())
"""


def put(house: Path, place: str, text: str) -> None:
    """Write a file of the copy, whose folders are links into the project as long as nothing in them is other."""
    folder = house
    for name in Path(place).parts[:-1]:
        folder /= name
        if folder.is_symlink():
            whole = folder.resolve()
            folder.unlink()
            folder.mkdir()
            for entry in whole.iterdir():
                if entry.name != "__pycache__":
                    (folder / entry.name).symlink_to(entry)
    (house / place).unlink(missing_ok=True)
    (house / place).write_text(text)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with all of ADDITIONS in it."""
    made = tmp_path_factory.mktemp("house")
    for name in (*PACKAGES, "tests", "recipes", "docs", "pyproject.toml", "ARCHITECTURE.md", "benchmarks", "infra"):
        (made / name).symlink_to(ROOT / name)
    put(made, WALLS, (ROOT / WALLS).read_text())  # which looks around itself
    for addition in ADDITIONS.values():
        put(made, addition.module, addition.text)
        put(made, addition.test, f'"""Of {addition.module}."""\n')
        table = (made / addition.table).read_text()
        for old, new in addition.edits:
            assert table.count(old) == 1, f"{addition.table}: {old}"
            table = table.replace(old, new)
        put(made, addition.table, table)
    (made / "names/starmill").mkdir(parents=True)
    for name in PACKAGES:
        (made / "names/starmill" / name).symlink_to(made / name)
    return made


def python(house: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{house / 'names'}:{ROOT / 'tests/end_to_end'}"}
    done = subprocess.run([sys.executable, *words], cwd=house, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_of_them_works(house: Path) -> None:
    texts = {"long.js": "function area(width, height) {\n  return width * height;\n}\n", "short.js": "let short = 1;\n"}
    (house / "dump/one").mkdir(parents=True)
    for name, text in texts.items():
        (house / "dump/one" / name).write_text(text)
    said = "function sum(left, right) {\n  return left + right;\n}\n"
    sources = {"here": {"kind": "folders", "roots": ["dump"]}, "mine": {"kind": "toy", "says": said}}
    (house / "toys.yaml").write_text(json.dumps({"workspace": "w", "sources": sources}))
    mill = "run toys.yaml --set tokenizer.vocab_size=300 --no-funnel --quiet -- --runner=ToyRunner"
    lines = [line.split() for line in (mill, "dig --depth 3", "funnel --workspace w --json")]
    told = python(house, "-c", f"from starmill.cli.__main__ import main\nfor line in {lines}: print(main(line))\n{NOTES}")
    assert "the toy runs" in told and "a hole of 3 m" in told and "Error" not in told and "\n['note']\n" in told
    stages = {stage["stage"]: stage for stage in json.loads(told[told.index("{") : told.rindex("}") + 1])["stages"]}
    assert ("toy", "too_short", 1) in [(d["step"], d["reason"], d["files"]) for d in stages["curate"]["dropped"]]
    sizes = [(house / f"w/sizes/part-0000{part}.txt").read_text() for part in range(2)]
    assert stages["toy"]["kept"]["files"] == 3 and sizes == [str([*map(len, texts.values())]), str([len(said)])]


def test_the_walls_stand(house: Path) -> None:
    walls = "imports_run_one_way or files_are_small or every_module_has_its_test"
    told = python(house, "-m", "pytest", "-q", "-p", "no:cacheprovider", WALLS, "-k", walls)
    assert "3 passed" in told, told
    seen = python(
        house, "-c", "import sys; sys.path.append('tests'); import test_architecture as t; print(*t.PYTHON, sep='\\n')"
    ).split()
    assert {str(house / place) for one in ADDITIONS.values() for place in (one.module, one.test)} <= {*seen}


@pytest.mark.parametrize("word", ADDITIONS)
def test_a_new_one_is_two_files_and_one_that_names_it(house: Path, word: str) -> None:
    """The copy differs from the project in nothing but what the row says: so nothing else had to be changed."""
    mine, *others = (
        {addition.module, addition.test, addition.table}
        for addition in (ADDITIONS[word], *(one for name, one in ADDITIONS.items() if name != word))
    )
    written = (Path(base, name) for base, _, names in os.walk(house) for name in names if name.endswith(".py"))
    changed = {str(path.relative_to(house)) for path in written if not path.is_symlink()}
    assert changed - (set().union(*others) - mine) - {WALLS} == mine
    assert [(ROOT / place).exists() for place in (ADDITIONS[word].module, ADDITIONS[word].test)] == [False, False]
