"""Folders of checkouts, bare repositories and plain trees: what a person points `--input` at.

A git repository anywhere below a root is one repository, read from its object store. A child of a root without any is a plain one,
read from the disk: links are never followed, and only regular files are opened.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from starmill.pipelines.sources import git
from starmill.pipelines.sources.repository import Entry, Repository, Snapshot, label


def plan(roots: Sequence[str]) -> list[Repository]:
    """Return every repository below the roots, sorted by its unique name: the path below its root.

    Raises FileNotFoundError for a root that is no folder.
    """
    found: dict[str, Repository] = {}
    for root in map(Path, roots):
        if not root.is_dir():
            raise FileNotFoundError(f"{root}: no such folder of repositories")
        for repository in _discover(root.resolve()):
            name, n = repository.name, 2
            while name in found:  # two roots may hold repositories of one name
                name, n = f"{repository.name}~{n}", n + 1
            found[name] = Repository(**{**vars(repository), "name": name})
    return sorted(found.values(), key=lambda r: r.name)


def read(repository: Repository, max_file_bytes: int) -> tuple[Snapshot, Iterator[Entry]]:
    """Return a plain folder's files in the order of their paths."""
    return Snapshot(), _entries(repository, max_file_bytes)


def read_file(shown: str, path: bytes, max_file_bytes: int) -> Entry:
    """Return the entry of one path on the disk, with a reason where it is not a readable regular file of allowed size."""
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            return Entry(shown, None, 0, "symlink", os.readlink(path).decode("utf-8", "backslashreplace"))
        if not stat.S_ISREG(info.st_mode):
            return Entry(shown, None, 0, "not_a_regular_file")
        if info.st_size >= max_file_bytes:
            return Entry(shown, None, info.st_size, "too_large")
        with open(path, "rb") as file:
            data = file.read(max_file_bytes)
        return Entry(shown, data, len(data))
    except FileNotFoundError:
        return Entry(shown, None, 0, "missing_file")
    except OSError as error:
        return Entry(shown, None, 0, "unreadable", errno.errorcode.get(error.errno or 0, "unknown"))


def _discover(root: Path) -> Iterator[Repository]:
    if git.is_repository(root):
        yield git.plan(root, root.name, root)
        return
    loose = False
    for child in sorted(root.iterdir()):
        if child.is_symlink() or not child.is_dir():
            loose = True
            continue
        repositories = list(_repositories(child))
        for folder in repositories:
            yield git.plan(folder, folder.relative_to(root).as_posix(), root)
        if not repositories:
            yield _plain(child, child.name)
    if loose:
        yield _plain(root, root.name, "loose")


def _repositories(folder: Path) -> Iterator[Path]:
    if git.is_repository(folder):
        yield folder
        return
    try:
        children = sorted(c for c in folder.iterdir() if c.is_dir() and not c.is_symlink())
    except OSError:
        return
    for child in children:
        yield from _repositories(child)


def _plain(folder: Path, name: str, detail: str = "") -> Repository:
    shown = label(os.fsencode(name))[0].lstrip("/")
    facts, total = hashlib.sha256(), 0
    for path, unreadable in _paths(os.fsencode(folder), detail == "loose"):
        info = None if unreadable else os.lstat(os.path.join(os.fsencode(folder), path))
        facts.update(repr((path, info and (info.st_size, info.st_mtime_ns))).encode())
        total += info.st_size if info and stat.S_ISREG(info.st_mode) else 0
    return Repository("folder", shown, str(folder), total, facts.hexdigest(), detail)


def _paths(folder: bytes, loose: bool) -> list[tuple[bytes, str | None]]:
    # Paths below `folder`, sorted; a folder that cannot be listed is a path with the error's name.
    found: list[tuple[bytes, str | None]] = []
    stack = [b""]
    while stack:
        prefix = stack.pop()
        try:
            with os.scandir(os.path.join(folder, prefix)) as entries:
                for entry in entries:
                    path = os.path.join(prefix, entry.name)
                    if not entry.is_dir(follow_symlinks=False):
                        found.append((path, None))
                    elif not loose:
                        stack.append(path)
        except OSError as error:
            found.append((prefix, errno.errorcode.get(error.errno or 0, "unknown")))
    return sorted(found)


def _entries(repository: Repository, max_file_bytes: int) -> Iterator[Entry]:
    folder = os.fsencode(repository.location)
    for path, unreadable in _paths(folder, repository.detail == "loose"):
        shown, hostile = label(path)
        if unreadable:
            yield Entry(shown, None, 0, "unreadable", unreadable)
        elif hostile:
            yield Entry(shown, None, 0, hostile)
        else:
            yield read_file(shown, os.path.join(folder, path), max_file_bytes)
