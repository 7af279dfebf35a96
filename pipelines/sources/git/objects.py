"""Git's object store, read with limits: sizes are known before anything is inflated, every object is checked against its id.

Loose objects and packs with deltas (gitformat-pack), without git, hooks or configuration. Only SHA-1 stores. Whatever the bytes
on the disk are, reading ends in the object, MissingObject, CorruptObject, ObjectTooLarge or BudgetSpent, in bounded memory. A link that
leads out of the input is not followed: what lies behind it is missing.
"""

import mmap
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from dulwich.object_format import SHA1
from dulwich.pack import apply_delta, load_pack_index
from isal import isal_zlib

from starmill.core.errors import MachineError, is_of_the_machine, of_a_file
from starmill.core.swhid import object_id

KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
OFFSET_DELTA, REFERENCE_DELTA = 6, 7
MAX_CHAIN = 4096  # git itself stops at 4095
MAX_PACKS = 400  # each takes two handles of files, and a process has some thousand; git itself gathers packs at 50
MIN_BASE_BYTES = 64 << 20  # what the base of a delta, and all deltas of a chain, may always take


class MissingObject(LookupError):
    """No loose object and no pack has this id."""


class CorruptObject(ValueError):
    """The object is there, and cannot be read or is not what its id says."""


class NotFollowed(CorruptObject):
    """The object is there, and a limit of what looked for it leaves it out."""


class ObjectTooLarge(ValueError):
    """The object, or the chain of deltas that gives it, is larger than the limit; `size` is the object's in bytes."""

    def __init__(self, size: int, needs: str = "") -> None:
        """Keep the size; `needs` says what else was too large."""
        super().__init__(needs or f"{size} bytes")
        self.size = size


class BudgetSpent(ValueError):
    """The objects that were read before took all bytes that may be inflated."""


class Trees(Protocol):
    """What trees are read from."""

    def read(self, hex_id: str, kind: str, max_bytes: int) -> bytes:
        """Return an object of this kind. Raises MissingObject, CorruptObject, ObjectTooLarge or BudgetSpent."""


class Offsets(Protocol):
    """An index of a pack."""

    def object_offset(self, own: bytes, /) -> int:
        """Return where an object begins. Raises KeyError."""

    def close(self) -> None:
        """Let go of the file."""


class Packs(Protocol):
    """A pack that lies in another file than a folder of objects has; `lacks` says what was left out of it, if anything."""

    @property
    def lacks(self) -> str:
        """What was left out."""

    def opened(self) -> tuple[Offsets, mmap.mmap]:
        """Return its index, and its file. Raises BudgetSpent or OSError."""


class Budget:
    """The bytes that may still be inflated, or put together from deltas. One that was spent stays so."""

    def __init__(self, left: int = 1 << 62) -> None:
        """Start with so many bytes; by default with more than any store holds."""
        self.left = left

    def take(self, size: int) -> None:
        """Count bytes before they are made. Raises BudgetSpent."""
        self.left -= size
        if self.left < 0:
            self.left = -1
            raise BudgetSpent("too many bytes to inflate")


def inside(path: str | Path, root: str | Path) -> Path | None:
    """Return where a path really leads, or None where that is not below `root`."""
    real = Path(os.path.realpath(path))
    return real if real.is_relative_to(os.path.realpath(root)) else None


class ObjectStore:
    """The objects below `objects` folders, or in packs of other files, the nearest first.

    Use as a context manager: packs are mapped into memory.

    `root`: what links may not lead out of.
    """

    def __init__(self, places: Sequence[Path | Packs], root: Path, budget: Budget | None = None) -> None:
        """Map the packs; one that cannot be opened, or is beyond MAX_PACKS, is left out: its objects are missing."""
        folders = [place for place in places if isinstance(place, Path)]
        self._folders, self._root, self._budget = folders, Path(os.path.realpath(root)), budget or Budget()
        self._fans: dict[tuple[Path, str], Path | None] = {}
        self._packs: list[tuple[Offsets, mmap.mmap]] = [place.opened() for place in places if not isinstance(place, Path)]
        listed = [pack for folder in folders if (pack := inside(folder / "pack", root))]
        for found in [p for folder in listed for p in sorted(folder.glob("*.idx"))][:MAX_PACKS]:
            path, pack = inside(found, root), inside(found.with_suffix(".pack"), root)
            if not (path and pack and path.is_file() and pack.is_file()):
                continue
            try:
                with open(pack, "rb") as file:
                    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                self._packs.append((load_pack_index(str(path), SHA1), data))
            except Exception as error:  # bytes that no git wrote make an index's reader raise anything
                if is_of_the_machine(error):
                    raise

    def __enter__(self) -> "ObjectStore":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Unmap the packs."""
        for index, data in self._packs:
            index.close()
            data.close()

    def read(self, hex_id: str, kind: str, max_bytes: int) -> bytes:
        """Return an object of this kind, from its first good copy.

        Raises MissingObject, CorruptObject, ObjectTooLarge or BudgetSpent; what is the machine's trouble (OSError, MemoryError), as it is.
        """
        trouble: LookupError | ValueError = MissingObject(hex_id)
        for copy in self._copies(hex_id, max_bytes):
            try:
                found, data = copy()
            except (CorruptObject, ObjectTooLarge) as error:
                trouble = error
            except BudgetSpent:
                raise
            except Exception as error:  # so do isal and the reader of deltas
                if is_of_the_machine(error):
                    raise
                trouble = CorruptObject(f"{type(error).__name__}: {str(error)[:100]}")
            else:
                if found == kind and object_id(kind, data) == hex_id:
                    return data
                trouble = CorruptObject(f"{len(data)} bytes of a {found} are not what the id says")
        raise trouble

    def _copies(self, hex_id: str, max_bytes: int) -> Iterator[Callable[[], tuple[str, bytes]]]:
        for folder in self._folders:
            fan = folder, hex_id[:2]
            if fan not in self._fans:
                self._fans[fan] = inside(folder / hex_id[:2], self._root)
            if (place := self._fans[fan]) and (path := self._file(f"{place}/{hex_id[2:]}")):
                yield partial(_loose, path, max_bytes, self._budget)
        for index, data in self._packs:
            try:
                offset = int(index.object_offset(bytes.fromhex(hex_id)))
            except Exception:  # KeyError: not in this pack; all others: a broken index
                continue
            yield partial(_packed, data, index, offset, max_bytes, self._budget)

    def _file(self, path: str) -> str | None:
        # os.path.isfile would take a disk that does not answer for a file that is not there.
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode) and (real := inside(path, self._root)):
                path, mode = str(real), os.lstat(real).st_mode
        except OSError as error:
            of_a_file(error, path)
            return None
        return path if stat.S_ISREG(mode) else None


def _loose(path: str, max_bytes: int, budget: Budget) -> tuple[str, bytes]:
    on_disk = os.stat(path).st_size
    if on_disk > 2 * max_bytes + 4096:  # deflate never doubles: what it holds is larger than the limit
        raise ObjectTooLarge(on_disk)
    budget.take(on_disk)
    with open(path, "rb") as file:
        raw = file.read()
    header, nul, _ = isal_zlib.decompressobj().decompress(raw, 64).partition(b"\0")
    kind, _, size = header.partition(b" ")
    if not nul or not size.isdigit():
        raise CorruptObject("no header of a loose object")
    if int(size) > max_bytes:
        raise ObjectTooLarge(int(size))
    start = len(header) + 1
    return kind.decode("ascii", "replace"), _inflate(raw, 0, start + int(size), budget)[start:]


def _packed(data: mmap.mmap, index: Offsets, offset: int, max_bytes: int, budget: Budget) -> tuple[str, bytes]:
    if data.size() < len(data):  # the kernel ends a process that reads beyond a file's end
        raise MachineError("a pack became shorter while it was read; run again when nothing writes this repository")
    deltas: list[bytes] = []
    results = 0  # of all deltas of the chain, in bytes
    wanted, largest = 0, max(4 * max_bytes, MIN_BASE_BYTES)
    left = largest  # for all deltas of the chain together
    for _ in range(MAX_CHAIN):
        kind, size, at = entry_header(data, offset)
        if kind in KINDS:
            _check(size, wanted if deltas else size, largest if deltas else max_bytes)
            budget.take(results)
            content = _inflate(data, at, size, budget)
            for delta in reversed(deltas):
                content = b"".join(apply_delta(content, delta))
            return KINDS[kind], content
        if kind == OFFSET_DELTA:
            distance, at = offset_varint(data, at)
            base = offset - distance
            if not 0 < base < offset:
                raise CorruptObject("a delta's base lies outside of the pack")
        elif kind == REFERENCE_DELTA:
            base = int(index.object_offset(data[at : at + 20]))
            at += 20
        else:
            raise CorruptObject(f"object type {kind}")
        _check(size, wanted or size, left)
        left -= size
        delta = _inflate(data, at, size, budget)
        result, _ = varint(delta, varint(delta, 0)[1])
        wanted = wanted if deltas else result
        _check(result, wanted, largest if deltas else max_bytes)
        results += result
        deltas.append(delta)
        offset = base
    raise CorruptObject("a chain of deltas that does not end")


def _check(needed: int, wanted: int, limit: int) -> None:
    if needed > limit:
        raise ObjectTooLarge(wanted, "" if needed == wanted else f"its deltas need {needed} bytes")


def _inflate(raw: mmap.mmap | bytes, at: int, size: int, budget: Budget) -> bytes:
    budget.take(size)
    # Deflate adds at most 5 bytes to each block; what a caller asks for has passed its limit.
    data = isal_zlib.decompressobj().decompress(raw[at : at + size + size // 64 + 1024], size + 1)
    if len(data) != size:
        raise CorruptObject(f"{len(data)} bytes where the header says {size}")
    return data


def entry_header(data: mmap.mmap | bytes, offset: int) -> tuple[int, int, int]:
    """Return the type, the size and the place of the stream of an entry of a pack. Raises CorruptObject or IndexError."""
    byte = data[offset]
    kind, size, shift, at = (byte >> 4) & 7, byte & 15, 4, offset + 1
    while byte & 0x80:
        byte = data[at]
        size |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if shift > 70:
            raise CorruptObject("a size of more than 64 bits")
    return kind, size, at


def offset_varint(data: mmap.mmap | bytes, at: int) -> tuple[int, int]:
    """Return the distance to a delta's base, and the place behind it. Raises CorruptObject or IndexError."""
    end = at + 10
    byte = data[at]
    value, at = byte & 0x7F, at + 1
    while byte & 0x80:
        if at > end:
            raise CorruptObject("an offset of more than 64 bits")
        byte = data[at]
        value, at = ((value + 1) << 7) | (byte & 0x7F), at + 1
    return value, at


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a size in a delta, and the place behind it. Raises CorruptObject or IndexError."""
    value = shift = 0
    while shift <= 63:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            return value, at
    raise CorruptObject("a size of more than 64 bits")
