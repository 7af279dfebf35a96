"""The walls of the house: who may import whom, how large a file may get, and where its test lies."""

import ast
import functools
import graphlib
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from starmill.pipelines.run import keys
from starmill.pipelines.stages import STAGES

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "transforms", "reports", "pipelines", "model", "evaluation", "alignment", "trainer", "serving", "cli")
# What each package may import of ours, and which libraries it must not.
MAY_IMPORT = {
    "core": {"core"},
    "transforms": {"core", "transforms"},
    "reports": {"core", "reports"},
    "pipelines": {"core", "transforms", "reports", "pipelines"},
    "model": {"core", "model"},
    "trainer": {"core", "model", "reports", "trainer"},
    "evaluation": {"core", "model", "evaluation"},
    "alignment": {"core", "transforms", "model", "evaluation", "alignment"},
    "serving": {"core", "transforms", "reports", "model", "serving"},
    "cli": {"core", "transforms", "reports", "pipelines", "model", "evaluation", "alignment", "trainer", "serving", "cli"},
}
FORBIDDEN = {
    "core": {"apache_beam", "torch"},
    "transforms": {"torch"},
    "reports": {"apache_beam", "torch"},
    "pipelines": {"torch"},
    "model": {"apache_beam"},
    "evaluation": {"apache_beam"},
    "alignment": {"apache_beam"},
    "trainer": {"apache_beam"},
    "serving": {"apache_beam"},
    "cli": {"apache_beam", "torch"},
}
MODULES = [p for package in PACKAGES for p in sorted((ROOT / package).rglob("*.py"))]
PYTHON = MODULES + [p for folder in ("tests", "benchmarks", "infra") for p in sorted((ROOT / folder).rglob("*.py"))]


@functools.cache
def imported(path: Path) -> set[str]:
    """Names of the modules that a file imports, at any depth of it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_imports_run_one_way() -> None:
    for path, name in ((module, name) for module in MODULES for name in imported(module)):
        package = path.relative_to(ROOT).parts[0]
        first, *rest = name.split(".")
        assert first not in PACKAGES, f"{path} imports {name}: import starmill.{name}"
        assert first not in FORBIDDEN[package], f"{path} imports {name}, which {package}/ must not"
        if first == "starmill" and rest:
            assert rest[0] in MAY_IMPORT[package], f"{path} imports {name}, which {package}/ must not"


def test_no_module_needs_itself() -> None:
    files = {".".join(("starmill", *p.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): p for p in MODULES}
    # Of `from a.b import c` the module is a.b.c or a.b; imports inside functions count too.
    needs = {
        name: {n if n in files else n.rpartition(".")[0] for n in imported(path)} & {*files} for name, path in files.items()
    }
    try:
        list(graphlib.TopologicalSorter(needs).static_order())
    except graphlib.CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_beam_is_known_to_one_transform_only() -> None:
    knowing = [p.name for p in (ROOT / "transforms").rglob("*.py") if any(n.startswith("apache_beam") for n in imported(p))]
    assert knowing == ["beam.py"]


def test_files_are_small_and_say_what_they_are() -> None:
    texts = {path: path.read_text() for path in PYTHON}
    lines = {path: len(text.splitlines()) for path, text in texts.items()}
    assert [p for p, n in lines.items() if n >= (200 if p.is_relative_to(ROOT / "model") else 401)] == [], "too long"
    assert [p for p, text in texts.items() if not re.match(r'(#.*\n)*r?"""\s*\S[^"]', text)] == [], "opens with a docstring"


def test_every_module_has_its_test() -> None:
    missing = []
    for path in (m.relative_to(ROOT) for m in MODULES if m.name != "__init__.py"):
        # `x/__main__.py` is tested beside its package.
        test = Path("tests", path.parent, "test_main.py" if path.name == "__main__.py" else f"test_{path.name}")
        missing += [] if (ROOT / test).exists() else [test]
    assert missing == [], "write these"


def test_modules_that_a_remark_points_to_are_there() -> None:
    """`(scan.py: rows)` or `(sources/gharchive/text.py)` in documentation or a remark is a file of the project."""
    places = [str(path.relative_to(ROOT)) for path in PYTHON]
    gone = {
        (str(path.relative_to(ROOT)), named)
        for path in MODULES
        for said in re.findall(r"\([^()\n]*\.py\b[^()\n]*\)", path.read_text())
        if not {"'", '"', "bigcode-dataset"} & {*said, *re.findall(r"[\w-]+", said)}  # code, and files of others
        for named in re.findall(r"(?<![\w/])(?:\w+/)*[a-z_]+\.py\b", said)
        if not any(f"/{place}".endswith(f"/{named}") for place in places)
    }
    assert gone == {("reports/notices.py", "license.py")}, "a file of a dump, and nothing of the project"


# A word that a stage happens to share.
OTHER_WORDS = {
    "transforms/dedup/clusters.py": {"release"},  # a column: the earlier release that a file lies in
    "pipelines/sources/gharchive/threads.py": {"release"},  # a word in titles
    "model/exchange/megatron_ranks.py": {"release"},  # Megatron's own folder of a converted checkpoint
    "pipelines/sources/swh/heads.py": {"release"},  # Software Heritage's word for an annotated tag, and its table
    "pipelines/sources/swh/tables.py": {"release"},
}


def test_no_stage_is_named_outside_its_module() -> None:
    """A stage is renamed, added or removed in stages/ alone: whoever means one imports it, and whoever means all goes through STAGES."""
    named: dict[str, set[str]] = {}
    for path in MODULES:
        if not path.is_relative_to(ROOT / "pipelines/stages"):
            texts = [n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)]
            # Paths are looked into (`dropped/<stage>`), sentences are not: documentation may speak of stages.
            words = {word for text in texts if isinstance(text, str) and " " not in text for word in text.split("/")}
            named[str(path.relative_to(ROOT))] = words & {*STAGES}
    other = {place: words & {*STAGES} for place, words in OTHER_WORDS.items()}
    assert {place: words for place, words in named.items() if words != other.get(place, set())} == {}


def test_no_attic() -> None:
    banned = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py"}
    assert not [p for p in MODULES if p.name in banned]
    assert not (ROOT / "starmill").exists(), "a folder of this name would shadow the package"


@pytest.mark.parametrize(
    ("package", "without"),
    [
        ("trainer", "apache_beam"),
        ("pipelines.recipe", "apache_beam torch numba"),
        ("pipelines.run.place", "apache_beam torch numba"),
        ("model.exchange.folders", "torch"),
        ("trainer.start", "torch apache_beam"),
        ("core.dataset", "torch"),
        ("reports.why", "apache_beam"),
    ],
)
def test_packages_import_without_what_they_must_not_need(package: str, without: str) -> None:
    code = f"import sys; sys.modules.update(dict.fromkeys({without.split()})); import starmill.{package}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT / "docs")


def house() -> ModuleType:
    spec = importlib.util.spec_from_file_location("house", ROOT / "docs/house.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_is_that_of_the_imports() -> None:
    assert house().page() == (ROOT / "ARCHITECTURE.md").read_text(), "run python docs/house.py"


def test_stages_know_neither_what_runs_them_nor_where() -> None:
    imports = house().edges()
    assert imports["pipelines/stages"] <= {"core", "transforms", "pipelines/sources"}
    assert imports["pipelines/sources"] <= {"core"} and imports["pipelines/runners"] <= {"core"}
    assert imports["pipelines"] <= {"core", "transforms", "pipelines/sources", "pipelines/stages"}
    for name in STAGES:
        closure, _ = keys.closure(keys.module_of(name))
        assert not {keys.source("starmill.pipelines.kinds"), keys.source("starmill.pipelines.recipe")} & {*closure}
    assert "pipelines/costs" not in imports["pipelines/run"]
