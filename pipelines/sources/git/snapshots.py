"""Git repositories, bare or not, read at HEAD from the object store alone; the work tree is never looked at.

Every id is git's own and is verified. Nothing of the repository's configuration is followed, no hook is run, and no reference,
alternate or link that leads out of the input. What cannot be read is an entry with a reason.
"""

import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from starmill.core.errors import is_of_the_machine, of_a_file
from starmill.pipelines.sources.git import bundle as gitbundle
from starmill.pipelines.sources.git.bundle import Bundle
from starmill.pipelines.sources.git.objects import (
    Budget,
    BudgetSpent,
    CorruptObject,
    MissingObject,
    NotFollowed,
    ObjectStore,
    ObjectTooLarge,
    Packs,
    Trees,
    inside,
)
from starmill.pipelines.sources.git.refs import HEX, Unreadable, git_directory, head, object_folders
from starmill.pipelines.sources.source import COUNTED, FREE_BYTES, Counted, Entry, Limits, Snapshot, Tally, state_of, timestamp

MAX_DEPTH = 64  # Software Heritage's own limit
MAX_META_BYTES = 64 << 20  # of a tree or commit
MAX_PATH = 4096  # bytes, as Linux has it: long names in deep trees are a bomb of another kind
MAX_COUNT = 10**18  # of files that are not read
LISTS = "git ls-tree -r {}"
ODD = {0o160000: "submodule", 0o120000: "symlink"}
OF_A_STORE = (MissingObject, CorruptObject, ObjectTooLarge, BudgetSpent)
REASONS: dict[type, str] = {
    MissingObject: "missing_object",
    BudgetSpent: "inflates_too_far",
    NotFollowed: "too_many_roots",
}
TREE_ENTRY = re.compile(rb"([0-7]{1,7}) ([^\0]+)\0(.{20})", re.DOTALL)
FAN = re.compile(r"[0-9a-f]{2}|pack|info")  # the folders of objects/


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a tree says of one path, before anything of it is read."""

    path: bytes
    mode: int
    object_id: bytes
    reason: str | None = None
    detail: str | None = None


def look(folder: Path, root: Path) -> tuple[int, str, str, tuple[str, str]]:
    """Return what a repository's own objects take on the disk in bytes, its fingerprint, a state, and its commit and branch, if any.

    These are the fingerprint, and how many objects are stored: some may have been missing (a partial clone's) and have come since. `git
    gc` changes neither, only the state: of all files of objects, and of their folders, which may be moved away for a while.
    Raises MachineError.
    """
    size, state, at = 0, "", ("", "")
    if folder.is_file():
        return _look_at_bundle(folder, root)
    try:
        directory, common = git_directory(folder, root)
        stored = [_stored(objects, root) for objects in object_folders(common / "objects", root)]
        now = head(directory, common, root)
        facts, at = repr((now, sum(count for count, _, _ in stored))), (now[0], now[1] or "")
        size, state = stored[0][1] if stored else 0, _digest(repr([files for _, _, files in stored]))
    except Unreadable as error:
        facts = f"unreadable: {error.reason}, {error.detail}"
    except OSError as error:
        facts = f"unreadable: {of_a_file(error, folder)}"
    except Exception as error:  # bytes that no git wrote: what they are like is said once they are read
        if is_of_the_machine(error):
            raise
        facts = f"unreadable: {type(error).__name__}"
    return size, _digest(facts), state, at


def _look_at_bundle(path: Path, root: Path) -> tuple[int, str, str, tuple[str, str]]:
    state, size = state_of(path)
    try:
        commit, branch = gitbundle.header(path, root).head()
    except Unreadable:
        return size, _digest(repr(state)), _digest("unreadable"), ("", "")
    except OSError as error:
        of_a_file(error, path)
        return size, _digest(repr(state)), _digest("unreadable"), ("", "")
    return size, _digest(repr(state)), _digest("bundle"), (commit, branch or "")


def _digest(facts: str) -> str:
    return hashlib.sha256(facts.encode("utf-8", "backslashreplace")).hexdigest()


def _stored(objects: Path, root: Path) -> tuple[int, int, str]:
    """Return how many objects lie in a folder, loose or in packs, how many bytes, and the digest of their files' states.

    Only where git keeps objects is looked: a link may lead anywhere, and other folders may be deep.
    """
    count = size = 0
    states: list[tuple[str, object]] = []
    for folder in sorted(name for name in _names(objects) if FAN.fullmatch(name)):
        real = inside(objects / folder, root)
        names = {*(_names(real) if real else ())}
        states.append((folder, state_of(real)[0] if real else None))
        for name in names:
            path = os.path.join(str(real), name)
            state, taken = state_of(path)
            states.append((f"{folder}/{name}", state))
            size += taken
            if HEX.fullmatch(folder + name):
                count += 1
            elif name.endswith(".idx") and f"{name.removesuffix('.idx')}.pack" in names:
                index = inside(path, root)
                count += _indexed(str(index)) if index and index.is_file() else 0
    return count, size, _digest(repr(sorted(states, key=lambda pair: pair[0])))


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        of_a_file(error, folder)
        return []


def _indexed(path: str) -> int:
    """Return how many objects an index of a pack lists: the last number of its fan-out table (gitformat-pack)."""
    try:
        with open(path, "rb") as file:
            start = file.read(8 + 1024)
    except OSError as error:
        of_a_file(error, path)
        return 0
    table = start[8:] if start.startswith(b"\xfftOc") else start
    return int.from_bytes(table[1020:1024], "big")


def read(folder: Path, root: Path, limits: Limits, at: tuple[str, str] = ("", "")) -> tuple[Snapshot, Iterator[Entry]]:
    """Return what is known of the repository, and its files in the order of their paths: at HEAD, or at this commit of this branch."""
    try:
        commit, branch, objects, budget = opened(folder, root, limits)
        if at[0]:
            commit, branch = at[0], at[1] or None
        with ObjectStore(objects, root, budget) as store:
            fields = fields_of(store.read(commit, "commit", MAX_META_BYTES))
            leaves = sorted(walk(store, fields["tree"], limits), key=lambda leaf: leaf.path)
    except Unreadable as error:
        return Snapshot(), iter([Entry(b"", None, error.reason, error.detail)])
    except (*OF_A_STORE, OSError) as error:
        if isinstance(error, OSError):
            of_a_file(error, folder)
        said = f"{type(error).__name__}: {error}"
        if isinstance(error, MissingObject):
            said += _lacking(objects)
        return Snapshot(), iter([Entry(b"", None, "unreadable_repository", said)])
    shown = branch and branch.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    dates = date_of(fields.get("author", "")), date_of(fields.get("committer", ""))
    return Snapshot(fields["tree"], commit, shown, *dates), _entries(objects, root, leaves, limits.max_file_bytes, budget)


def count(folder: Path, root: Path, limits: Limits) -> Counted:
    """Return how many files HEAD has; at least none where that cannot be read. Raises MachineError."""
    try:
        commit, _, objects, budget = opened(folder, root, limits)
        with ObjectStore(objects, root, budget) as store:
            tree = fields_of(store.read(commit, "commit", MAX_META_BYTES))["tree"]
            return Count(store, limits)([tree], LISTS.format("HEAD"))
    except (Unreadable, *OF_A_STORE, OSError) as error:
        if isinstance(error, OSError):
            of_a_file(error, folder)
        return Counted(0, False, LISTS.format("HEAD"))


def opened(folder: Path, root: Path, limits: Limits) -> tuple[str, str | None, list[Path | Packs], Budget]:
    """Return HEAD's commit and branch, where its objects lie, and what may be inflated of them. Raises Unreadable, or OSError."""
    if folder.is_file():
        said = gitbundle.header(folder, root)
        places: list[Path | Packs] = [Bundle(folder, said.start, limits.max_inflation, FREE_BYTES, said.lacks)]
        commit, branch = said.head()
        stored = folder.stat().st_size
    else:
        directory, common = git_directory(folder, root)
        commit, branch = head(directory, common, root)
        folders = object_folders(common / "objects", root)
        places, stored = [*folders], sum(_stored(place, root)[1] for place in folders)
    return commit, branch, places, Budget(min(limits.max_inflated_bytes, FREE_BYTES + limits.max_inflation * stored))


class Count:
    """Counts the files below trees. A tree is read once, however many name it, so that a bomb costs no more than it stores."""

    def __init__(self, store: Trees, limits: Limits) -> None:
        """Count entries of distinct trees up to COUNTED times the limit, all calls together."""
        self._store, self._left, self._known = store, COUNTED * limits.max_files, dict[str, int]()
        self._exact = True

    def __call__(self, trees: Sequence[str], listed_by: str, beside: int = 0) -> Counted:
        """Return how many files there are below all trees together, and `beside` them."""
        due, inner = [*trees], dict[str, tuple[int, list[str]]]()
        while due:
            tree = due.pop()
            if tree in inner:  # all below it is known by now
                files, folders = inner.pop(tree)
                self._known[tree] = files + sum(self._known.get(folder, 0) for folder in folders)
            elif tree not in self._known:
                files, folders = inner[tree] = self._look(tree)
                due += [tree, *folders]
        files = beside + sum(self._known[tree] for tree in trees)
        return Counted(min(files, MAX_COUNT), self._exact and files <= MAX_COUNT, listed_by)

    def _look(self, tree: str) -> tuple[int, list[str]]:
        try:
            children = list(entries(self._store.read(tree, "tree", MAX_META_BYTES))) if self._left > 0 else None
        except OF_A_STORE:
            children = None
        self._exact &= children is not None
        self._left -= len(children or ())
        folders = [child.hex() for mode, _, child in children or () if stat.S_ISDIR(mode)]
        return len(children or ()) - len(folders), folders


def fields_of(commit: bytes) -> dict[str, str]:
    # As git does: the tree is the first line, of two authors the last one counts, and a NUL ends it all.
    lines = commit.partition(b"\n\n")[0].partition(b"\0")[0].decode("utf-8", "replace").split("\n")
    fields = {key: value for key, space, value in (line.partition(" ") for line in lines) if space and key}
    fields["tree"] = lines[0].removeprefix("tree ")
    if not HEX.fullmatch(fields.get("tree", "")):
        raise CorruptObject("a commit without a tree")
    return fields


def date_of(person: str) -> datetime | None:
    # As git does: a name may hold a ">", so what follows the last one counts, and it must have a time zone. A moment before 1970
    # is none to git, nor is one of more digits to any calendar.
    before, _, after = person.rpartition(">")
    moment = re.match(r"[ \t\r]*0*([0-9]{1,12})[ \t\r]*[+-][0-9]", after)
    return timestamp(int(moment[1])) if moment and "<" in before else None


def walk(store: Trees, tree: str, limits: Limits) -> Iterator[Leaf]:
    """Yield what a tree and those below it hold, in any order, up to the limits; an error of the first tree is raised."""
    stack, tally, count = [(b"", bytes.fromhex(tree), 0)], Tally(limits), Count(store, limits)
    while stack:
        prefix, tree_id, depth = stack.pop()
        try:
            children = list(entries(store.read(tree_id.hex(), "tree", MAX_META_BYTES)))
        except OF_A_STORE as error:
            if not prefix:
                raise
            yield Leaf(prefix, 0o40000, tree_id, REASONS.get(type(error), "corrupt_object"), f"tree {tree_id.hex()}")
            continue
        for at, (mode, name, child) in enumerate(children):
            path, is_folder = prefix + name, stat.S_ISDIR(mode)
            if limit := tally.beyond(path):
                rest = [c.hex() for m, _, c in children[at:] if stat.S_ISDIR(m)]
                due = [*rest, *(other.hex() for _, other, _ in stack)]
                left = count(due, "", len(children) - at - len(rest)).number
                said = f"more than {limit}; {left} have no row: git ls-tree -r -t {tree} lists all"
                yield Leaf(b"", mode, child, "too_many_files", said)
                return
            if len(path) > MAX_PATH:
                below = f"; below it are {count([child.hex()], LISTS.format(child.hex()))}" if is_folder else ""
                said = f"a path of {len(path)} bytes, shown cut off{below}"
                yield Leaf(path[:MAX_PATH], mode, child, "hostile_path", said)
            elif depth >= MAX_DEPTH:
                yield Leaf(
                    path, mode, child, "too_deep", str(count([child.hex()], LISTS.format(child.hex()))) if is_folder else None
                )
            elif is_folder:
                stack.append((path + b"/", child, depth + 1))
            else:
                yield Leaf(path, mode, child)


def entries(data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield the mode, name and id of each entry of a tree. Raises CorruptObject."""
    at = 0
    while at < len(data):
        entry = TREE_ENTRY.match(data, at)
        if entry is None:
            raise CorruptObject("a tree that is cut off")
        yield int(entry[1], 8), entry[2], entry[3]
        at = entry.end()


def _entries(
    objects: Sequence[Path | Packs], root: Path, leaves: list[Leaf], max_file_bytes: int, budget: Budget
) -> Iterator[Entry]:
    lacking = _lacking(objects)
    with ObjectStore(objects, root, budget) as store:
        for leaf in leaves:
            path, hex_id = leaf.path.rstrip(b"/"), leaf.object_id.hex()
            blob = f"blob {hex_id}"
            if reason := leaf.reason or ODD.get(stat.S_IFMT(leaf.mode)):
                commit = f"commit {hex_id}" if reason == "submodule" else None
                yield Entry(
                    path, None, reason, f"{leaf.detail}{lacking}" if reason == "missing_object" else leaf.detail or commit
                )
                continue
            try:
                yield Entry(path, store.read(hex_id, "blob", max_file_bytes - 1))
            except MissingObject:
                yield Entry(path, None, "missing_object", f"{blob}{lacking}")
            except ObjectTooLarge as error:
                yield Entry(path, None, "too_large", f"{blob}: {error}", error.size)
            except BudgetSpent:
                yield Entry(
                    path, None, "inflates_too_far", f"{blob}: beyond max_inflated_bytes or max_inflation of the repository"
                )
            except CorruptObject as error:
                yield Entry(path, None, "corrupt_object", f"{blob}: {error}")


def _lacking(objects: Sequence[Path | Packs]) -> str:
    said = [place.lacks for place in objects if not isinstance(place, Path) and place.lacks]
    return f"; {said[0]}" if said else ""
