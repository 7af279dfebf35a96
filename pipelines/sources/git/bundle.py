"""Git bundles (gitformat-bundle): a header with references, and a pack without an index. Versions 2 and 3, with SHA-1 ids.

A pack says where an object lies only by its order, and of a delta it does not say the id: so all objects are inflated once, as `git
index-pack` does, with a budget, and 37 bytes of each are remembered. Where the pack is cut off or damaged, what lies before that is read.
"""

import functools
import hashlib
import mmap
import os
import re
import stat
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from dulwich.pack import apply_delta
from isal import isal_zlib

from starmill.core.errors import is_of_the_machine, of_a_file
from starmill.pipelines.sources.git.objects import (
    KINDS,
    MAX_CHAIN,
    MIN_BASE_BYTES,
    OFFSET_DELTA,
    REFERENCE_DELTA,
    Budget,
    BudgetSpent,
    CorruptObject,
    entry_header,
    inside,
    offset_varint,
    varint,
)
from starmill.pipelines.sources.git.refs import HEX, OF_SHA256, SHA256, Unreadable

SUFFIX = ".bundle"
MAGIC = re.compile(rb"# v([0-9]+) git bundle\n")
MAX_HEADER = 64 << 20  # bytes; a mirror of a large host has some hundred thousand references
MAX_SHOWN = 3  # prerequisites that a row names
MAX_OBJECTS = 12_000_000  # of a pack, twice what Linux has: a gigabyte of memory
MAX_NAMED = 2_000_000  # deltas whose base is named by its id; of those beyond the id stays unknown
HELD = 256 << 20  # bytes of objects that are held while others are made of them
MOST_INFLATION = 1032  # of deflate
STEP = 1 << 16  # bytes that are inflated at once of an object too large to be held
ID = np.dtype("V20")


class Header(NamedTuple):
    """What a bundle says: where its pack starts, HEAD and the branches, how many other references, and the commits that were left out."""

    start: int
    references: dict[str, str]
    others: int
    prerequisites: tuple[str, ...]
    filter: str

    @property
    def lacks(self) -> str:
        """Say what was left out, or nothing."""
        some = ", ".join(self.prerequisites[:MAX_SHOWN]) + (", ..." if len(self.prerequisites) > MAX_SHOWN else "")
        said = [f"it was made without what {len(self.prerequisites):,} commits hold ({some})"] if self.prerequisites else []
        said += [f"it was made with the filter {self.filter[:80]!r}"] if self.filter else []
        return " and ".join(said)

    def head(self) -> tuple[str, str | None]:
        """Return the commit and the branch that a clone would check out. Raises Unreadable.

        A bundle says HEAD's commit, and not its branch: main or master if they are that commit, else the first by name that is. One without
        a HEAD has main, master, or its only branch.
        """
        branches = {name: own for name, own in sorted(self.references.items()) if name.startswith("refs/heads/")}
        usual = [name for name in ("refs/heads/main", "refs/heads/master") if name in branches]
        if commit := self.references.get("HEAD"):
            return commit, next((name for name in (*usual, *branches) if branches[name] == commit), None)
        if usual or len(branches) == 1:
            name = (*usual, *branches)[0]
            return branches[name], name
        if not branches:
            raise Unreadable("no_revision", f"a bundle without a branch, and with {self.others:,} other references")
        raise Unreadable("no_main_branch", f"a bundle without HEAD, main or master, and with {len(branches):,} branches")


def is_bundle(path: bytes) -> bool:
    """Say whether a file begins as a bundle does; a link or a pipe is none. Raises MachineError."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and MAGIC.match(file.read(40)) is not None
    except OSError as error:
        of_a_file(error, path)
        return False


def header(path: Path, root: Path) -> Header:
    """Read the header. Raises Unreadable, or OSError."""
    if inside(path, root) is None:
        raise Unreadable("unreadable_repository", "the bundle leads out of the input")
    references, prerequisites, capabilities, size, others = dict[str, str](), list[str](), dict[str, str](), 0, 0
    with open(path, "rb") as file:
        magic = MAGIC.fullmatch(file.readline(40))
        if magic is None or magic[1] not in (b"2", b"3"):
            said = f"version {magic[1].decode()}" if magic else "no bundle"
            raise Unreadable("unsupported_format" if magic else "unreadable_repository", f"{said}; versions 2 and 3 are read")
        while (line := file.readline(1 << 16)) != b"\n":
            size += len(line)
            text = line.decode("utf-8", "surrogateescape").removesuffix("\n")
            own, _, name = text.removeprefix("-").partition(" ")
            if not line.endswith(b"\n") or size > MAX_HEADER:
                raise Unreadable("unreadable_repository", "the header of the bundle does not end")
            if text.startswith("@"):
                key, _, value = text[1:].partition("=")
                capabilities[key] = value
            elif SHA256.fullmatch(own):
                raise Unreadable("unsupported_format", f"a bundle: {OF_SHA256}")
            elif not HEX.fullmatch(own) or (not name and not text.startswith("-")):
                raise Unreadable("unreadable_repository", f"a line in the header of the bundle: {text[:80]!r}")
            elif text.startswith("-"):
                prerequisites.append(own)
            elif name == "HEAD" or name.startswith("refs/heads/"):
                references[name] = own
            else:  # tags, and the heads of a host's pull requests
                others += 1
        start = file.tell()
    if capabilities.get("object-format", "sha1") != "sha1":
        raise Unreadable(
            "unsupported_format", f"a bundle with object-format={capabilities['object-format'][:40]!r}: {OF_SHA256}"
        )
    if unknown := sorted({*capabilities} - {"object-format", "filter"}):
        raise Unreadable("unsupported_format", f"a bundle that needs {unknown[0][:40]!r}")
    return Header(start, references, others, tuple(prerequisites), capabilities.get("filter", ""))


class Offsets:
    """Where the objects of a pack lie, by their ids: what an index of a pack tells."""

    def __init__(self, ids: npt.NDArray[Any], at: npt.NDArray[np.uint64]) -> None:
        """Take both in any order."""
        order = np.argsort(ids.view("S20"), kind="stable")
        self._ids, self._at = ids.view("S20")[order], at[order]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._ids)

    def object_offset(self, own: bytes) -> int:
        """Return where an object begins in the file. Raises KeyError."""
        at = int(np.searchsorted(self._ids, np.frombuffer(own, "S20")[0]))
        if at < len(self._ids) and self._ids[at : at + 1].tobytes() == own:
            return int(self._at[at])
        raise KeyError(own)

    def close(self) -> None:
        """Do nothing: it holds no file."""


@dataclass(frozen=True)
class Bundle:
    """A bundle as a store of objects (gitobjects.Packs). `inflation`: the bytes that may be inflated of it, for one that is stored."""

    path: Path
    start: int
    inflation: int
    free: int
    lacks: str = ""

    def opened(self) -> tuple[Offsets, mmap.mmap]:
        """Map the file, and return where its objects lie. Raises BudgetSpent, or OSError."""
        with open(self.path, "rb") as file:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        info = self.path.stat()
        return _indexed(self, (info.st_size, info.st_mtime_ns, info.st_ino)), data


@functools.lru_cache(maxsize=1)
def _indexed(bundle: Bundle, state: tuple[int, ...]) -> Offsets:
    """Return the index of a bundle, once for the two or three times that a repository is opened. `state` changes with the file."""
    with open(bundle.path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return index(data, bundle.start, Budget(bundle.free + bundle.inflation * len(data)))


def index(data: mmap.mmap | bytes, start: int, budget: Budget) -> Offsets:
    """Return where the objects of a pack lie that begins at `start`. Raises BudgetSpent."""
    pack = _Pack(data, start, budget)
    pack.scan()
    pack.resolve()
    known = np.frombuffer(pack.known, "u1").astype(bool)
    return Offsets(np.frombuffer(pack.ids, ID)[known], np.array(pack.at, "u8")[known])


class _Pack:
    """The objects of a pack in its order: where each begins, its kind, the number of its base (-1: none here), and its id if known."""

    def __init__(self, data: mmap.mmap | bytes, start: int, budget: Budget) -> None:
        self.data, self.start, self.budget = data, start, budget
        self.at, self.kind, self.base = array("Q"), array("B"), array("q")
        self.ids, self.known = bytearray(), bytearray()
        self.by_id: dict[bytes, list[int]] = {}  # deltas whose base is named by its id
        self.named = 0

    def scan(self) -> None:
        """Walk over all entries, and hash those that are no deltas."""
        start = self.data[self.start : self.start + 12]
        if start[:4] != b"PACK" or int.from_bytes(start[4:8]) not in (2, 3):
            return
        at = self.start + 12
        for n in range(int.from_bytes(start[8:12])):
            if n == MAX_OBJECTS:
                raise BudgetSpent(f"more than {MAX_OBJECTS:,} objects in a bundle; unbundle it into a repository (git clone)")
            try:
                at = self._entry(at)
            except (CorruptObject, IndexError):
                return

    def _entry(self, begin: int) -> int:
        kind, size, at = entry_header(self.data, begin)
        base, own = -1, b"\0" * 20
        if kind == OFFSET_DELTA:
            distance, at = offset_varint(self.data, at)
            base = self._number(begin - distance)
        elif kind == REFERENCE_DELTA:
            named, at = self.data[at : at + 20], at + 20
            self.named += 1
            if self.named <= MAX_NAMED:
                self.by_id.setdefault(named, []).append(len(self.at))
        elif kind not in KINDS:
            raise CorruptObject(f"object type {kind}")
        digest = hashlib.sha1(b"%s %d\0" % (KINDS[kind].encode(), size)) if kind in KINDS else None
        end = at
        for piece, behind in _pieces(self.data, at, size, self.budget):
            end = behind
            if digest:
                digest.update(piece)
        if digest:
            own = digest.digest()
        self.at.append(begin)
        self.kind.append(kind)
        self.base.append(base)
        self.ids += own
        self.known.append(digest is not None)
        return end

    def _number(self, at: int) -> int:
        """Return the number of the entry that begins at a place."""
        found = bisect_left(self.at, at)
        return found if found < len(self.at) and self.at[found] == at else -1

    def resolve(self) -> None:
        """Make the deltas of their bases, from each object that is none on: a base is held while those made of it are due."""
        bases = np.frombuffer(self.base, "i8")
        order = np.argsort(bases, kind="stable")
        sorted_bases = bases[order]

        def made_of(number: int) -> Iterator[int]:
            first, last = (int(np.searchsorted(sorted_bases, number, side)) for side in ("left", "right"))
            yield from (int(n) for n in order[first:last])
            yield from self.by_id.pop(bytes(self.ids[20 * number : 20 * number + 20]), ())

        has = np.zeros(len(self.at) + 1, bool)
        has[bases[bases >= 0]] = True
        for root in range(len(self.at)):
            if self.known[root] and self.kind[root] in KINDS and (has[root] or self.by_id):
                self._from(root, made_of)

    def _from(self, root: int, made_of: Callable[[int], Iterator[int]]) -> None:
        kind = KINDS[self.kind[root]].encode()
        way = [(root, made_of(root))]  # objects, each made of the one before
        held = _Held()
        while way:
            number, due = way[-1]
            child = next(due, None)
            if child is None or len(way) >= MAX_CHAIN:
                held.drop(number)
                way.pop()
                continue
            try:
                if number not in held.contents:
                    held.add(number, self._again([n for n, _ in way], held.contents))
                made = self._made(child, held.contents[number])
            except (CorruptObject, IndexError):
                continue  # its id stays unknown, and so do those of what is made of it
            self.ids[20 * child : 20 * child + 20] = hashlib.sha1(b"%s %d\0" % (kind, len(made)) + made).digest()
            self.known[child] = 1
            held.add(child, made)
            way.append((child, made_of(child)))

    def _again(self, way: list[int], contents: Mapping[int, bytes]) -> bytes:
        """Return the content of the last object of a way, made of the nearest that is held."""
        have = next((k for k in range(len(way) - 1, -1, -1) if way[k] in contents), -1)
        made = contents[way[have]] if have >= 0 else self._inflated(way[0])
        for number in way[max(have, 0) + 1 :]:
            made = self._made(number, made)
        return made

    def _made(self, number: int, base: bytes) -> bytes:
        delta = self._inflated(number)
        result, _ = varint(delta, varint(delta, 0)[1])
        if result > MIN_BASE_BYTES:
            raise CorruptObject("too large to be held")
        self.budget.take(result)
        try:
            return b"".join(apply_delta(base, delta))
        except Exception as error:  # so does the reader of deltas
            if is_of_the_machine(error):
                raise
            raise CorruptObject(f"{type(error).__name__}: {str(error)[:100]}") from None

    def _inflated(self, number: int) -> bytes:
        kind, size, at = entry_header(self.data, self.at[number])
        if size > MIN_BASE_BYTES:
            raise CorruptObject("too large to be held")
        at = offset_varint(self.data, at)[1] if kind == OFFSET_DELTA else at + 20 * (kind == REFERENCE_DELTA)
        return b"".join(piece for piece, _ in _pieces(self.data, at, size, self.budget))


class _Held:
    """Contents that are held, up to HELD bytes: the one that came first goes first, and the last one stays."""

    def __init__(self) -> None:
        self.contents: dict[int, bytes] = {}
        self._size = 0

    def add(self, number: int, content: bytes) -> None:
        self.contents[number] = content
        self._size += len(content)
        while self._size > HELD and len(self.contents) > 1:
            self.drop(next(iter(self.contents)))

    def drop(self, number: int) -> None:
        self._size -= len(self.contents.pop(number, b""))


def _pieces(data: mmap.mmap | bytes, at: int, size: int, budget: Budget) -> Iterator[tuple[bytes, int]]:
    """Yield what a stream inflates to in pieces, each with the place behind what was read. Raises CorruptObject or BudgetSpent."""
    if size > MOST_INFLATION * (len(data) - at) + STEP:  # no stream does: the header is damaged
        raise CorruptObject(f"{size} bytes are more than the rest of the pack can hold")
    budget.take(size)
    stream, made, window = isal_zlib.decompressobj(), 0, data[at : at + min(STEP, size + size // 64 + 64)]
    at += len(window)
    while not stream.eof:
        try:
            piece = stream.decompress(window, STEP)
        except Exception as error:
            if is_of_the_machine(error):
                raise
            raise CorruptObject(f"{type(error).__name__}: {str(error)[:100]}") from None
        made += len(piece)
        if made > size:
            raise CorruptObject("an object is longer than its header says")
        window = stream.unconsumed_tail
        if not window and not stream.eof:
            window = data[at : at + STEP]
            at += len(window)
            if not window and not piece:
                raise CorruptObject("the pack is cut off")
        yield piece, at - len(stream.unused_data)
    if made != size:
        raise CorruptObject(f"{made} bytes where the header says {size}")
