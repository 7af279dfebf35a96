"""Folders of checkouts, bare repositories and plain trees: what a person points `--input` at.

A git repository anywhere below a root is one repository, read from its object store. What a child of a root holds beside them is
a plain one, read from the disk: links are never followed, and only regular files are opened.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from starmill.core.errors import of_a_file
from starmill.core.names import Place
from starmill.pipelines.sources import git
from starmill.pipelines.sources.source import Entry, Limits, Options, Repository, Snapshot, label, read_file, state_of

BARE = frozenset((b"HEAD", b"objects", b"refs"))  # what is in every bare repository


@dataclass(frozen=True, kw_only=True)
class Folders(Options):
    """Folders of checkouts, bare repositories and plain trees. A repository's name is its path below its root."""

    kind: Literal["folders"] = "folders"  # always given
    roots: tuple[Place, ...]  # of checkouts, bare repositories or plain trees
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
                said = f"; {n} files in its folder are not read: find . -name .git -prune -o ! -type d -print lists them"
                entries = (replace(entry, detail=f"{entry.detail}{said}") for entry in entries)
            return snapshot, entries
        return Snapshot(), _entries(os.fsencode(root), os.fsencode(path), limits.max_file_bytes)

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the repository has now: it differs from the plan's once anything was changed since, and put back."""
        root, path = Path(repository.place["root"]), os.fsencode(repository.place["path"])
        if repository.place["form"] == "git":
            return _checkout(root, path).fingerprint
        return _plain(root, path, _survey(os.fsencode(root), path, loose=not path)[1]).fingerprint


def _discover(root: Path) -> Iterator[Repository]:
    with os.scandir(root) as found:
        children = sorted(os.fsencode(e.name) for e in found if e.is_dir(follow_symlinks=False))
    own, loose = _survey(os.fsencode(root), b"", loose=True)
    for child in [b""] if own else children:
        checkouts, files = _survey(os.fsencode(root), child)
        yield from (_checkout(root, path) for path in checkouts)
        if files:
            yield _plain(root, child, files)
    if loose:
        yield _plain(root, b"", loose)


def _checkout(root: Path, path: bytes) -> Repository:
    size, fingerprint, state = git.look(root / os.fsdecode(path), root)
    found = _repository(root, path, "git", size, fingerprint, state)
    if state:
        return found
    # It has no HEAD that leads to a commit, and so it is one row, which counts the files that have none.
    unread = _count(os.path.join(os.fsencode(root), path))
    return replace(found, place={**found.place, "unread": str(unread)}, fingerprint=f"{fingerprint} {unread}")


def _count(top: bytes) -> int:
    files, stack = 0, [top]
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(folder) as found:
                entries = {e.name: e.is_dir(follow_symlinks=False) for e in found}
        except OSError as error:
            of_a_file(error, folder)
            continue
        if folder == top or b".git" not in entries:  # others are repositories of their own
            files += sum(not is_folder for name, is_folder in entries.items() if name != b".git")
            stack += [os.path.join(folder, name) for name, is_folder in entries.items() if is_folder and name != b".git"]
    return files


def _plain(root: Path, child: bytes, files: list[tuple[bytes, str | None]]) -> Repository:
    # An empty child stands for the loose files of the root itself.
    facts, total = hashlib.sha256(), 0
    for path, unreadable in files:
        state, size = state_of(os.path.join(os.fsencode(root), path))
        facts.update(repr((path, unreadable, state)).encode())
        total += size
    return _repository(root, child, "plain", total, facts.hexdigest())


def _repository(root: Path, path: bytes, form: str, size: int, fingerprint: str, state: str = "") -> Repository:
    name = label(path or os.fsencode(root.name))[0][1:] or "root"
    return Repository(name, {"root": str(root), "path": os.fsdecode(path), "form": form}, size, fingerprint, state)


def _survey(root: bytes, child: bytes, loose: bool = False) -> tuple[list[bytes], list[tuple[bytes, str | None]]]:
    """Return the git repositories at or below root/child, and all files outside of them; paths below `root`, sorted.

    A folder that cannot be listed is a file with the error's name. Below a checkout only other checkouts count, as submodules
    are: what looks like a bare repository there is its content. `loose`: do not descend.
    """
    repositories: list[bytes] = []
    files: list[tuple[bytes, str | None]] = []
    stack = [(child, False)]
    while stack:
        folder, within = stack.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as found:
                kinds = {e.name: (e.is_dir(follow_symlinks=False), e.is_symlink()) for e in found}
        except OSError as error:
            code = of_a_file(error, os.path.join(root, folder))
            if not within:
                files.append((folder, code))
            continue
        own = Path(os.fsdecode(os.path.join(root, folder)), ".git")
        checkout = b".git" in kinds and git.is_checkout(own, kinds[b".git"][0], Path(os.fsdecode(root)))
        bare = (
            not within and kinds.keys() >= BARE and not kinds[b"HEAD"][0] and all(map(any, (kinds[b"objects"], kinds[b"refs"])))
        )
        if checkout or bare:
            repositories.append(folder)
        if bare and not checkout:
            continue
        for name, (is_folder, _) in kinds.items():
            path = os.path.join(folder, name)
            if not is_folder and not (within or checkout):
                files.append((path, None))
            elif is_folder and not (loose or (checkout and name == b".git")):
                stack.append((path, within or checkout))
    return sorted(repositories), sorted(files)


def _entries(root: bytes, child: bytes, max_file_bytes: int) -> Iterator[Entry]:
    for path, unreadable in _survey(root, child, loose=not child)[1]:
        shown = path[len(child) + 1 :] if child else path
        lost = Entry(shown, None, "unreadable", unreadable) if unreadable else None
        yield lost or read_file(shown, os.path.join(root, path), max_file_bytes)
