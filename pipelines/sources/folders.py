"""Folders of checkouts, bare repositories and plain trees: what a person points `--input` at.

A git repository anywhere below a root is one repository, read from its object store. What a child of a root holds beside them is
a plain one, read from the disk: links are never followed, and only regular files are opened.
"""

import hashlib
import heapq
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple

from starmill.core.errors import of_a_file
from starmill.pipelines.sources import git
from starmill.pipelines.sources.source import (
    COUNTED,
    Counted,
    Entry,
    Limits,
    Options,
    Repository,
    Snapshot,
    Tally,
    label,
    read_file,
    state_of,
)

FIND = "find . ! -type d"
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Met(NamedTuple):
    """One path below a root, in bytes: a git repository, or a file; `code` is the error of a folder that cannot be listed."""

    path: bytes
    is_git: bool = False
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Folders(Options):
    """Folders of checkouts, bare repositories and plain trees. A repository's name is its path below its root."""

    kind: Literal["folders"] = "folders"  # always given
    roots: tuple[str, ...]  # of checkouts, bare repositories or plain trees
    reads_this_machine: ClassVar[bool] = True

    def places(self) -> tuple[str, ...]:
        """Return the roots."""
        return self.roots

    def plan(self) -> list[Repository]:
        """Return every repository below the roots; of equal names all but the first get a number. Raises OSError for a root."""
        found: dict[str, Repository] = {}
        for repository in (r for root in self.roots for r in _discover(Path(root).resolve())):
            name, n = repository.name, 2
            while name in found:
                name, n = f"{repository.name}~{n}", n + 1
            found[name] = replace(repository, name=name)
        return sorted(found.values(), key=lambda r: r.name)

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return a commit's files, or a plain tree's."""
        root, path = repository.place["root"], repository.place["path"]
        if repository.place["form"] == "git":
            snapshot, entries = git.read(Path(root, path), Path(root), limits)
            if n := repository.place.get("unread"):
                said = f"; {n} in its folder are not read: find . -name .git -prune -o ! -type d -print lists them"
                entries = (replace(entry, detail=f"{entry.detail}{said}") for entry in entries)
            return snapshot, entries
        return Snapshot(), _entries(os.fsencode(root), os.fsencode(path), limits)

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many files a commit or a plain tree has."""
        root, path = repository.place["root"], repository.place["path"]
        if repository.place["form"] == "git":
            return git.count(Path(root, path), Path(root), limits)
        return _count(os.fsencode(root), _walk(os.fsencode(root), os.fsencode(path), loose=not path), limits)

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the repository has now: it differs from the plan's once anything was changed since, and put back."""
        root, path = Path(repository.place["root"]), os.fsencode(repository.place["path"])
        if repository.place["form"] == "git":
            return _checkout(root, path).fingerprint
        found = _survey(root, path, loose=not path)[1]
        return found.fingerprint if found else ""


def _discover(root: Path) -> Iterator[Repository]:
    with os.scandir(root) as found:
        children = sorted(os.fsencode(e.name) for e in found if e.is_dir(follow_symlinks=False))
    own, loose = _survey(root, b"", loose=True)
    for child in [b""] if own else children:
        checkouts, plain = _survey(root, child)
        yield from (_checkout(root, path) for path in checkouts)
        if plain:
            yield plain
    if loose:
        yield loose


def _checkout(root: Path, path: bytes) -> Repository:
    size, fingerprint, state = git.look(root / os.fsdecode(path), root)
    found = _repository(root, path, "git", size, fingerprint, state)
    if state:
        return found
    # It has no HEAD that leads to a commit, and so it is one row, which counts the files that have none.
    unread = _count(os.fsencode(root), _walk(os.fsencode(root), path, own=True), Limits()).number
    return replace(found, place={**found.place, "unread": unread}, fingerprint=f"{fingerprint} {unread}")


def _repository(root: Path, path: bytes, form: str, size: int, fingerprint: str, state: str = "") -> Repository:
    name = label(path or os.fsencode(root.name))[0][1:] or "root"
    return Repository(name, {"root": str(root), "path": os.fsdecode(path), "form": form}, size, fingerprint, state)


def _survey(root: Path, child: bytes, loose: bool = False) -> tuple[list[bytes], Repository | None]:
    """Return the git repositories at or below root/child, sorted, and the plain one of all files outside of them, if any."""
    # A sum does not depend on the order of the disk, so that no list of all files is held.
    repositories, facts, total, files = [], 0, 0, 0
    for met in _walk(os.fsencode(root), child, loose):
        if met.is_git:
            repositories.append(met.path)
            continue
        state, size = state_of(os.path.join(os.fsencode(root), met.path))
        facts += int.from_bytes(hashlib.sha256(repr((met.path, met.code, state)).encode()).digest())
        files, total = files + 1, total + size
    # An empty child stands for the loose files of the root itself.
    plain = _repository(root, child, "plain", total, f"{facts % (1 << 256):064x}") if files else None
    return sorted(repositories), plain


def _walk(root: bytes, child: bytes, loose: bool = False, own: bool = False, most: int = 0) -> Iterator[Met]:
    """Yield the git repositories at or below root/child, and all files outside of them; paths below `root`.

    Below a checkout only other checkouts count, as submodules are: what looks like a bare repository there is its content. `loose`: do
    not descend. `own`: yield the files of the repository at `child` too, but for git's own. `most`: only so many of a folder, the
    first by name, and in an order that does not depend on the disk.
    """
    stack: list[tuple[bytes, bytes | None]] = [(child, None)]  # folders, each with the repository that it is in
    bare = own and not _is_checkout(root, child)
    while stack:
        folder, within = stack.pop()
        checkout = not bare and _is_checkout(root, folder)
        if checkout or (within is None and not bare and _is_bare(os.path.join(root, folder))):
            yield Met(folder, is_git=True)
            within = folder
            if not checkout:
                continue
        try:
            with os.scandir(os.path.join(root, folder)) as found:
                names = ((e.name, e.is_dir(follow_symlinks=False)) for e in found)
                for name, is_folder in heapq.nsmallest(most, names) if most else names:
                    path = os.path.join(folder, name)
                    if checkout and name == b".git":
                        continue
                    if not is_folder and (within is None or (own and within == child)):
                        yield Met(path)
                    elif is_folder and not loose:
                        stack.append((path, within))
        except OSError as error:
            code = of_a_file(error, os.path.join(root, folder))
            if within is None or (own and within == child):
                yield Met(folder, code=code)


def _is_checkout(root: bytes, folder: bytes) -> bool:
    own = os.path.join(root, folder, b".git")
    mode = _mode(own)
    return bool(mode) and git.is_checkout(Path(os.fsdecode(own)), stat.S_ISDIR(mode), Path(os.fsdecode(root)))


def _is_bare(place: bytes) -> bool:
    """Say whether a folder holds what every bare repository does."""
    head = _mode(os.path.join(place, b"HEAD"))
    if not head or stat.S_ISDIR(head):
        return False
    folders = [_mode(os.path.join(place, name)) for name in (b"objects", b"refs")]
    return all(stat.S_ISDIR(mode) or stat.S_ISLNK(mode) for mode in folders)


def _mode(path: bytes) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError as error:
        of_a_file(error, path)
        return 0


def _count(root: bytes, found: Iterable[Met], limits: Limits) -> Counted:
    files, exact, most = 0, True, COUNTED * limits.max_files
    for met in found:
        if met.is_git:
            continue
        more, all_ = _deeper(root, met.path, most - files) if met.code else (1, True)
        files, exact = files + more, exact and all_
        if files > most:
            return Counted(most, False, FIND)
    return Counted(files, exact, FIND)


def _deeper(root: bytes, folder: bytes, most: int) -> tuple[int, bool]:
    """Return how many files are below a folder whose path may be longer than any path may be, and whether these are all."""
    files, exact, due = 0, True, list[list[bytes]]()  # on the way down, the folders of each folder that are still to be counted
    here = os.open(root, FOLDER)
    try:
        for name in folder.split(b"/") if folder else ():
            here = _enter(here, name)
        while True:
            with os.scandir(here) as found:
                kinds = [(os.fsencode(e.name), e.is_dir(follow_symlinks=False)) for e in found]
            files += sum(not is_folder for _, is_folder in kinds)
            due.append([name for name, is_folder in kinds if is_folder])
            while due and (not due[-1] or files > most):
                due.pop()
                here = _enter(here, b"..")
            if not due:
                return files, exact
            here = _enter(here, due[-1].pop())
    except OSError as error:
        of_a_file(error, os.path.join(root, folder))
        return files, False
    finally:
        os.close(here)


def _enter(folder: int, name: bytes) -> int:
    below = os.open(name, FOLDER, dir_fd=folder)
    os.close(folder)
    return below


def _entries(root: bytes, child: bytes, limits: Limits) -> Iterator[Entry]:
    met, tally = list[Met](), Tally(limits)
    for one in _walk(root, child, loose=not child, most=limits.max_files + 1):
        if one.is_git:
            continue
        if limit := tally.beyond(one.path[len(child) :]):
            left = _count(root, _walk(root, child, loose=not child), limits).less(len(met)).number
            yield Entry(b"", None, "too_many_files", f"more than {limit}; {left} have no row: {FIND} lists all")
            break
        met.append(one)
    for path, _, code in sorted(met):
        shown = path[len(child) + 1 :] if child else path
        if code is None:
            yield read_file(shown, os.path.join(root, path), limits.max_file_bytes)
        else:
            files, _ = _deeper(root, path, COUNTED * limits.max_files) if code == "ENAMETOOLONG" else (0, False)
            yield Entry(shown, None, "unreadable", f"{code}: {files:,} files below it; {FIND} lists them" if files else code)
