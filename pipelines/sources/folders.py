"""Folders of checkouts, bare repositories, git bundles and plain trees: what a person points `--input` at.

A git repository or bundle anywhere below a root is one repository, read from its object store. What a child of a root holds beside them is
a plain one, read from the disk: links are never followed, and only regular files are opened.
"""

import hashlib
import heapq
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

from starmill.core.errors import of_a_file
from starmill.core.names import Place
from starmill.pipelines.sources.git import bundle as gitbundle
from starmill.pipelines.sources.git import snapshots
from starmill.pipelines.sources.git.bundle import is_bundle
from starmill.pipelines.sources.git.refs import is_checkout
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
    unique,
)

BUNDLE = os.fsencode(gitbundle.SUFFIX)
FIND = "find . ! -type d"
SUMS = 1 << 256  # sums of digests are taken modulo this
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Met(NamedTuple):
    """One path below a root, in bytes: a git repository, a folder, or a file; `code` is the error of a folder that cannot be listed.

    `within`: the repository that it lies in.
    """

    path: bytes
    within: bytes | None = None
    is_git: bool = False
    is_folder: bool = False
    code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Folders(Options):
    """Folders of checkouts, bare repositories, bundles and plain trees. A repository's name is its path below its root."""

    kind: Literal["folders"] = "folders"  # always given
    roots: tuple[Place, ...]  # of checkouts, bare repositories, git bundles (*.bundle) or plain trees

    def places(self) -> tuple[str, ...]:
        """Return the roots."""
        return self.roots

    def inventory(self) -> list[Repository]:
        """Return every repository below the roots; of equal names all but the first get a number. Raises OSError for a root."""
        seen: dict[str, int] = {}
        found = (r for root in self.roots for r in _discover(Path(root).resolve()))
        return sorted((replace(r, name=unique(r.name, seen)) for r in found), key=lambda r: r.name)

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return a commit's files, or a plain tree's."""
        root, path = repository.place["root"], repository.place["path"]
        if repository.place["form"] == "git":
            # HEAD may lead elsewhere for a while: what was planned is read.
            at = repository.place.get("commit", ""), repository.place.get("branch", "")
            snapshot, entries = snapshots.read(Path(root, path), Path(root), limits, at)
            if n := repository.place.get("unread"):
                said = f"; {n} in its folder are not read: find . -name .git -prune -o ! -type d -print lists them"
                return snapshot, (replace(entry, detail=f"{entry.detail}{said}") for entry in entries)
            return snapshot, _with_not_committed(os.fsencode(root), os.fsencode(path), entries, limits)
        return Snapshot(), _entries(os.fsencode(root), os.fsencode(path), limits)

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many files a commit or a plain tree has."""
        root, path = repository.place["root"], repository.place["path"]
        if repository.place["form"] == "git":
            return snapshots.count(Path(root, path), Path(root), limits)
        return _count(os.fsencode(root), _plain(os.fsencode(root), os.fsencode(path)), limits)

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the repository has now: it differs from the plan's once anything was changed since, and put back.

        Of a git repository its commit and objects count: files may come and go in a work tree while its commit is read.
        """
        root, path = Path(repository.place["root"]), os.fsencode(repository.place["path"])
        if repository.place["form"] == "git":
            beside = repository.fingerprint.partition(" ")[2]
            return f"{snapshots.look(root / os.fsdecode(path), root)[1]} {beside}"
        found = _survey(root, path, loose=not path)[1]
        return found.fingerprint if found else ""


def _discover(root: Path) -> Iterator[Repository]:
    with os.scandir(root) as found:
        children = sorted(os.fsencode(e.name) for e in found if e.is_dir(follow_symlinks=False))
    own, loose = _survey(root, b"", loose=True)
    if b"" not in own:  # the bundles that lie in the root itself
        yield from (_checkout(root, path, names) for path, names in sorted(own.items()))
    for child in [b""] if b"" in own else children:
        checkouts, plain = _survey(root, child)
        yield from (_checkout(root, path, names) for path, names in sorted(checkouts.items()))
        if plain:
            yield plain
    if loose:
        yield loose


def _checkout(root: Path, path: bytes, names: int) -> Repository:
    """Return the git repository at root/path, of whose work tree the names of all files are `names`, as one number."""
    size, fingerprint, state, (commit, branch) = snapshots.look(root / os.fsdecode(path), root)
    # With the names, since one row counts those that are not committed.
    planned = _repository(root, path, "git", size, f"{fingerprint} {names:x}", state)
    if state:
        return replace(planned, place={**planned.place, "commit": commit, "branch": branch})
    # It has no HEAD that leads to a commit, and so it is one row, which counts the files that have none.
    unread = _count(os.fsencode(root), _walk(os.fsencode(root), path, own=True, folders=True), Limits()).number
    return replace(planned, place={**planned.place, "unread": unread}, fingerprint=f"{planned.fingerprint} {unread}")


def _repository(root: Path, path: bytes, form: str, size: int, fingerprint: str, state: str = "") -> Repository:
    name = label(path or os.fsencode(root.name))[0][1:] or "root"
    return Repository(name, {"root": str(root), "path": os.fsdecode(path), "form": form}, size, fingerprint, state)


def _survey(root: Path, child: bytes, loose: bool = False) -> tuple[dict[bytes, int], Repository | None]:
    """Return the git repositories at or below root/child, and the plain one of all files outside of them, if any.

    Of each repository the names of the files in its work tree are one number.
    """
    # A sum does not depend on the order of the disk, so that no list of all files is held.
    repositories, facts, total, files = dict[bytes, int](), 0, 0, 0
    for met in _walk(os.fsencode(root), child, loose, folders=True):
        if met.is_git:
            repositories[met.path] = 0
        elif met.within is not None:
            repositories[met.within] = (repositories[met.within] + _number(met.path, met.code)) % SUMS
        elif met.is_folder:  # its time of change too: when it is moved away for a while, that of no file in it changes
            facts += _number(met.path, state_of(os.path.join(os.fsencode(root), met.path))[0])
        else:
            state, size = state_of(os.path.join(os.fsencode(root), met.path))
            facts += _number(met.path, met.code, state)
            files, total = files + 1, total + size
    if child and child not in repositories:
        facts += _number(child, state_of(os.path.join(os.fsencode(root), child))[0])
    # An empty child stands for the loose files of the root itself.
    plain = _repository(root, child, "plain", total, f"{facts % SUMS:064x}") if files else None
    return repositories, plain


def _number(*facts: object) -> int:
    return int.from_bytes(hashlib.sha256(repr(facts).encode()).digest())


def _walk(
    root: bytes, child: bytes, loose: bool = False, own: bool = False, most: int = 0, folders: bool = False
) -> Iterator[Met]:
    """Yield the git repositories and bundles at or below root/child, and all files outside of git's own folders; paths below `root`.

    Below a checkout only other checkouts count, as submodules are: what looks like a bare repository there is its content. `loose`: do
    not descend. `own`: yield only the files of the repository at `child`. `most`: only so many of a folder, the first by name, and in
    an order that does not depend on the disk. `folders`: yield them too, those that files are
    yielded of.
    """
    stack: list[tuple[bytes, bytes | None]] = [(child, None)]  # folders, each with the repository that it is in
    bare = own and not _is_checkout(root, child)
    while stack:
        folder, within = stack.pop()
        checkout = not bare and _is_checkout(root, folder)
        if checkout or (within is None and not bare and _is_bare(os.path.join(root, folder))):
            if own and within is not None:
                continue
            yield Met(folder, is_git=True)
            within = folder
            if not checkout:
                continue
        elif folders and folder != child and (own or within is None):
            yield Met(folder, within, is_folder=True)
        try:
            with os.scandir(os.path.join(root, folder)) as found:
                names = ((e.name, e.is_dir(follow_symlinks=False)) for e in found)
                for name, is_folder in heapq.nsmallest(most, names) if most else names:
                    path = os.path.join(folder, name)
                    if checkout and name == b".git":
                        continue
                    if not is_folder:
                        bundle = within is None and not own and name.endswith(BUNDLE) and is_bundle(os.path.join(root, path))
                        yield Met(path, within, is_git=bundle)
                    elif not loose:
                        stack.append((path, within))
        except OSError as error:
            yield Met(folder, within, code=of_a_file(error, os.path.join(root, folder)))


def _is_checkout(root: bytes, folder: bytes) -> bool:
    own = os.path.join(root, folder, b".git")
    mode = _mode(own)
    return bool(mode) and is_checkout(Path(os.fsdecode(own)), stat.S_ISDIR(mode), Path(os.fsdecode(root)))


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
    files, folders, exact, most = 0, 0, True, COUNTED * limits.max_files
    for met in found:
        if met.is_git:
            continue
        if met.is_folder:
            more, all_, folders = 0, True, folders + 1
        else:
            more, all_ = _deeper(root, met.path, most - files) if met.code else (1, True)
        files, exact = files + more, exact and all_
        if files + folders > most:  # whichever the disk gave first
            return Counted(most, False, FIND, "files and folders")
    return Counted(files, exact, FIND)


def _with_not_committed(root: bytes, path: bytes, entries: Iterator[Entry], limits: Limits) -> Iterator[Entry]:
    """Yield the entries of a commit, then one that counts what is in the work tree beside them, where all of the commit was told."""
    committed, whole = set[bytes](), _is_checkout(root, path)
    for entry in entries:
        committed.add(entry.path)
        yield entry
    if whole and b"" not in committed:
        found = _count(root, _beside(root, path, committed), limits)
        if found.files:
            yield Entry(b"", None, "not_committed", str(replace(found, listed_by="git status --ignored --untracked-files=all")))


def _beside(root: bytes, path: bytes, committed: set[bytes]) -> Iterator[Met]:
    """Yield what is in a work tree, and has no entry, nor a folder around it: one that is too deep has one for all below it."""
    start, told = len(path) + 1 if path else 0, set[bytes]()
    for met in _walk(root, path, own=True, folders=True):  # a folder comes before what is in it
        if met.path[start:] in committed or os.path.dirname(met.path) in told:
            told |= {met.path} if met.is_folder else set()
        else:
            yield met


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


def _plain(root: bytes, child: bytes, most: int = 0) -> Iterator[Met]:
    """Yield the folders and files at or below root/child that are in no git repository."""
    found = _walk(root, child, loose=not child, most=most, folders=True)
    return (met for met in found if not met.is_git and met.within is None)


def _entries(root: bytes, child: bytes, limits: Limits) -> Iterator[Entry]:
    met, tally = list[Met](), Tally(limits)
    for one in _plain(root, child, limits.max_files + 1):
        if limit := tally.beyond(one.path[len(child) :]):
            left = _count(root, _plain(root, child), limits).less(len(met)).number
            yield Entry(
                b"", None, "too_many_files", f"more than {limit}, folders counted; {left} have no row: {FIND} lists all"
            )
            break
        if not one.is_folder:
            met.append(one)
    for path, code in sorted((one.path, one.code) for one in met):
        shown = path[len(child) + 1 :] if child else path
        if code is None:
            yield read_file(shown, os.path.join(root, path), limits.max_file_bytes)
        else:
            files, _ = _deeper(root, path, COUNTED * limits.max_files) if code == "ENAMETOOLONG" else (0, False)
            yield Entry(shown, None, "unreadable", f"{code}: {files:,} files below it; {FIND} lists them" if files else code)
