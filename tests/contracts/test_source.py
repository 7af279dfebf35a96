"""The contract of a source, held by every module of sources/ that plans and reads: one entry for every file, with a reason if unread."""

import importlib
import os
import pkgutil
import shutil
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from dulwich import porcelain

from starmill.pipelines import sources
from starmill.pipelines.sources import folders, git, packages
from starmill.pipelines.sources.source import Entry, Repository, Snapshot

FOUND = [importlib.import_module(f"{sources.__name__}.{m.name}") for m in pkgutil.iter_modules(sources.__path__)]
SOURCES = [module for module in FOUND if hasattr(module, "plan") and hasattr(module, "read")]
LIMIT = 100_000
# What one tree holds: the reason why a file is not read, or None.
TREE = {"/a.py": None, "/empty": None, "/big.bin": "too_large", "/link": "symlink", "/sub/b.txt": None}


def tree(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "a.py").write_text("x = 1\n")
    (folder / "sub/b.txt").write_bytes(b"\xff\xfe\x00 not text")
    (folder / "empty").touch()
    (folder / "big.bin").write_bytes(b"b" * LIMIT)
    (folder / "link").symlink_to("/etc/passwd")
    return folder


def plain(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Repository]]:
    tree(place / "toy")
    return lambda: folders.plan([str(place)])


def committed(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Repository]]:
    monkeypatch.setenv("HOME", str(place))
    made = porcelain.init(str(tree(place / "toy")))
    made.get_worktree().stage([name[1:] for name in TREE])
    made.get_worktree().commit(b"a commit", committer=b"a <a@b.c>", author=b"a <a@b.c>")
    made.close()
    return lambda: [git.plan(place / "toy", "toy", place)]


def installed(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Repository]]:
    metadata = tree(place / "toy") / "toy-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (metadata / "RECORD").write_text("".join(f"{name[1:]},,\n" for name in TREE))
    monkeypatch.setattr(sys, "path", [str(place / "toy"), sysconfig.get_path("stdlib")])
    return packages.plan


# How one tree becomes the input of a source: a new source says it here.
INPUTS = {"folders": plain, "git": committed, "packages": installed}


@pytest.fixture(params=SOURCES, ids=lambda m: m.__name__.rpartition(".")[2])
def source(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


@pytest.fixture
def plan(source: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Repository]]:
    return INPUTS[source.__name__.rpartition(".")[2]](tmp_path / "dump", monkeypatch)


def entries(source: ModuleType, repository: Repository) -> list[Entry]:
    snapshot, found = source.read(repository, LIMIT)
    assert isinstance(snapshot, Snapshot)
    return list(found)


def test_a_plan_is_sorted_and_the_same_again(plan: Callable[[], list[Repository]]) -> None:
    planned = plan()
    assert planned == plan() and planned == sorted(planned, key=lambda r: r.name)
    assert len({r.name for r in planned}) == len(planned) and all(r.name and r.fingerprint for r in planned)


def test_a_fingerprint_changes_with_a_file(
    source: ModuleType, plan: Callable[[], list[Repository]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [before] = [r for r in plan() if r.name.endswith("toy")]
    (tmp_path / "dump/toy/a.py").write_text("x = 22\n")
    if source is git:  # what is not committed is not read
        porcelain.add(str(tmp_path / "dump/toy"), [str(tmp_path / "dump/toy/a.py")])
        porcelain.commit(str(tmp_path / "dump/toy"), b"another", author=b"a <a@b.c>", committer=b"a <a@b.c>")
    [after] = [r for r in plan() if r.name.endswith("toy")]
    assert (after.name, after.location) == (before.name, before.location) and after.fingerprint != before.fingerprint


def test_every_file_is_an_entry_read_or_with_a_reason(source: ModuleType, plan: Callable[[], list[Repository]]) -> None:
    [toy] = [r for r in plan() if r.name.endswith("toy")]
    found = entries(source, toy)
    assert {e.path: e.reason for e in found if "dist-info" not in e.path} == TREE
    assert [e.path for e in found] == sorted(e.path for e in found), "in the order of their paths"
    for entry in found:
        assert (entry.data is None) == (entry.reason is not None)
        assert entry.data is None or (len(entry.data) == entry.size < LIMIT)
    assert entries(source, toy) == found


def test_what_has_gone_since_the_plan_is_an_entry_with_a_reason(
    source: ModuleType, plan: Callable[[], list[Repository]], tmp_path: Path
) -> None:
    [toy] = [r for r in plan() if r.name.endswith("toy")]
    shutil.rmtree(tmp_path / "dump")
    found = entries(source, toy)
    assert found and all(e.data is None and e.reason for e in found)


def test_damage_is_an_entry_with_a_reason(source: ModuleType, plan: Callable[[], list[Repository]], tmp_path: Path) -> None:
    """Every file of the input is cut in two, one after the other, its name kept; nothing raises, and nothing is silent."""
    [toy] = [r for r in plan() if r.name.endswith("toy")]
    for base, _, names in os.walk(tmp_path / "dump"):
        for path in (Path(base, name) for name in names):
            if path.is_symlink() or not (whole := path.read_bytes()):
                continue
            path.chmod(0o644)  # git's objects are read-only
            path.write_bytes(whole[: len(whole) // 2])
            assert all((e.data is None) == (e.reason is not None) for e in entries(source, toy)), path
            path.write_bytes(whole)
