"""What is in a key, each sentence of it tried on a copy of the tree: code, tables, libraries; and what is not."""

import importlib.metadata
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from starmill.core import __version__
from starmill.pipelines.run import keys
from starmill.pipelines.stages import STAGES, load

FOLDERS = ("core", "transforms", "pipelines", "reports")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for folder in FOLDERS:
        shutil.copytree(keys.ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(keys, "ROOT", tmp_path)
    return tmp_path


def versions() -> dict[str, str]:
    keys.version.cache_clear()
    found = {name: keys.version(load(name)) for name in STAGES}
    keys.version.cache_clear()
    return found


def remade(change: Callable[[], object]) -> set[str]:
    before = versions()
    change()
    return {name for name, version in versions().items() if version != before[name]}


def edit(path: Path, old: str, new: str) -> Callable[[], object]:
    text = path.read_text()
    assert old in text
    return lambda: path.write_text(text.replace(old, new, 1))


def test_a_comment_or_a_docstring_remakes_nothing(tree: Path) -> None:
    quality = tree / "transforms/decide/quality.py"
    assert remade(lambda: quality.write_text(quality.read_text() + "\n# A remark.\n")) == set()
    assert remade(edit(quality, '"""Drops languages by name;', '"""Leaves out languages by name;')) == set()


def test_a_filter_remakes_its_stage_and_no_earlier_one(tree: Path) -> None:
    assert remade(edit(tree / "transforms/decide/quality.py", '"unknown_language"', '"no_language"')) == {"curate"}
    assert remade(edit(tree / "transforms/clean/redact/emails.py", "re.", "re. ")) == set(), "white space is no code"
    assert remade(edit(tree / "transforms/render/code.py", '"metadata"', '"other"')) == {"tokenize"}
    assert remade(edit(tree / "pipelines/sources/git.py", "MAX_DEPTH = 64", "MAX_DEPTH = 65")) == {"ingest"}


def test_a_table_beside_a_module_counts(tree: Path) -> None:
    table = tree / "transforms/measure/data/permissive.txt"
    assert "curate" in remade(lambda: table.write_text(table.read_text() + "Some-1.0\n"))
    go = tree / "transforms/measure/enry/main.go"
    assert "curate" in remade(lambda: go.write_text(go.read_text() + "\n"))


def test_what_steers_or_shows_is_in_no_key(tree: Path) -> None:
    for place in ("pipelines/run/stages.py", "pipelines/run/progress.py", "pipelines/runners/flink.py", "reports/funnel.py"):
        path = tree / place
        assert remade(lambda path=path: path.write_text(path.read_text() + "\nX = 1\n")) == set()
    assert remade(edit(tree / "pipelines/stages/__init__.py", '"release"', '"releases"')) == set(), "nor is the list of stages"


def test_what_all_import_remakes_all(tree: Path) -> None:
    assert remade(edit(tree / "core/schema.py", '("path", pa.string())', '("path", pa.large_string())')) == {*STAGES}


def test_libraries_count_where_they_are_imported_and_transports_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def newer(distribution: str) -> Callable[[], object]:
        return lambda: monkeypatch.setattr(
            importlib.metadata, "version", lambda name: "99.0" if name == distribution else real(name)
        )

    assert remade(newer("scancode-toolkit")) == {"curate"}
    assert remade(newer("tokenizers")) == {"tokenize", "curate"}, "scancode-toolkit is what it was, too"
    assert remade(newer("dulwich")) >= {"ingest"} and "dedup" not in remade(newer("scancode-toolkit"))
    monkeypatch.setattr(importlib.metadata, "version", real)
    for transport in ("apache-beam", "fsspec", "s3fs", "grpcio"):
        assert remade(newer(transport)) == set()


def test_a_key_is_its_values_and_its_code() -> None:
    assert keys.key("code", "a") != keys.key("code", "b")
    assert keys.values_of(keys.key("code", "a")) == keys.values_of(keys.key("other", "a"))
    assert keys.key("code", "a").endswith(".code") and __version__


def test_a_closure_is_what_a_process_imports() -> None:
    """The oracle is the interpreter: whatever of ours is loaded with a stage's module is in its closure."""
    import subprocess
    import sys

    for name in STAGES:
        code = (
            f"import sys, {keys.module_of(name)}\n"
            "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('starmill.') and getattr(m, '__file__', None)))"
        )
        loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
        files = {Path(f).resolve() for f in loaded if not f.endswith("__init__.py")}
        assert files <= {*keys.closure(keys.module_of(name))[0]}
