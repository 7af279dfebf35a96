"""A tree of more than a hundred kinds of hostile files and repositories: every file is one row, nothing outside is read or touched.

The count is not starmill's: `os.walk` for plain kinds, `git ls-tree` for repositories that git can list. What git would read though it
lies outside, or what has more rows than a disk has room for, is at least one row that says why.
"""

import os
import re
import subprocess
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import hostile_files
import hostile_repositories
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from repositories import git
from soak import below

from starmill.core.shards import open_shards
from starmill.core.tokenizer import Tokenizer

MOST_BYTES = 1_500_000_000  # of memory that a process of a run takes
LISTS = re.compile(r"git ls-tree|find ")  # how a row that stands for several says what they are
RECIPE = """
workspace: {workspace}
sources: {{input: {{kind: folders, roots: [{tree}]}}}}
ingest: {{part_bytes: 3000000, max_files: 2000, max_names_bytes: 4000000}}
release: {{benchmarks: [smoke]}}
tokenizer: {{vocab_size: 512, sample_bytes: 200000}}
"""


class Tree:
    """The tree and what lies beside it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "input").mkdir()
        self.counted, self.refused = hostile_repositories.repositories(place / "input", place / "private")
        self.plain = hostile_files.plain(place / "input", place / "private")
        self.before = listing(place)

    def run(self, stage: str, workers: int) -> "Run":
        recipe = self.place / f"{workers}.yaml"
        recipe.write_text(RECIPE.format(workspace=self.place / f"work{workers}", tree=self.place / "input"))
        self.before = listing(self.place)
        return Run(self.place / f"work{workers}", [stage, str(recipe), "--workers", str(workers)])


class Run:
    """One command to its end: what it said, and how much memory the largest of its processes took."""

    def __init__(self, workspace: Path, arguments: list[str]) -> None:
        self.workspace, self.peak = workspace, 0
        said = workspace.with_suffix(".said")
        with open(said, "wb") as file:
            child = subprocess.Popen([sys.executable, "-m", "starmill.cli", *arguments], stdout=file, stderr=file)
            try:
                deadline = time.monotonic() + 900
                while child.poll() is None:
                    assert time.monotonic() < deadline, f"a hang: {said.read_text(errors='replace')[-3000:]}"
                    self.peak = max([self.peak, peak(child.pid), *(peak(c.pid) for c in below(child.pid))])
                    time.sleep(0.2)
            finally:
                for process in [*below(child.pid), child]:
                    process.kill()
                child.wait()
        self.said = said.read_bytes().decode()
        said.unlink()
        assert child.returncode == 0, self.said[-3000:]


def peak(pid: int) -> int:
    """The most memory that a process had so far, in bytes."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0
    return int(found[1]) * 1024 if found else 0


def walk(folder: Path) -> Iterator[tuple[Path, set[str], int]]:
    """Yield each folder, the names in it, and how many are no folders; one that cannot be listed is one of these (os.walk recurses)."""
    stack = [folder]
    while stack:
        here = stack.pop()
        try:
            with os.scandir(here) as listed:
                inside = {e.name: e.is_dir(follow_symlinks=False) for e in listed}
        except OSError:
            yield here, set(), 1
            continue
        stack += [here / name for name, is_folder in inside.items() if is_folder]
        yield here, {*inside}, len(inside) - sum(inside.values())


def listing(place: Path) -> dict[Path, tuple[int, ...]]:
    """All that lies beside the workspaces, with what changes when somebody writes; links are not followed."""
    paths = (here / name for top in ("input", "private") for here, names, _ in walk(place / top) for name in names)
    found = ((path, os.lstat(path)) for path in paths if len(os.fsencode(path)) < 4000)
    return {path: (info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_nlink) for path, info in found}


def on_disk(folder: Path) -> int:
    """The files below a folder, and the folders that cannot be listed."""
    return sum(files for _, _, files in walk(folder))


def in_git(folder: Path) -> int:
    """The rows of a bare repository, or of all checkouts at and below a folder, as git lists them."""
    bare = {"HEAD", "objects", "refs"}
    tops = [here for here, names, _ in walk(folder) if ".git" in names or (here == folder and bare <= names)]
    return sum(git(top, "ls-tree", "-r", "-z", "HEAD").count("\0") for top in tops)


def tables(workspace: Path, pattern: str) -> Iterator[pa.Table]:
    for path in sorted(workspace.glob(pattern)):
        yield pq.read_table(path)


def rows(workspace: Path) -> list[dict]:
    """Every row that a file ended as: in the side table of a shard, or in what a stage dropped."""
    documents = [row for table in tables(workspace, "shards/*.docs.parquet") for row in table.to_pylist()]
    kept = [(d["repo_name"], "/" + f["path"].lstrip("/")) for d in documents for f in d["files"]]
    return as_rows(kept) + [row for table in tables(workspace, "dropped/*/*.parquet") for row in table.to_pylist()]


def as_rows(places: Iterable[tuple[str, str]]) -> list[dict]:
    return [{"repo_name": name, "path": path, "reason": None, "detail": None} for name, path in places]


def check_rows(tree: Tree, found: list[dict]) -> None:
    """Files in are rows out, of each kind."""
    places = Counter((row["repo_name"], row["path"]) for row in found)
    assert [place for place, n in places.items() if n > 1] == [], "one row each"
    by_kind: dict[str, list[dict]] = {}
    for row in (
        row for row in found if row["reason"] != "not_committed"
    ):  # what lies beside a commit, which git ls-tree does not list
        by_kind.setdefault(row["repo_name"].split("/")[0], []).append(row)
    wanted = {kind: on_disk(tree.place / "input" / kind) for kind in tree.plain}
    wanted |= {kind: in_git(tree.place / "input" / kind) for kind in tree.counted}
    got = {kind: len(by_kind.get(kind, ())) for kind in wanted}
    several = {kind for kind in wanted if any(LISTS.search(row["detail"] or "") for row in by_kind.get(kind, ()))}
    assert {k: (n, got[k]) for k, n in wanted.items() if n != got[k] and k not in several} == {}
    for kind in {*tree.refused} | several:
        lost = [row for row in by_kind.get(kind, ()) if row["reason"]]
        assert any(row["detail"] for row in lost), f"{kind}: {lost}"
    assert by_kind.keys() <= {*wanted, *tree.refused}


def check_outside(tree: Tree, run: Run) -> None:
    """Nothing was written outside of the workspace, nothing private is in it, nothing steers the terminal."""
    assert listing(tree.place) == tree.before
    canary = hostile_files.CANARY.encode()
    for path in (p for p in run.workspace.rglob("*") if p.is_file()):
        assert canary not in path.read_bytes(), path
        if path.suffix == ".parquet":
            for name, column in zip(pq.read_table(path).column_names, pq.read_table(path).columns, strict=True):
                assert canary.decode() not in str(column.to_pylist()), (path, name)
    steering = {c for c in run.said if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"} and c not in "\n"}
    assert not steering, steering


def manifests(workspace: Path) -> dict[str, bytes]:
    """The manifest of each dataset, which has the sha256 of all files."""
    return {path.parent.name: path.read_bytes() for path in sorted(workspace.glob("*/manifest.json"))}


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    yield Tree(tmp_path)
    subprocess.run(["rm", "-rf", str(tmp_path / "input")], check=True)  # folders that are too deep for others


def test_there_are_a_hundred_kinds(tree: Tree) -> None:
    kinds = [*tree.plain, *tree.counted, *tree.refused]
    assert len(kinds) == len({*kinds}) >= 100 and {*os.listdir(tree.place / "input")} == {*kinds}
    run = tree.run("ingest", 1)
    check_outside(tree, run)
    read = [table.select(["repo_name", "path"]).to_pydict().values() for table in tables(run.workspace, "records/*.parquet")]
    check_rows(tree, as_rows(place for columns in read for place in zip(*columns, strict=True)) + rows(run.workspace))


@pytest.mark.slow
@pytest.mark.timeout(2000)
def test_every_file_is_one_row_to_the_end(tree: Tree) -> None:
    found = []
    for workers in (1, 2):
        run = tree.run("run", workers)
        check_outside(tree, run)
        check_rows(tree, rows(run.workspace))
        assert run.peak <= MOST_BYTES
        tokenizer = Tokenizer.load(run.workspace / "tokenizer/tokenizer.json")
        for shard in open_shards(str(run.workspace)):
            for i in range(shard.documents):
                assert hostile_files.CANARY not in tokenizer.decode(shard.tokens(i))
        found.append(manifests(run.workspace))
    assert found[0] == found[1] and {"shards", "dataset", "records"} <= {*found[0]}
