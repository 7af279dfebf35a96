"""Git repositories, bare or not, read at HEAD from the object store alone; the work tree is never looked at.

Every id is git's own and is verified. Nothing of the repository's configuration is followed: no hooks, no alternates, no
references that lead out of it. What cannot be read is an entry with a reason.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from starmill.pipelines.sources.gitobjects import CorruptObject, MissingObject, ObjectStore, ObjectTooLarge
from starmill.pipelines.sources.repository import Entry, Repository, Snapshot, label, timestamp

MAX_DEPTH = 64  # Software Heritage's own limit
MAX_ENTRIES = 2_000_000  # of one repository: ten trees of ten references each are a bomb of ten billion files
MAX_META_BYTES = 64 << 20  # of a tree or commit
HEX = re.compile(r"[0-9a-f]{40}")
REFERENCE = re.compile(r"refs/[^\x00-\x20~^:?*\\\[]+")


class Unreadable(ValueError):
    """A repository whose HEAD cannot be resolved; `reason` is no_revision or unreadable_repository."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class Leaf:
    """What a tree says of one path, before anything of it is read."""

    path: bytes
    mode: int
    hex_id: str
    reason: str | None = None
    detail: str | None = None


def is_repository(folder: Path) -> bool:
    """Say whether a folder is a bare repository or a checkout."""
    return (folder / ".git").exists() or all((folder / n).exists() for n in ("HEAD", "objects", "refs"))


def git_directory(folder: Path, root: Path) -> Path:
    """Return the folder that holds HEAD and objects. Raises Unreadable if a `.git` file leads out of `root`."""
    inside = folder / ".git"
    if not inside.exists():
        return folder
    if inside.is_dir() and not inside.is_symlink():
        return inside
    said = inside.read_text("utf-8", "replace").strip() if inside.is_file() else ""
    target = (folder / said.removeprefix("gitdir:").strip()).resolve()
    if not said.startswith("gitdir:") or not target.is_relative_to(root.resolve()):
        raise Unreadable("unreadable_repository", ".git leads out of the input")
    return target


def plan(folder: Path, name: str, root: Path) -> Repository:
    """Describe one repository; HEAD's commit is its fingerprint."""
    try:
        directory = git_directory(folder, root)
        commit, _ = head(directory)
        size = sum(f.stat().st_size for f in (directory / "objects").rglob("*") if f.is_file())
    except (Unreadable, OSError) as error:
        commit, size = f"unreadable: {error}", 0
    return Repository("git", name, str(folder), size, hashlib.sha256(commit.encode()).hexdigest(), str(root))


def read(repository: Repository, max_file_bytes: int) -> tuple[Snapshot, Iterator[Entry]]:
    """Return what is known of the repository, and its files at HEAD in the order of their paths."""
    try:
        directory = git_directory(Path(repository.location), Path(repository.detail))
        commit, branch = head(directory)
        with ObjectStore(directory / "objects") as store:
            fields = _fields(store.read(commit, "commit", MAX_META_BYTES))
            leaves = sorted(_walk(store, fields["tree"]), key=lambda leaf: leaf.path)
    except Unreadable as error:
        return Snapshot(), iter([Entry("/", None, 0, error.reason, error.detail)])
    except (MissingObject, CorruptObject, ObjectTooLarge, OSError, KeyError) as error:
        return Snapshot(), iter([Entry("/", None, 0, "unreadable_repository", f"{type(error).__name__}: {error}")])
    snapshot = Snapshot(fields["tree"], commit, branch, _date(fields.get("author", "")), _date(fields.get("committer", "")))
    return snapshot, _entries(directory, leaves, max_file_bytes)


def head(directory: Path) -> tuple[str, str | None]:
    """Return (commit id, branch name or None) of HEAD. Raises Unreadable."""
    said, branch = _line(directory / "HEAD"), None
    for _ in range(5):  # a symbolic reference may point to another
        if not said.startswith("ref:"):
            break
        branch = said.removeprefix("ref:").strip()
        if not REFERENCE.fullmatch(branch) or ".." in branch:
            raise Unreadable("unreadable_repository", f"HEAD points to {branch!r}")
        said = _line(directory / branch) or _packed_reference(directory, branch)
    if not said:
        raise Unreadable("no_revision", f"{branch or 'HEAD'} has no commit")
    if not HEX.fullmatch(said):
        raise Unreadable("unreadable_repository", f"HEAD is {said[:80]!r}, not a SHA-1 commit id")
    return said, branch


def _line(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip() if path.is_file() and path.stat().st_size < 4096 else ""
    except OSError:
        return ""


def _packed_reference(directory: Path, name: str) -> str:
    try:
        lines = (directory / "packed-refs").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.split(" ")[0] for line in lines if line.endswith(f" {name}")), "")


def _fields(commit: bytes) -> dict[str, str]:
    lines = commit.partition(b"\n\n")[0].decode("utf-8", "replace").split("\n")
    fields = {key: value for key, space, value in (line.partition(" ") for line in reversed(lines)) if space and key}
    if not HEX.fullmatch(fields.get("tree", "")):
        raise CorruptObject("a commit without a tree")
    return fields


def _date(person: str) -> datetime | None:
    moment = re.search(r"> (-?\d{1,12}) [+-]\d{4}$", person)
    return timestamp(int(moment[1])) if moment else None


def _walk(store: ObjectStore, tree: str) -> Iterator[Leaf]:
    stack, seen = [(b"", tree, 0)], 0
    while stack:
        prefix, hex_id, depth = stack.pop()
        try:
            children = list(_tree(store.read(hex_id, "tree", MAX_META_BYTES)))
        except (MissingObject, CorruptObject, ObjectTooLarge) as error:
            if not prefix:
                raise
            reason = "missing_object" if isinstance(error, MissingObject) else "corrupt_object"
            yield Leaf(prefix, 0o40000, hex_id, reason, f"tree {hex_id}")
            continue
        for mode, name, child in children:
            seen += 1
            if seen > MAX_ENTRIES or depth + 1 > MAX_DEPTH:
                reason = "too_many_files" if seen > MAX_ENTRIES else "too_deep"
                yield Leaf(prefix + name, mode, child, reason)
                if seen > MAX_ENTRIES:
                    return
            elif mode & 0o170000 == 0o40000:
                stack.append((prefix + name + b"/", child, depth + 1))
            else:
                yield Leaf(prefix + name, mode, child)


def _tree(data: bytes) -> Iterator[tuple[int, bytes, str]]:
    at = 0
    while at < len(data):
        space, nul = data.find(b" ", at), data.find(b"\0", at)
        if not at < space < nul or nul + 21 > len(data) or not data[at:space].isdigit():
            raise CorruptObject("a tree that is cut off")
        yield int(data[at:space], 8), data[space + 1 : nul], data[nul + 1 : nul + 21].hex()
        at = nul + 21


def _entries(directory: Path, leaves: list[Leaf], max_file_bytes: int) -> Iterator[Entry]:
    with ObjectStore(directory / "objects") as store:
        for leaf in leaves:
            path, hostile = label(leaf.path.rstrip(b"/"))
            kind = leaf.mode & 0o170000
            reason = leaf.reason or {0o160000: "submodule", 0o120000: "symlink"}.get(kind) or hostile
            if reason:
                yield Entry(path, None, 0, reason, leaf.detail or (leaf.hex_id if kind == 0o160000 else None))
                continue
            try:
                data = store.read(leaf.hex_id, "blob", max_file_bytes)
                yield Entry(path, data, len(data))
            except MissingObject:
                yield Entry(path, None, 0, "missing_object", f"blob {leaf.hex_id}")
            except ObjectTooLarge as error:
                yield Entry(path, None, error.size, "too_large", f"blob {leaf.hex_id}")
            except CorruptObject as error:
                yield Entry(path, None, 0, "corrupt_object", f"blob {leaf.hex_id}: {error}")
