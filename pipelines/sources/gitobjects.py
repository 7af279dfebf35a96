"""Git's object store, read with limits: sizes are known before anything is inflated, every object is checked against its id.

Loose objects and packs with deltas (gitformat-pack), without git, hooks, configuration, or alternates. Only SHA-1 stores.
"""

import mmap
import zlib
from pathlib import Path

from dulwich.object_format import SHA1
from dulwich.pack import PackIndex, load_pack_index

from starmill.core.swhid import object_id

KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
OFFSET_DELTA, REFERENCE_DELTA = 6, 7
MAX_CHAIN = 4096  # git itself stops at 4095


class MissingObject(LookupError):
    """No loose object and no pack has this id."""


class CorruptObject(ValueError):
    """The object is there, and cannot be read or is not what its id says."""


class ObjectTooLarge(ValueError):
    """The object is larger than the limit; `size` is its size in bytes."""

    def __init__(self, size: int) -> None:
        """Keep the size."""
        super().__init__(f"{size} bytes")
        self.size = size


class ObjectStore:
    """The objects below a git directory. Use as a context manager: packs are mapped into memory."""

    def __init__(self, folder: Path) -> None:
        """Open nothing yet but the list of packs; a pack whose index cannot be read is left out."""
        self._folder = folder
        self._packs: list[tuple[PackIndex, mmap.mmap]] = []
        for path in sorted((folder / "pack").glob("*.idx")):
            try:
                with open(path.with_suffix(".pack"), "rb") as file:
                    self._packs.append((load_pack_index(str(path), SHA1), mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
            except (OSError, ValueError, AssertionError, KeyError):
                continue

    def __enter__(self) -> "ObjectStore":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Unmap the packs."""
        for index, data in self._packs:
            index.close()
            data.close()

    def read(self, hex_id: str, kind: str, max_bytes: int) -> bytes:
        """Return an object of this kind. Raises MissingObject, CorruptObject or ObjectTooLarge."""
        try:
            found, data = self._loose(hex_id, max_bytes) or self._packed(hex_id, max_bytes)
        except (zlib.error, IndexError, OSError, AssertionError, OverflowError) as error:
            raise CorruptObject(f"{type(error).__name__}: {error}") from None
        if found != kind or object_id(kind, data) != hex_id:
            raise CorruptObject(f"a {found} of {len(data)} bytes is not {kind} {hex_id}")
        return data

    def _loose(self, hex_id: str, max_bytes: int) -> tuple[str, bytes] | None:
        path = self._folder / hex_id[:2] / hex_id[2:]
        if not path.is_file():
            return None
        if path.stat().st_size > 2 * max_bytes + 4096:  # deflate never doubles: what it holds is larger than the limit
            raise ObjectTooLarge(path.stat().st_size)
        raw = path.read_bytes()
        start = zlib.decompressobj().decompress(raw, 64)
        header, nul, _ = start.partition(b"\0")
        kind, _, size = header.partition(b" ")
        if not nul or not size.isdigit():
            raise CorruptObject("no header of a loose object")
        data = _inflate(raw, len(header) + 1 + int(size), max_bytes)
        return kind.decode("ascii", "replace"), data[len(header) + 1 :]

    def _packed(self, hex_id: str, max_bytes: int) -> tuple[str, bytes]:
        for index, data in self._packs:
            try:
                offset = index.object_offset(bytes.fromhex(hex_id))
            except KeyError:
                continue
            return self._resolve(data, index, int(offset), max_bytes)
        raise MissingObject(hex_id)

    def _resolve(self, data: mmap.mmap, index: PackIndex, offset: int, max_bytes: int) -> tuple[str, bytes]:
        deltas: list[bytes] = []
        for _ in range(MAX_CHAIN):
            kind, size, at = _entry_header(data, offset)
            # A base may be somewhat larger than what is wanted of it, a delta never is.
            limit = max_bytes if not deltas else 4 * max_bytes
            if kind in KINDS:
                content = _inflate(data[at : at + size + 1024 + size // 100], size, limit)
                for delta in reversed(deltas):
                    content = _apply(content, delta)
                return KINDS[kind], content
            if kind == OFFSET_DELTA:
                distance, at = _offset_varint(data, at)
                base = offset - distance
                if not 0 < base < offset:
                    raise CorruptObject("a delta's base lies outside of the pack")
            elif kind == REFERENCE_DELTA:
                base = int(index.object_offset(data[at : at + 20]))
                at += 20
            else:
                raise CorruptObject(f"object type {kind}")
            delta = _inflate(data[at : at + size + 1024 + size // 100], size, 4 * max_bytes)
            result, _ = _varint(delta, _varint(delta, 0)[1])
            if result > limit:
                raise ObjectTooLarge(result)
            deltas.append(delta)
            offset = base
        raise CorruptObject("a chain of deltas that does not end")


def _inflate(raw: bytes, size: int, max_bytes: int) -> bytes:
    if size > max_bytes:
        raise ObjectTooLarge(size)
    data = zlib.decompressobj().decompress(raw, size + 1)
    if len(data) != size:
        raise CorruptObject(f"{len(data)} bytes where the header says {size}")
    return data


def _apply(base: bytes, delta: bytes) -> bytes:
    # Checked at each step: a delta of copies can ask for far more than its header admits.
    (_, at), (expected, at) = (first := _varint(delta, 0)), _varint(delta, first[1])
    out = bytearray()
    while at < len(delta):
        op, at = delta[at], at + 1
        if op & 0x80:
            offset = size = 0
            for i in range(4):
                if op >> i & 1:
                    offset, at = offset | delta[at] << 8 * i, at + 1
            for i in range(3):
                if op >> (4 + i) & 1:
                    size, at = size | delta[at] << 8 * i, at + 1
            out += base[offset : offset + (size or 0x10000)]
        else:
            out += delta[at : at + op]
            at += op
        if len(out) > expected:
            break
    if len(out) != expected:
        raise CorruptObject("a delta that does not give what its header says")
    return bytes(out)


def _entry_header(data: mmap.mmap, offset: int) -> tuple[int, int, int]:
    byte = data[offset]
    kind, size, shift, at = (byte >> 4) & 7, byte & 15, 4, offset + 1
    while byte & 0x80:
        byte = data[at]
        size |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
    return kind, size, at


def _offset_varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    byte = data[at]
    value, at = byte & 0x7F, at + 1
    while byte & 0x80:
        byte = data[at]
        value, at = ((value + 1) << 7) | (byte & 0x7F), at + 1
    return value, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if not byte & 0x80:
            return value, at
