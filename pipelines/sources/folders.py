"""Folders of checkouts, bare repositories and plain trees: what a person points `--input` at.

A git repository anywhere below a root is one repository, read from its object store. What a child of a root holds beside them is
a plain one, read from the disk: links are never followed, and only regular files are opened.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from starmill.core.errors import NotThere, of_a_file
from starmill.pipelines.sources import git
from starmill.pipelines.sources.source import Entry, Repository, Snapshot, label, state_of

BARE = frozenset((b"HEAD", b"objects", b"refs"))


def plan(roots: Sequence[str]) -> list[Repository]:
    """Return every repository below the roots, sorted by its unique name: the path below its root.

    Raises NotThere for a root that is no folder.
    """
    found: dict[str, Repository] = {}
    for root in map(Path, roots):
        if not root.is_dir():
            raise NotThere(f"{root}: no such folder of repositories")
        for repository in _discover(root.resolve()):
            name, n = repository.name, 2
            while name in found:  # two roots may hold repositories of one name
                name, n = f"{repository.name}~{n}", n + 1
            found[name] = replace(repository, name=name)
    return sorted(found.values(), key=lambda r: r.name)


def read(repository: Repository, max_file_bytes: int) -> tuple[Snapshot, Iterator[Entry]]:
    """Return a plain folder's files in the order of their paths."""
    return Snapshot(), _entries(repository, max_file_bytes)


def read_file(shown: str, path: bytes, max_file_bytes: int) -> Entry:
    """Return the entry of one path on the disk, with a reason where it is not a readable regular file of allowed size.

    Raises MachineError where that is no property of the file.
    """
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            return Entry(shown, None, 0, "symlink", os.readlink(path).decode("utf-8", "backslashreplace"))
        if not stat.S_ISREG(info.st_mode):
            return Entry(shown, None, 0, "not_a_regular_file")
        if info.st_size >= max_file_bytes:
            return Entry(shown, None, info.st_size, "too_large")
        # Should another process put a link or a pipe in its place just now, this neither follows nor waits.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            data = file.read(max_file_bytes)
        return Entry(shown, data, len(data))
    except FileNotFoundError:
        return Entry(shown, None, 0, "missing_file")
    except OSError as error:
        return Entry(shown, None, 0, "unreadable", of_a_file(error, path))


def _discover(root: Path) -> Iterator[Repository]:
    def checkout(path: bytes, name: bytes) -> Repository:
        return git.plan(root / os.fsdecode(path), _name(name), root)

    top = os.fsencode(root)
    if git.is_repository(root):
        yield from (checkout(path, path or os.fsencode(root.name)) for path in _survey(top, b"")[0])
        return
    for child in sorted(os.listdir(top)):
        if stat.S_ISDIR(os.lstat(os.path.join(top, child)).st_mode):
            repositories, files = _survey(top, child)
            yield from (checkout(path, path) for path in repositories)
            if files:
                yield _plain(top, child, files)
    if loose := _survey(top, b"", loose=True)[1]:
        yield _plain(top, b"", loose)


def _plain(root: bytes, child: bytes, files: list[tuple[bytes, str | None]]) -> Repository:
    # An empty child stands for the loose files of the root itself.
    facts, total = hashlib.sha256(), 0
    for path, unreadable in files:
        state, size = state_of(os.path.join(root, path))
        facts.update(repr((path, unreadable, state)).encode())
        total += size
    name = _name(child or os.path.basename(root))
    return Repository("folder", name, os.fsdecode(root), total, facts.hexdigest(), os.fsdecode(child))


def _name(path: bytes) -> str:
    return label(path)[0][1:] or "root"


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
                entries = {e.name: e.is_dir(follow_symlinks=False) for e in found}
        except OSError as error:
            code = of_a_file(error, os.path.join(root, folder))
            if not within:
                files.append((folder, code))
            continue
        checkout = b".git" in entries
        bare = not within and entries.keys() >= BARE
        if checkout or bare:
            repositories.append(folder)
        if bare and not checkout:
            continue
        for name, is_folder in entries.items():
            path = os.path.join(folder, name)
            if not is_folder and not (within or checkout):
                files.append((path, None))
            elif is_folder and name != b".git" and not loose:
                stack.append((path, within or checkout))
    return sorted(repositories), sorted(files)


def _entries(repository: Repository, max_file_bytes: int) -> Iterator[Entry]:
    root, child = os.fsencode(repository.location), os.fsencode(repository.detail)
    for path, unreadable in _survey(root, child, loose=not child)[1]:
        shown, hostile = label(path[len(child) + 1 :] if child else path)
        if unreadable:
            yield Entry(shown, None, 0, "unreadable", unreadable)
        elif hostile:
            yield Entry(shown, None, 0, hostile)
        else:
            yield read_file(shown, os.path.join(root, path), max_file_bytes)
