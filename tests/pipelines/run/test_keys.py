"""What is in a key, each sentence of it tried on a copy of the tree: code, tables, libraries; and what is not."""

import importlib.metadata
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest
from ingested_workspace import ingested

from starmill.core import __version__
from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError
from starmill.pipelines.kinds import KINDS, Curate, Kind, Measure, Sections
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.run import keys
from starmill.pipelines.run.stages import keyed, run_stage, version_of
from starmill.pipelines.runners.local import Local
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.stages import STAGES, load
from starmill.transforms.clean.malware import Malware
from starmill.transforms.clean.redact import Redact, tagging
from starmill.transforms.decide.quality import Alpha, Quality
from starmill.transforms.step import Step

RECIPE = Recipe("w", {"here": Folders(kind="folders", roots=()), "python": Packages(kind="packages")})
FOLDERS = ("core", "transforms", "pipelines", "reports")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in FOLDERS:
        shutil.copytree(keys.ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(keys, "ROOT", tmp_path)
    return tmp_path


def versions() -> dict[str, str]:
    keys._version.cache_clear()
    found = {name: version_of(load(name), RECIPE) for name in STAGES}
    keys._version.cache_clear()
    return found


def remade(change: Callable[[], object]) -> set[str]:
    before = versions()
    change()
    return {name for name, version in versions().items() if version != before[name]}


def edit(path: Path, old: str, new: str) -> Callable[[], object]:
    text = path.read_text()
    assert old in text
    return lambda: path.write_text(text.replace(old, new, 1))


def test_the_module_of_a_child_process_counts(tree: Path) -> None:
    assert remade(edit(tree / "transforms/measure/scancode_child.py", "MOST_MATCHES = 500", "MOST_MATCHES = 501")) == {
        "measure"
    }


def test_a_comment_or_a_docstring_remakes_nothing(tree: Path) -> None:
    quality = tree / "transforms/decide/quality.py"
    assert remade(lambda: quality.write_text(quality.read_text() + "\n# A remark.\n")) == set()
    assert remade(edit(quality, '"""Drops languages by name;', '"""Leaves out languages by name;')) == set()


def test_a_filter_remakes_its_stage_and_no_earlier_one(tree: Path) -> None:
    assert remade(edit(tree / "transforms/decide/quality.py", '"unknown_language"', '"no_language"')) == {"curate"}
    assert remade(edit(tree / "transforms/clean/redact/emails.py", "re.", "re. ")) == set(), "white space is no code"
    assert remade(edit(tree / "transforms/render/code.py", '"metadata"', '"other"')) == {"tokenize"}
    assert remade(edit(tree / "pipelines/sources/git/snapshots.py", "MAX_DEPTH = 64", "MAX_DEPTH = 65")) == {"ingest"}


def test_a_source_remakes_only_its_own_parts(tree: Path, tmp_path: Path) -> None:
    (tmp_path / "dump/r").mkdir(parents=True)
    (tmp_path / "dump/r/a.py").write_text("x = 1\n")
    here = Folders(kind="folders", roots=(str(tmp_path / "dump"),))
    sources = {"here": here, "python": Packages(kind="packages", include=("pypi/pluggy",))}
    recipe = Recipe(str(tmp_path / "w"), sources)

    def both() -> list[str]:
        keys._version.cache_clear()
        return [ref.key for ref in keyed(load("ingest"), recipe, Workspace(recipe.workspace))]

    before = both()
    edit(tree / "pipelines/sources/git/snapshots.py", "MAX_DEPTH = 64", "MAX_DEPTH = 65")()
    edit(tree / "pipelines/recipe.py", "    Packages,\n", "    Packages,\n    Packages,\n")()
    assert [a == b for a, b in zip(before, both(), strict=True)] == [False, True]
    edit(tree / "pipelines/sources/encoding.py", "return", "return  0 or")()
    assert not {*before} & {*both()}
    keys._version.cache_clear()


def test_a_table_beside_a_module_counts(tree: Path) -> None:
    table = tree / "transforms/decide/data/permissive.txt"
    made = remade(lambda: table.write_text(table.read_text() + "Some-1.0\n"))
    assert "curate" in made and not made & {"ingest", "measure", "dedup", "release"}, "what measure found is judged by it"
    go = tree / "transforms/measure/enry/main.go"
    assert "measure" in remade(lambda: go.write_text(go.read_text() + "\n"))


def test_what_steers_or_shows_is_in_no_key(tree: Path) -> None:
    for place in ("pipelines/run/stages.py", "pipelines/run/progress.py", "pipelines/runners/flink.py", "reports/funnel.py"):
        path = tree / place
        assert remade(lambda path=path: path.write_text(path.read_text() + "\nX = 1\n")) == set()
    assert remade(edit(tree / "pipelines/stages/__init__.py", '"release"', '"releases"')) == set(), "nor is the list of stages"


def test_what_all_import_remakes_all(tree: Path) -> None:
    assert remade(edit(tree / "core/schema.py", '("path", pa.string())', '("path", pa.large_string())')) == {*STAGES}


def test_libraries_count_where_they_are_imported_and_transports_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    real, before = importlib.metadata.version, versions()

    def newer(*distributions: str) -> set[str]:
        monkeypatch.setattr(importlib.metadata, "version", lambda name: "99.0" if name in distributions else real(name))
        return {name for name, version in versions().items() if version != before[name]}

    assert newer("scancode-toolkit") == {"measure"} and newer("tokenizers") == {"tokenize"}
    assert newer("dulwich") >= {"ingest"} and "dedup" not in newer("dulwich")
    assert newer("apache-beam", "fsspec", "s3fs", "grpcio", "aiohttp", "google-auth", "protobuf", "huggingface_hub") == set()


def test_a_key_is_its_values_and_its_code() -> None:
    assert keys.key("code", "a") != keys.key("code", "b")
    assert keys.values_of(keys.key("code", "a")) == keys.values_of(keys.key("other", "a"))
    assert keys.key("code", "a").endswith(".code") and __version__


@dataclass(frozen=True)
class Signed:
    """A step whose answer depends on what a file outside says."""

    signatures: str
    reads: ClassVar[tuple[str, ...]] = ()
    name: str = "signed"

    def material(self) -> tuple[str, ...]:
        """Return what the file says."""
        return (Path(self.signatures).read_text(),)

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Change nothing."""
        return block


def test_where_a_daemon_or_a_model_is_counts_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they answer by counts: the version of the signatures, the digest of the weights."""
    answers = ["ClamAV 1.4.3/27000"]
    monkeypatch.setattr(Malware, "material", lambda _: tuple(answers))
    here, there = Malware("/run/clamd.ctl"), Malware("127.0.0.1:3310", seconds=5.0)
    assert keys.said(here) == keys.said(there) != keys.said(Malware())
    assert keys.said(here) != keys.said(Malware("/run/clamd.ctl", signatures="sane-2026-11"))
    before = keys.said(here)
    answers[:] = ["ClamAV 1.4.3/27001"]
    assert keys.said(here) != before
    monkeypatch.setattr(tagging, "digest", lambda place, revision=None: "same")
    assert keys.said(Redact(model="/a/model")) == keys.said(Redact(model="/b/model")) != keys.said(Redact())
    assert keys.said(Redact(model="/a/model")) != keys.said(Redact(model="/a/model", model_precision="int8"))
    assert keys.said(Redact(model="a/model")) != keys.said(Redact(model="a/model", model_revision="0123abc"))


def key_of(options: Recipe, stage: str = "measure") -> str:
    (ref,) = keyed(load(stage), options, Workspace(options.workspace))
    return ref.key


def test_a_step_counts_with_its_options_and_its_material(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the steps those count that treat the kinds of records in the part."""
    workspace = Workspace(str(tmp_path))
    ingested(workspace)
    workspace.finish("records", "k", 1, "v")
    (tmp_path / "signatures").write_text("1")
    code = KINDS["code"]

    def of(*more: Step) -> Kind:
        return replace(code, measure=lambda on: (*code.measure(on), *more))

    plain = key_of(Recipe(workspace.root))
    monkeypatch.setitem(KINDS, "code", of(Signed(str(tmp_path / "signatures"))))
    signed = key_of(Recipe(workspace.root))
    (tmp_path / "signatures").write_text("2")
    newer = key_of(Recipe(workspace.root))
    assert len({plain, signed, newer}) == 3
    monkeypatch.setitem(KINDS, "code", code)
    monkeypatch.setitem(KINDS, "issue", of(Signed(str(tmp_path / "signatures"))))
    assert key_of(Recipe(workspace.root)) == plain, "a part without issues does not depend on their steps"
    text = replace(Measure().text, first_lines=3)
    assert key_of(Recipe(workspace.root, measure=Measure(text=text))) != plain
    other = Recipe(workspace.root, kinds={"issue": Sections(measure=Measure(text=text))})
    assert key_of(other) == plain, "nor on the values that only issues have"
    ingested(workspace, kinds=("code",) * 6 + ("issue",))
    workspace.finish("records", "k", 1, "v")
    assert key_of(Recipe(workspace.root)) != key_of(other), "this one has an issue"
    # Taken out of the table itself, it would come back behind all others.
    monkeypatch.setattr(Recipe, "table", property(lambda _: {name: kind for name, kind in KINDS.items() if name != "issue"}))
    with pytest.raises(UsageError, match=r"records has records of kind issue, which starmill .* does not know"):
        key_of(Recipe(workspace.root))


def test_another_threshold_remakes_curate_and_not_measure(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    ingested(workspace)
    workspace.finish("records", "k", 1, "v")
    before = Recipe(workspace.root)
    run_stage("measure", before, Local(), quiet=True)
    after = replace(before, curate=Curate(quality=replace(Quality(), alpha=Alpha(min_fraction=0.5))))
    assert key_of(before) == key_of(after) and key_of(before, "curate") != key_of(after, "curate")


def test_a_step_from_elsewhere_counts_by_its_distribution() -> None:
    class Theirs:
        __module__ = "yaml.reader"

    _, libraries = keys.closure(keys.module_of("measure"), *keys.modules_of([Theirs(), "near"]))
    assert libraries == sorted({"PyYAML", *keys.closure(keys.module_of("measure"))[1]})


def test_a_module_is_of_the_distributions_that_the_library_names() -> None:
    """The oracle reads the metadata of all that is installed, in half a second; each library that any code of ours imports is asked for."""
    theirs = importlib.metadata.packages_distributions()
    files = (file for folder in (*FOLDERS, "model") for file in (keys.ROOT / folder).rglob("*.py"))
    used = {name.partition(".")[0] for file in files for name in keys.imported(file.read_bytes())}
    assert used & {*theirs} > {"numpy", "pyarrow", "yaml", "torch"}
    for name in used:
        assert keys.distributions(frozenset((name,))) == {*theirs.get(name, ())}, name


# A process for each module, which has nothing of ours yet, but Beam.
IMPORTER = """
import importlib, json, multiprocessing, sys, apache_beam

def loaded(module):
    importlib.import_module(module)
    return [m.__file__ for name, m in sys.modules.items() if name.startswith("starmill.") and getattr(m, "__file__", None)]

with multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool:
    print(json.dumps(pool.map(loaded, sys.argv[1:], chunksize=1)))
"""


def test_a_closure_is_what_a_process_imports() -> None:
    """The oracle is the interpreter: whatever of ours is loaded with a stage's module is in its closure."""
    command = [sys.executable, "-c", IMPORTER, *map(keys.module_of, STAGES)]
    loaded = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for name, names in zip(STAGES, loaded, strict=True):
        files = {Path(f).resolve() for f in names if not f.endswith("__init__.py")}
        assert files <= {*keys.closure(keys.module_of(name))[0]}
