"""Repositories made by git itself or of raw objects, and how the source reads them."""

import functools
import os
from pathlib import Path

import pytest
import small_tree

from starmill.pipelines.sources.git import snapshots as source
from starmill.pipelines.sources.source import Entry, Limits, Snapshot, label

LIMIT = 1 << 20


# Two dates that differ, one of them in a zone.
git = functools.partial(small_tree.git, dates=("2020-01-01T00:00:00+02:00", "2021-02-03T04:05:06Z"))


commit = functools.partial(small_tree.commit, message="a commit", run=git)


def nest(folder: Path, depth: int) -> None:
    """Make so many folders, each inside the one before, however long their path gets."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def versions(n: int) -> bytes:
    """A file of 400 lines of which version n changes one: git stores it as a delta."""
    return b"".join(b"line %d of the file, version %d\n" % (i, n if i == n else 0) for i in range(400))


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    folder = commit(
        tmp_path / "in/r", {"main.c": versions(0), "lib/a.h": b"#define A\n", "lib.c": b"", "é/日本.py": b"x = 1\n"}
    )
    for n in range(1, 12):
        commit(folder, {"main.c": versions(n), f"copy{n}.c": versions(n)})
    (folder / "run.sh").write_bytes(b"#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("/etc/passwd")
    os.symlink(b"main.c", os.path.join(os.fsencode(folder), b"latin\xe9"))
    Path(os.fsdecode(os.path.join(os.fsencode(folder), b"odd\xff.c"))).write_bytes(b"int x;\n")
    commit(folder, {"last.txt": b"the end\n"})
    git(folder, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor/sub")
    git(folder, "commit", "-q", "-m", "a submodule")
    return folder


def read(folder: Path, root: Path | None = None, **limits: int) -> tuple[Snapshot, list[Entry]]:
    snapshot, entries = source.read(folder, root or folder.parent, Limits(**{"max_file_bytes": LIMIT} | limits))
    return snapshot, list(entries)


def told(entries: list[Entry]) -> dict[str, str | None]:
    shown = ((*label(e.path), e.reason) for e in entries)
    return {path: reason or hostile for path, hostile, reason in shown}


def fingerprint(folder: Path) -> str:
    return source.look(folder, folder.parent)[1]


def listed(folder: Path) -> dict[bytes, tuple[str, str]]:
    """Git's own account: path -> (mode, id)."""
    rows = os.fsencode(git(folder, "ls-tree", "-r", "-z", "HEAD")).split(b"\0")[:-1]
    return {row.split(b"\t", 1)[1]: (row[:6].decode(), row.split(b"\t")[0][-40:].decode()) for row in rows}


def by_hand(folder: Path, root_tree: str) -> Path:
    """Point HEAD at a tree that git's own commands would not have made."""
    made = git(folder, "commit-tree", root_tree, "-m", "by hand").strip()
    git(folder, "update-ref", "HEAD", made)
    return folder


def raw_tree(folder: Path, entries: list[tuple[bytes, bytes, str]]) -> str:
    data = b"".join(mode + b" " + name + b"\0" + bytes.fromhex(hex_id) for mode, name, hex_id in entries)
    return git(folder, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", given=data).strip()
