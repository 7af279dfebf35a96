"""The contract of a source under attack: whatever lies in its input, files in = rows out, by a count that is not ours.

Each source gets a hostile place of its own, made from one tree; `os.walk`, `git ls-tree`, a RECORD and `tarfile` count what is in it.
"""

import csv
import functools
import gzip
import hashlib
import io
import json
import os
import random
import re
import stat
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import exports
import prose_dumps
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toolchains
from datasets_made import finished
from histories import one_by_one
from tars import Tars

from starmill.core.dataset import Sidecar, Workspace
from starmill.pipelines import recipe as recipes
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.sources.archives.reader import Archives
from starmill.pipelines.sources.arxiv import Arxiv
from starmill.pipelines.sources.documentation.reader import Documentation
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.functions.reader import Functions
from starmill.pipelines.sources.gharchive.reader import GHArchive
from starmill.pipelines.sources.git.commits import Commits
from starmill.pipelines.sources.ir import compilers as ir_compilers
from starmill.pipelines.sources.ir import reader as ir
from starmill.pipelines.sources.ir.reader import Programs
from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.sources.sets.reader import Sets
from starmill.pipelines.sources.source import Source
from starmill.pipelines.sources.stackexchange.reader import StackExchange
from starmill.pipelines.sources.swh.commits import SoftwareHeritageCommits
from starmill.pipelines.sources.swh.reader import SoftwareHeritage
from starmill.pipelines.sources.tables.reader import Tables
from starmill.pipelines.sources.wikipedia.reader import Wikipedia
from starmill.pipelines.stages import ingest
from starmill.pipelines.stages.ingest import Ingest

NAMES = (
    b"good.py",
    b"empty",
    b"latin\xe9.py",
    b"surrogate\xed\xa0\x80.py",
    b"line\nbreak.py",
    b"return\r.py",
    b"escape\x1b[31m.py",
    "turned\u202eyp.py".encode(),
    "separator\u2028\x1c.py".encode(),
    b'comma, "quote".py',
    b" spaces ",
    b"n" * 255,
    b"d/" * 300 + b"deep.py",
    b"/".join([b"m" * 200] * 18) + b"/long.py",  # 3.6 kB, near what a path may have
    b"hollow/.git",
    b"looks/HEAD",
    b"looks/objects/x.py",
    b"looks/refs/y.py",
)


def walked(folder: Path) -> set[bytes]:
    """Return the paths of everything below a folder that is no folder, links to folders included."""
    found, top = set(), os.fsencode(folder)
    for base, folders, files in os.walk(top):
        links = [name for name in folders if os.path.islink(os.path.join(base, name))]
        found |= {os.path.relpath(os.path.join(base, name), top) for name in (*files, *links)}
    return found


def fill(folder: Path) -> None:
    """Make the tree."""
    for name in NAMES:
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"" if b"empty" in name or b".git" in name else b"x = 1\n")
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "outside").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    if not os.geteuid():
        os.mknod(folder / "device", 0o20666, os.makedev(1, 5))  # /dev/zero
    (folder / "closed.py").write_text("x = 1\n")
    (folder / "closed.py").chmod(0)
    with open(folder / "sparse", "wb") as file:
        file.truncate(10 << 30)


Place = tuple[Source, set[bytes]]


def plain(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Folders(roots=(str(root),)), walked(root / "toy")


def in_git(root: Path) -> set[bytes]:
    """Commit the tree, and return what git has of it then."""
    who = {f"GIT_{r}_{w}": "a@b.c" for r in ("AUTHOR", "COMMITTER") for w in ("NAME", "EMAIL")}
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", **who}
    (root / "toy/sparse").unlink(missing_ok=True)  # 10 GB to git
    git = ["git", "-C", str(root / "toy"), "-c", "core.protectHFS=false"]
    for command in (("init", "-q"), ("add", "-A", "--ignore-errors"), ("commit", "-qm", "x", "--allow-empty")):
        subprocess.run([*git, *command], env=clean, capture_output=True)
    listed = subprocess.run([*git, "ls-tree", "-r", "-z", "--name-only", "HEAD"], env=clean, capture_output=True, check=True)
    return {*listed.stdout.split(b"\0")[:-1]}


def committed(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    held = in_git(root)
    beside = {path for path in walked(root / "toy") if not path.startswith(b".git/")}  # what git would not add
    return Folders(roots=(str(root),)), held | beside


def installed(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    metadata = root / "toy/toy-1.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (metadata / "RECORD").touch()
    rows = io.StringIO(newline="")
    csv.writer(rows).writerows((os.fsdecode(path), "", "") for path in sorted(walked(root / "toy")))
    (metadata / "RECORD").write_bytes(rows.getvalue().encode("utf-8", "surrogateescape"))
    monkeypatch.setattr(sys, "path", [str(root / "toy"), sysconfig.get_path("stdlib")])
    return Packages(include=("pypi/toy",)), walked(root / "toy")


def archived(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (root / "toy/sparse").unlink(missing_ok=True)  # 10 GB to tarfile
    (root.parent / "tars").mkdir(exist_ok=True)
    place = root.parent / "tars/toy.tar"
    with tarfile.open(place, "w") as archive:
        for path in sorted(walked(root / "toy")):
            archive.add(os.path.join(root / "toy", os.fsdecode(path)), os.fsdecode(path), recursive=False)
    with tarfile.open(place, errors="surrogateescape") as archive:
        return Tars(folder=str(place.parent)), {os.fsencode(member.name) for member in archive if not member.isdir()}


def exported(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    wanted = in_git(root)
    return SoftwareHeritage(**exports.exported(root / "toy")), wanted


def tabled(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (root / "toy/sparse").unlink(missing_ok=True)  # 10 GB of memory
    (root.parent / "tables").mkdir(exist_ok=True)
    paths = sorted(walked(root / "toy"))
    files = [Path(os.fsdecode(os.path.join(os.fsencode(root / "toy"), path))) for path in paths]
    contents = [file.read_bytes() if file.is_file() and not file.is_symlink() else None for file in files]
    table = pa.table({"path": pa.array(paths, pa.binary()), "content": pa.array(contents, pa.binary())})
    pq.write_table(table, root.parent / "tables/toy.parquet")
    return Tables(place=str(root.parent / "tables")), {*paths}


def stored(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A table of ids; what is no regular file has none."""
    (root / "toy/sparse").unlink(missing_ok=True)
    for name in ("table", "content"):
        (root.parent / "ids" / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for path in sorted(walked(root / "toy")):
        file = Path(os.fsdecode(os.path.join(os.fsencode(root / "toy"), path)))
        data = file.read_bytes() if file.is_file() and not file.is_symlink() else None
        own = data is not None and hashlib.sha1(data).hexdigest()
        rows.append((path, own or None))
        if data is not None:
            (root.parent / f"ids/content/{own}").write_bytes(gzip.compress(data, mtime=0))
    paths, ids = [path for path, _ in rows], pa.array([own for _, own in rows], pa.string())
    pq.write_table(pa.table({"path": pa.array(paths, pa.binary()), "blob_id": ids}), root.parent / "ids/table/toy.parquet")
    return Tables(place=str(root.parent / "ids/table"), contents=str(root.parent / "ids/content")), {*paths}


def happened(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Each file is an issue, whose title is the name; what is no regular file is one without a title."""
    (root.parent / "hours").mkdir(exist_ok=True)
    names = sorted(walked(root / "toy"))
    with gzip.open(root.parent / "hours/2015-01-01-0.json.gz", "wt") as hour:
        for number, name in enumerate(names, 1):
            path = Path(root / "toy", os.fsdecode(name))
            regular = path.is_file() and not path.is_symlink() and path.stat().st_size < 10 << 20
            stated = {"title": name.decode("latin-1"), "body": path.read_text() if regular else None}
            issue = {"number": number, **(stated if regular else {})}
            event = {"id": str(number), "type": "IssuesEvent", "actor": {"login": "ann"}, "created_at": "2015-01-01T00:00:06Z"}
            event |= {"repo": {"id": 7, "name": "me/toy"}, "payload": {"action": "opened", "issue": issue}}
            hour.write(json.dumps(event) + "\n")
    source = GHArchive(hours=str(root.parent / "hours"), index=str(root.parent / "index/events.db"))
    return source, {b"issues/%d" % number for number, _ in enumerate(names, 1)}


def tarred(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (root / "toy/sparse").unlink(missing_ok=True)  # 10 GB to tar
    (root.parent / "tgz").mkdir(exist_ok=True)
    place = root.parent / "tgz/toy.tar.gz"
    subprocess.run(["tar", "-C", root / "toy", "-czf", place, "."], capture_output=True)
    listed = subprocess.run(["tar", "-tf", place, "--quoting-style=literal"], capture_output=True, check=True).stdout
    names = [name for name in listed.replace(b"line\nbreak", b"line break").split(b"\n") if name and not name.endswith(b"/")]
    return Archives(folder=str(place.parent)), {*names}


def zipped(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    (root / "toy/sparse").unlink(missing_ok=True)
    (root.parent / "zips").mkdir(exist_ok=True)
    place = root.parent / "zips/toy.zip"
    with zipfile.ZipFile(place, "w") as archive:
        for path in sorted(walked(root / "toy")):
            file = os.path.join(os.fsencode(root / "toy"), path)
            made, mode = zipfile.ZipInfo(path.decode("cp437")), os.lstat(file).st_mode
            made.create_system, made.external_attr = 3, mode << 16
            archive.writestr(made, Path(os.fsdecode(file)).read_bytes() if stat.S_ISREG(mode) else b"")
    with zipfile.ZipFile(place) as archive:
        return Archives(folder=str(place.parent)), {name.encode() for name in archive.namelist()}


RUN = functools.cache(ir._run)  # many tests compile the same programs


def compiled(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Each file of Python is a comment of a program; without a compiler, it is no program."""
    monkeypatch.setattr(ir, "_run", RUN)
    names: tuple[ir_compilers.CompilerName, ...] = toolchains.here()[:1] or ("clang",)
    if not toolchains.here():
        monkeypatch.setattr(ir_compilers, "found", lambda names: {})
    extension, main = ("rs", "fn main() {}") if "rustc" in names else ("c", "int main(void) { return 0; }")
    for path in [Path(root, "toy", os.fsdecode(path)) for path in walked(root / "toy") if re.match(rb"[abc]/\d\.py", path)]:
        path.with_suffix(f".{extension}").write_text(f"//{path.read_text()}{main}\n")
        path.unlink()
    return Programs(folder=str(root), compilers=names, max_ir_ratio=1000, sandbox=toolchains.isolation()), walked(root / "toy")


def changed(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Each file that git would have of the tree is added by a commit of its own."""
    (root / "toy/sparse").unlink(missing_ok=True)  # 10 GB to git
    return Commits(roots=(str(root),)), {f"commit/{own}".encode() for own in one_by_one(root / "toy")}


def archived_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    _, wanted = changed(root, monkeypatch)
    return SoftwareHeritageCommits(**exports.exported(root / "toy")), wanted


def documented(root: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Each file is a page of documentation, and each that the hostile tree has a file of code beside it."""
    (root / "toy/sparse").unlink(missing_ok=True)  # 10 GB to tarfile
    (root.parent / "docs").mkdir(exist_ok=True)
    place = root.parent / "docs/toy.tar"
    with tarfile.open(place, "w") as archive:
        for path in sorted(walked(root / "toy")):
            archive.add(os.path.join(root / "toy", os.fsdecode(path)), f"toy-1/docs/{os.fsdecode(path)}.md", recursive=False)
            if os.path.lexists(root / "toy/pipe"):
                archive.add(os.path.join(root / "toy", os.fsdecode(path)), f"toy-1/src/{os.fsdecode(path)}", recursive=False)
    with tarfile.open(place, errors="surrogateescape") as archive:
        return Documentation(folder=str(place.parent)), {os.fsencode(member.name) for member in archive if not member.isdir()}


PROSE = prose_dumps.makers(slice(None, None, 2))
FILES = (plain, committed, installed, archived, exported, tabled, stored, tarred, zipped)
PLACES = (*FILES, happened, changed, archived_changes, compiled, documented, finished, *PROSE)
INDEXED = (GHArchive, StackExchange)  # what they read lies in an index
# No path of theirs is that of a file.
NUMBERED = (*INDEXED, Wikipedia, Arxiv, Commits, SoftwareHeritageCommits, Sets, Functions)
Make = Callable[[], Place]


@pytest.fixture(params=PLACES, ids=lambda place: place.__name__)
def make(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    (tmp_path / "dump/toy").mkdir(parents=True)
    if request.param is compiled:
        toolchains.compilers()
    return lambda: request.param(tmp_path / "dump", monkeypatch)


def few(folder: Path) -> None:
    """Make twelve files of a kilobyte that no compression makes smaller than 500 bytes."""
    for name in (f"{folder}/{a}/{b}.py" for a in "abc" for b in range(4)):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("# " + random.Random(name[-6:]).randbytes(500).hex() + "\n")


def milled(source: Source, work: Path, between: Callable[[], object] = lambda: None, **options: int) -> list[dict]:
    """Return the rows of the repository toy and of what lies in it, kept or not."""
    recipe = Recipe(str(work), {"input": source}, Ingest(**options))
    workspace = Workspace(recipe.workspace)
    part = ingest.IngestPart(workspace, recipe.sources, recipe.ingest)
    refs = part.publish(ingest.STAGE.parts(recipe, workspace, ()))
    between()
    return [row for row in rows_of(workspace, map(part, refs)) if "toy" in row["repo_name"].split("/")]


def rows_of(workspace: Workspace, sidecars: Iterable[Sidecar]) -> list[dict]:
    paths = (o.path for s in sidecars for o in s.outputs if o.path.endswith(".parquet"))
    return [row for path in paths for row in workspace.table(path).to_pylist()]


def counted(rows: list[dict]) -> int:
    """Return how many files the rows are, those that count several by what they say."""
    said = [re.search(r"([\d,]+) (?:files|commits)", row.get("detail") or "") for row in rows if row["path"] == "/"]
    return sum(row["path"] != "/" for row in rows) + sum(int(n[1].replace(",", "")) for n in said if n)


def test_every_source_is_held_to_this(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = set()
    for place in PLACES:
        (tmp_path / place.__name__ / "toy").mkdir(parents=True)
        made.add(type(place(tmp_path / place.__name__, monkeypatch)[0]))
    assert made == {*recipes.SOURCES, Tars}, "say in PLACES how a tree becomes its input"


def test_files_in_are_rows_out(make: Make, tmp_path: Path) -> None:
    fill(tmp_path / "dump/toy")
    source, wanted = make()
    rows = milled(source, tmp_path / "w")
    assert counted(rows) == len(wanted) > 18 and len({(row["repo_name"], row["path"]) for row in rows}) == len(rows)
    assert all(row["path"].isprintable() and row["path"].encode() for row in rows)
    reasons = {row["path"]: row.get("reason") for row in rows}
    if isinstance(source, Documentation):
        assert reasons["/docs/out.md"] == "symlink" and reasons["/"] == "not_documentation"
    elif not isinstance(source, NUMBERED):
        assert reasons["/out"] == ("no_content" if isinstance(source, Tables) else "symlink")
    assert reasons.get("/sparse", "too_large") == "too_large"
    assert not any("root:" in row.get("content", "") for row in rows), "nothing outside is read"


@pytest.mark.parametrize("limit", [{"max_files": 5}, {"max_names_bytes": 60}, {"max_inflated_bytes": 6000}])
def test_what_lies_beyond_a_limit_is_counted(make: Make, tmp_path: Path, limit: dict[str, int]) -> None:
    few(tmp_path / "dump/toy")
    source, wanted = make()
    if isinstance(source, Commits | SoftwareHeritageCommits) and "max_inflated_bytes" in limit:
        limit = {"max_inflated_bytes": 12_000}  # with the commits and trees, which are read first
    rows = milled(source, tmp_path / "w", **limit)
    assert counted(rows) == len(wanted) and 0 < sum("content" in row for row in rows) < len(wanted)
    assert {row["reason"] for row in rows if "reason" in row} <= {"too_many_files", "too_many_bytes", "inflates_too_far"}


@pytest.mark.parametrize("limit", ["max_part_bytes", "max_part_content_bytes"])
def test_a_part_is_closed_when_it_is_full(make: Make, tmp_path: Path, limit: str) -> None:
    few(tmp_path / "dump/toy")
    source, wanted = make()
    rows = milled(source, tmp_path / "w", **{limit: 3000, "block_bytes": 1000})
    assert counted(rows) == len(wanted) == len(rows) and "part_is_full" in {row.get("reason") for row in rows}


@pytest.mark.parametrize("reason", ["excluded", "not_included", "max_repositories", "repository_too_large"])
def test_a_repository_that_is_left_out_is_a_row_that_counts_its_files(make: Make, tmp_path: Path, reason: str) -> None:
    few(tmp_path / "dump/toy")
    source, wanted = make()
    options = {
        "excluded": {"exclude": ("*toy",)},
        "not_included": {"include": ("other",)},
        "max_repositories": {"max_repositories": 0},
    }
    left_out = replace(source, **options.get(reason, {}))  # type: ignore[type-var]
    recipe = Recipe(str(tmp_path / "w"), {"input": left_out, "other": Folders(roots=(str(sound(tmp_path)),))})
    if reason == "repository_too_large":
        recipe = replace(recipe, ingest=Ingest(max_repository_bytes=1))
    workspace = Workspace(recipe.workspace)
    part = ingest.IngestPart(workspace, recipe.sources, recipe.ingest)
    sidecars = [part(ref) for ref in part.publish(ingest.STAGE.parts(recipe, workspace, ()))]
    rows = rows_of(workspace, sidecars)
    [row] = [row for row in rows if row["repo_name"].endswith("toy")]
    assert (row["path"], row["reason"]) == ("/", reason) and counted([row]) == len(wanted)
    assert row["length_bytes"] > 0 and "lists them" in row["detail"] and row["detail"].isprintable()


def sound(tmp_path: Path) -> Path:
    (tmp_path / "sound/other").mkdir(parents=True)
    (tmp_path / "sound/other/a.py").write_text("x = 1\n")
    return tmp_path / "sound"


def test_a_file_that_changes_between_plan_and_read_is_told(make: Make, tmp_path: Path) -> None:
    few(tmp_path / "dump/toy")
    source, _ = make()

    def change() -> None:
        (tmp_path / "dump/toy/a/0.py").write_text("y = 2\n")
        make()

    rows = milled(source, tmp_path / "w", change)
    told = [row["path"] for row in rows if row.get("reason") == "error:ingest:Changed"]
    if isinstance(source, INDEXED):  # what was planned lies in an index, and that is what is read
        assert not told and not any("y = 2" in row.get("content", "") for row in rows)
    else:
        assert told == ["/"]
