"""The contract of a source, held by every one of SOURCES, and by a toy one that runs from a recipe to its shards.

The toy is what a new source is: one module, its row in the table. Recipes, runs, keys, views and the command are not told.
"""

import errno
import os
import shutil
import sys
import sysconfig
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow.parquet as pq
import pytest
from dulwich import porcelain

from starmill.cli import __main__ as cli
from starmill.core.dataset import Sidecar, Workspace
from starmill.core.errors import InputError, MachineError, one_line
from starmill.pipelines import sources
from starmill.pipelines.recipe import Recipe
from starmill.pipelines.sources.folders import Folders
from starmill.pipelines.sources.packages import Packages
from starmill.pipelines.sources.source import Entry, Options, Repository, Snapshot, Source, label, state_of
from starmill.pipelines.stages import ingest
from starmill.transforms.beam import PartRef

LIMIT = 100_000
# What one tree holds: the reason why a file is not read, or None.
TREE = {"/a.py": None, "/empty": None, "/big.bin": "too_large", "/link": "symlink", "/sub/b.txt": None}


@dataclass(frozen=True, kw_only=True)
class Tars(Options):
    """Tar archives, each a repository: the toy. What an archive says of its issue 1 is a record of another kind."""

    kind: Literal["tars"] = "tars"
    folder: str
    gives: ClassVar[tuple[str, ...]] = ("code", "issue")
    reads_this_machine: ClassVar[bool] = True

    def plan(self) -> list[Repository]:
        found = [(p, *state_of(p)) for p in sorted(Path(self.folder).iterdir())]
        return [Repository(p.stem, {"file": str(p)}, size, repr(state)) for p, state, size in found]

    def read(self, repository: Repository, max_file_bytes: int) -> tuple[Snapshot, Iterator[Entry]]:
        return Snapshot(branch_name="toy"), self._entries(repository.place["file"], max_file_bytes)

    def _entries(self, file: str, max_file_bytes: int) -> Iterator[Entry]:
        try:
            with tarfile.open(file, errors="surrogateescape") as archive:
                for member in sorted(archive.getmembers(), key=lambda m: os.fsencode(m.name)):
                    path, size = os.fsencode(member.name), member.size
                    if member.issym():
                        yield Entry(path, None, "symlink", member.linkname)
                    elif member.isfile() and size >= max_file_bytes:
                        yield Entry(path, None, "too_large", size=size)
                    elif member.isfile():
                        opened = archive.extractfile(member)
                        assert opened is not None
                        issue = {"kind": "issue", "segments": segments(size)} if path == b"issues/1" else {}
                        yield Entry(path, opened.read(), **issue)  # type: ignore[arg-type]
        except (tarfile.TarError, OSError) as error:
            yield Entry(b"", None, "unreadable_archive", one_line(error))


def segments(end: int) -> list[dict]:
    return [{"role": "title", "name": "username_0", "start": 0, "end": 5}, {"role": "comment", "name": None, "start": 5, "end": end}]


def tree(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "a.py").write_text("x = 1\n")
    (folder / "sub/b.txt").write_bytes(b"\xff\xfe\x00 not text")
    (folder / "empty").touch()
    (folder / "big.bin").write_bytes(b"b" * LIMIT)
    (folder / "link").symlink_to("/etc/passwd")
    return folder


def plain(place: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    if not place.exists():
        tree(place / "toy")
    return Folders(roots=(str(place),))


def committed(place: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.setenv("HOME", str(place))
    made = porcelain.init(str(tree(place / "toy"))) if not place.exists() else porcelain.open_repo(str(place / "toy"))
    made.get_worktree().stage([name[1:] for name in TREE])  # what is not committed is not read
    made.get_worktree().commit(b"a commit", committer=b"a <a@b.c>", author=b"a <a@b.c>")
    made.close()
    return Folders(roots=(str(place),))


def installed(place: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    metadata = place / "toy/toy-1.dist-info"
    if not place.exists():
        tree(place / "toy")
        metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy\nVersion: 1\n")
    (metadata / "RECORD").write_text("".join(f"{name[1:]},,\n" for name in TREE))
    monkeypatch.setattr(sys, "path", [str(place / "toy"), sysconfig.get_path("stdlib")])
    return Packages()


def archived(place: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    if not place.exists():
        tree(place.parent / "toy")
        place.mkdir()
    elif (place / "toy").exists():  # what the test has changed
        shutil.move(place / "toy/a.py", place.parent / "toy/a.py")
        (place / "toy").rmdir()
    with tarfile.open(place / "toy.tar", "w") as archive:
        archive.add(place.parent / "toy", ".", filter=lambda m: m.replace(name=m.name.removeprefix("./")))
    return Tars(folder=str(place))
