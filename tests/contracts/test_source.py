"""The contract of a source, held by every one of SOURCES, and by a toy one that runs from a recipe to its shards.

The toy is what a new source is: one module, its row in the table. Recipes, runs, keys, views and the command are not told.
"""

import errno
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import exports
import prose_dumps
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets_made import milled
from dulwich import porcelain
from histories import ADDED, one_by_one
from tars import Tars, segments

from starmill.cli import __main__ as cli
from starmill.core.dataset import Sidecar, Workspace
from starmill.core.errors import InputError, MachineError, NotThere
from starmill.pipelines import recipe as recipes
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.sources.archives.reader import Archives
from starmill.pipelines.sources.documentation.reader import Documentation
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.functions.reader import Functions
from starmill.pipelines.sources.gharchive.reader import GHArchive
from starmill.pipelines.sources.git.commits import Commits
from starmill.pipelines.sources.ir import compilers
from starmill.pipelines.sources.ir.reader import Programs
from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.sources.source import Entry, Limits, Options, Repository, Snapshot, Source, label
from starmill.pipelines.sources.swh.commits import SoftwareHeritageCommits
from starmill.pipelines.sources.swh.reader import SoftwareHeritage
from starmill.pipelines.sources.tables.reader import Tables
from starmill.pipelines.stages import ingest

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


def plain(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    return Folders(roots=(str(root),)), root


def committed(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    monkeypatch.setenv("HOME", str(root))
    made = porcelain.open_repo(str(root / "toy")) if (root / "toy/.git").exists() else porcelain.init(str(root / "toy"))
    made.get_worktree().stage([name[1:] for name in TREE])  # what is not committed is not read
    made.get_worktree().commit(b"a commit", committer=b"a <a@b.c>", author=b"a <a@b.c>")
    made.close()
    return Folders(roots=(str(root),)), root


def installed(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    metadata = root / "toy/toy-1.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (metadata / "RECORD").write_text("".join(f"{name[1:]},,\n" for name in TREE))
    monkeypatch.setattr(sys, "path", [str(root / "toy"), sysconfig.get_path("stdlib")])
    return Packages(), root


def archived(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    place = root.parent / "tars"
    place.mkdir(exist_ok=True)
    for folder in root.iterdir():
        with tarfile.open(place / f"{folder.name}.tar", "w") as archive:
            [archive.add(path, str(path.relative_to(folder)), recursive=False) for path in folder.rglob("*")]
    return Tars(folder=str(place)), place


def exported(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    committed(root, monkeypatch)
    return SoftwareHeritage(**exports.exported(root / "toy")), root.parent / "swh"


def tabled(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    (root.parent / "tables").mkdir(exist_ok=True)
    for folder in root.iterdir():
        paths = sorted(
            (p for p in folder.rglob("*") if p.is_symlink() or p.is_file()), key=lambda p: bytes(p.relative_to(folder))
        )
        contents = [None if p.is_symlink() else p.read_bytes() for p in paths]
        columns = {"path": [bytes(p.relative_to(folder)) for p in paths], "content": pa.array(contents, pa.binary())}
        pq.write_table(pa.table(columns), root.parent / f"tables/{folder.name}.parquet")
    return Tables(place=str(root.parent / "tables")), root.parent / "tables"


def stored(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    """A table of ids, and a folder of the contents."""
    place, rows = root.parent / "ids", []
    for name in ("table", "content"):
        (place / name).mkdir(parents=True, exist_ok=True)
    for path in sorted(p for p in (root / "toy").rglob("*") if p.is_symlink() or p.is_file()):
        data = None if path.is_symlink() else path.read_bytes()
        own = None if data is None else hashlib.sha1(data).hexdigest()
        rows.append({"path": str(path.relative_to(root / "toy")), "blob_id": own})
        if data is not None:
            (place / f"content/{own}").write_bytes(gzip.compress(data, mtime=0))
    pq.write_table(pa.Table.from_pylist(rows), place / "table/toy.parquet")
    return Tables(place=str(place / "table"), contents=str(place / "content")), place


def happened(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    """Each file of the tree is an issue; a link is one without a title."""
    (root.parent / "hours").mkdir(exist_ok=True)
    lines = []
    for number, name in enumerate(TREE, 1):
        path = root / "toy" / name[1:]
        body = None if path.is_symlink() else path.read_bytes().decode("latin-1")
        stated = {} if body is None else {"title": name, "body": body, "user": {"login": "ann"}}
        event = {"id": str(number), "type": "IssuesEvent", "actor": {"login": "ann"}, "created_at": "2015-01-01T00:00:06Z"}
        event |= {"repo": {"id": 7, "name": "me/toy"}, "payload": {"action": "opened", "issue": {"number": number, **stated}}}
        lines.append(json.dumps(event) + "\n")
    (root.parent / "hours/2015-01-01-0.json.gz").write_bytes(gzip.compress("".join(lines).encode(), mtime=0))
    return GHArchive(hours=str(root.parent / "hours"), index=str(root.parent / "index/events.db")), root.parent / "index"


def tarred(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    (root.parent / "tars").mkdir(exist_ok=True)
    subprocess.run(["tar", "-C", root / "toy", "-czf", root.parent / "tars/toy.tar.gz", "."], check=True)
    return Archives(folder=str(root.parent / "tars")), root.parent / "tars"


def zipped(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    (root.parent / "zips").mkdir(exist_ok=True)
    with zipfile.ZipFile(root.parent / "zips/toy.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((root / "toy").rglob("*")):
            made = zipfile.ZipInfo(str(path.relative_to(root / "toy")) + "/" * path.is_dir())
            made.create_system, made.external_attr = 3, path.lstat().st_mode << 16
            archive.writestr(made, os.readlink(path) if path.is_symlink() else b"" if path.is_dir() else path.read_bytes())
    return Archives(folder=str(root.parent / "zips")), root.parent / "zips"


def compiled(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    monkeypatch.setattr(compilers, "found", lambda names: {})  # a machine without any: none of these files is a program
    return Programs(folder=str(root)), root


def changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    """Each file of the tree is added by a commit of its own."""
    one_by_one(root / "toy")
    return Commits(roots=(str(root),)), root


def archived_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    one_by_one(root / "toy")
    return SoftwareHeritageCommits(**exports.exported(root / "toy")), root.parent / "swh"


def documented(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Source, Path]:
    """Each file of the tree is a page of documentation."""
    (root.parent / "docs").mkdir(exist_ok=True)
    with tarfile.open(root.parent / "docs/toy.tgz", "w:gz") as archive:
        for name in TREE:
            archive.add(root / "toy" / name[1:], f"docs{name}.md")
        archive.add(root / "toy/a.py", "a.py")
    return Documentation(folder=str(root.parent / "docs")), root.parent / "docs"


# How one tree becomes the input of a source: a new source says it here.
FILES = (plain, committed, installed, archived, exported, tabled, stored, tarred, zipped)
INPUTS = (*FILES, happened, changed, archived_changes, compiled, documented, milled, *prose_dumps.makers(slice(2)))
# What it gives then, where that is not the tree.
GIVEN = {
    Programs: {name: reason or "not_a_program" for name, reason in TREE.items()},
    Tables: TREE | {"/link": "no_content"},  # a table has no links
    Functions: {"/a.py": "no_function", "/big.bin": "repeats_itself", "/empty": "no_function", "/sub/b.txt": "no_function"},
    GHArchive: {f"/issues/{n}": "no_text" if reason == "symlink" else reason for n, reason in enumerate(TREE.values(), 1)},
    **prose_dumps.given(TREE),
    Documentation: {f"/docs{name}.md": reason for name, reason in TREE.items()} | {"/": "not_documentation"},
    **{cls: {f"/commit/{own}": reason for own, reason in ADDED.items()} for cls in (Commits, SoftwareHeritageCommits)},
}
Made = Callable[[], tuple[Source, Path]]


@pytest.fixture(params=INPUTS, ids=lambda make: make.__name__)
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Make a source of the tree, and where its input lies; again, after a change of the tree."""
    tree(tmp_path / "dump/toy")
    return lambda: request.param(tmp_path / "dump", monkeypatch)


def toy(source: Source) -> Repository:
    [found] = [r for r in source.plan() if r.name.endswith("toy")]
    return found


def entries(source: Source, repository: Repository) -> list[Entry]:
    snapshot, found = source.read(repository, Limits(max_file_bytes=LIMIT))
    assert isinstance(snapshot, Snapshot)
    return list(found)


def test_every_source_is_held_to_this(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for make in INPUTS:
        tree(tmp_path / make.__name__ / "dump/toy")
    held = {type(make(tmp_path / make.__name__ / "dump", monkeypatch)[0]) for make in INPUTS}
    assert held == {*recipes.SOURCES, Tars}, "say in INPUTS how a tree becomes its input"
    assert len({cls.kind for cls in recipes.SOURCES}) == len(recipes.SOURCES)


def test_a_plan_is_sorted_and_the_same_again(made: Made) -> None:
    source, _ = made()
    planned = source.plan()
    assert planned == source.plan() == sorted(planned, key=lambda r: r.name)
    assert len({r.name for r in planned}) == len(planned) and all(r.name.isprintable() and r.fingerprint for r in planned)
    assert json.loads(json.dumps([r.place for r in planned])) == [r.place for r in planned], "a plan is a file"
    every = source.planned()
    assert len({r.name for r in every}) == len(every), "what is never read has a name of its own too"


def test_a_fingerprint_changes_with_a_file(made: Made, tmp_path: Path) -> None:
    before = toy(made()[0])
    (tmp_path / "dump/toy/a.py").write_text("x = 22\n")
    assert (after := toy(made()[0])).name == before.name and after.fingerprint != before.fingerprint


def test_every_file_is_an_entry_read_or_with_a_reason(made: Made) -> None:
    source, _ = made()
    found = entries(source, toy(source))
    assert {label(e.path)[0]: e.reason for e in found if b"dist-info" not in e.path} == GIVEN.get(type(source), TREE)
    paths = [e.path for e in found if e.path]
    assert paths == sorted(paths), "in the order of their paths"
    for entry in found:
        assert (entry.data is None) == (entry.reason is not None) and entry.kind in source.gives
        assert entry.data is None or len(entry.data) < LIMIT
    assert entries(source, toy(source)) == found


def test_what_has_gone_since_the_plan_is_an_entry_with_a_reason(made: Made) -> None:
    source, place = made()
    planned = toy(source)
    shutil.rmtree(place)
    found = entries(source, planned)
    assert found and all(e.data is None and e.reason for e in found)


def test_damage_is_an_entry_with_a_reason(made: Made) -> None:
    """Every file of the input is cut in two, one after the other, its name kept; nothing raises, and nothing is silent."""
    source, place = made()
    planned = toy(source)
    for base, _, names in os.walk(place):
        for path in (Path(base, name) for name in names):
            if path.is_symlink() or not (whole := path.read_bytes()):
                continue
            path.chmod(0o644)  # git's objects are read-only
            path.write_bytes(whole[: len(whole) // 2])
            assert all((e.data is None) == (e.reason is not None) for e in entries(source, planned)), path
            path.write_bytes(whole)


@dataclass(frozen=True, kw_only=True)
class Given(Options):
    """A source that gives what a test says."""

    kind: Literal["given"] = "given"
    found: list
    gives: ClassVar[tuple[str, ...]] = ("code", "issue")

    def inventory(self) -> list[Repository]:
        if isinstance(self.found, Exception):
            raise self.found
        return [Repository("r", {}, 1, "fingerprint")]

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        def entries() -> Iterator[Entry]:
            for entry in self.found:
                if isinstance(entry, Exception):
                    raise entry
                yield entry

        return Snapshot(), entries()


def ingested(tmp_path: Path, *found: Entry | Exception) -> tuple[Sidecar, list[dict], list[dict]]:
    options = Recipe(str(tmp_path / "w"), {"given": Given(found=list(found))})
    workspace = Workspace(options.workspace)
    work = ingest.IngestPart(workspace, options.sources, options.ingest)
    [ref] = work.publish(ingest.STAGE.parts(options, workspace, ()))
    return work(ref), *(workspace.table(f"{d}/part-00000.parquet").to_pylist() for d in ("records", "dropped/ingest"))


HOSTILE = {
    "path": (Entry(b"a\xff\n", b"x = 1\n"), r"/a\xff\n", "hostile_path"),
    "parents": (Entry(b"../../etc/passwd", b"x = 1\n"), "/../../etc/passwd", "hostile_path"),
    "size": (Entry(b"a", None, "too_large", size=2**80), "/a", "too_large"),
    "below 0": (Entry(b"a", None, "too_large", size=-(2**80)), "/a", "too_large"),
    "detail": (Entry(b"a", None, "symlink", "\udcff"), "/a", "symlink"),
    "too much": (Entry(b"a", b"x" * (10 << 20)), "/a", "too_large"),
    "outside": (Entry(b"a", b"text", kind="issue", segments=segments(9)), "/a", "error:ingest:ValueError"),
    "no text": (Entry(b"a", b"t\xff", kind="issue", segments=segments(2)), "/a", "error:ingest:UnicodeDecodeError"),
    "its repository": (Entry(b"a", b"x = 1\n", repo_name=b"../../etc"), "/a", "hostile_path"),
    "kind": (Entry(b"a", b"text", kind="undeclared"), "/", "error:ingest:SchemaError"),
    "error": (PermissionError(errno.EACCES, "Permission denied"), "/", "error:ingest:PermissionError"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_hostile_is_a_row(tmp_path: Path, case: str) -> None:
    entry, path, reason = HOSTILE[case]
    sidecar, kept, lost = ingested(tmp_path, Entry(b"good.py", b"x = 1\n"), entry)
    assert [r["path"] for r in kept] == ["/good.py"] and [(r["path"], r["reason"]) for r in lost] == [(path, reason)]
    assert sum(c.files for c in sidecar.counts) == 2 and all(r["length_bytes"] >= 0 for r in lost)


def test_a_record_may_have_a_repository_and_facts_of_its_own(tmp_path: Path) -> None:
    found = [
        Entry(b"a.py", b"x = 1\n", repo_name=name, facts={"star_events_count": 7}) for name in (b"me/one", b"me/two", b"me/one")
    ]
    _, kept, _ = ingested(tmp_path, *found, Entry(b"a.py", b"x = 1\n"))
    wanted = [("me/one", "/a.py", 7), ("me/two", "/a.py", 7), ("me/one", "/a.py~2", 7), ("r", "/a.py", 0)]
    assert [(r["repo_name"], r["path"], r["star_events_count"]) for r in kept] == wanted


def test_trouble_of_the_machine_is_no_row(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"^ingest: r/: OSError: \[Errno 5\]"):
        ingested(tmp_path, Entry(b"good.py", b"x = 1\n"), OSError(errno.EIO, "Input/output error"))


@pytest.mark.parametrize(
    ("trouble", "error", "said"),
    [
        (
            OSError(errno.EACCES, "Permission denied", "/mirrors"),
            InputError,
            r"^source mirrors: PermissionError: .*/mirrors.*; let",
        ),
        (
            OSError(errno.EIO, "Input/output error", "/mirrors"),
            MachineError,
            r"^source mirrors: OSError: .*/mirrors.*; this is trouble",
        ),
        (NotThere("/mirrors: no list of mirrors; fetch it"), NotThere, r"^/mirrors: no list of mirrors; fetch it$"),
    ],
)
def test_a_plan_that_fails_names_the_place_and_the_fix(
    tmp_path: Path, trouble: Exception, error: type[Exception], said: str
) -> None:
    options = Recipe(str(tmp_path / "w"), {"mirrors": Given(found=trouble)})  # type: ignore[arg-type]
    with pytest.raises(error, match=said):
        ingest.plan(options)


def test_a_new_source_runs_to_its_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "SOURCES", (*recipes.SOURCES, Tars))
    for name in ("one", "two"):
        (tmp_path / f"dump/{name}/issues").mkdir(parents=True)
        (tmp_path / f"dump/{name}/LICENSE").write_text("MIT License\n")
        code = "".join(f"def {name}_{i}(width, height):\n    return width * height + {i}\n\n\n" for i in range(20))
        (tmp_path / f"dump/{name}/a.py").write_text(code)
    (tmp_path / "dump/two/issues/1").write_text("title and what a person says")
    archived(tmp_path / "dump", monkeypatch)

    def starmill(command: str, include: str) -> tuple[Path, list[dict]]:
        work = tmp_path / command
        (tmp_path / "recipe.yaml").write_text(
            f"workspace: {work}\nsources: {{archives: {{kind: tars, folder: {tmp_path / 'tars'}, include: [{include}]}}}}\n"
            "tokenizer: {vocab_size: 300, sample_bytes: 10000}\n"
        )
        assert cli.main([command, str(tmp_path / "recipe.yaml"), "--workers", "1", "--quiet"]) == 0
        return work, pq.read_table(work / "records/part-00000.parquet").to_pylist()

    work, rows = starmill("run", "o*")
    assert {(r["kind"], r["repo_name"], r["branch_name"]) for r in rows} == {("code", "one", "toy")}
    assert "one" in pq.read_table(work / "shards/part-00000.docs.parquet").column("repo_name").to_pylist()
    [issue] = [r for r in starmill("ingest", "t*")[1] if r["kind"] == "issue"]
    assert issue["path"] == "/issues/1" and issue["segments"] == segments(len("title and what a person says"))
