"""The portrait of a release: a Bloom filter that says whether a text is in it, at 0.02 bytes per byte of the release.

Every text is squashed and cut into grams of 50 characters, one after the other; a text that is asked about is cut at every character. So
50 characters in a row are found if they stand where the release was cut, and 99 in a row hold 50 that do: they are never missed. The
source is data-portraits (Marone and Van Durme 2023), without its server: the filter is a file that is mapped. The filter lies in
partitions by hash, since workers make it; its bits are an OR, so that no order and no number of workers changes a byte.

A partition is a header of 64 bytes and then the bits: bit b is bit b % 8 of byte b // 8. All numbers are little-endian.
"""

import functools
import mmap
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from starmill.core.dataset import Workspace, part_path
from starmill.core.errors import InputError
from starmill.transforms.attribution import kernel
from starmill.transforms.attribution.squash import Squashed
from starmill.transforms.buffers import text_buffers

DATASET, SUFFIX, RELEASE = "portrait", "bloom", "dataset"
PROBES = 7  # bits of a gram: the best number for 10 bits a gram
BYTES_PER_BIT = 6.25  # of the release: 0.02 bytes a byte, about 10 bits a gram, since white space is squashed
PARTITION_BYTES = 800 << 20  # of the release: 16 MiB of the filter, which stay in a worker's cache
MOST_PARTITIONS = 1 << 16
# Magic, version, characters of a gram, stride, bits of a gram, rules of white space, number and count of partitions, bits, grams, digest.
HEADER = struct.Struct("<8sHHHHHxxIIQQ16s")
MAGIC, VERSION, RULES = b"starport", 1, 1


class Shape(NamedTuple):
    """How many partitions a portrait has, and bits each: of the size of the release alone."""

    partitions: int
    bits: int

    @classmethod
    def of(cls, size: int) -> "Shape":
        """Return the shape for a release of `size` bytes of text.

        >>> Shape.of(60_000_000)
        Shape(partitions=1, bits=9600000)
        """
        partitions = min(MOST_PARTITIONS, 1 + size // PARTITION_BYTES)
        return cls(partitions, min((1 << 32) - 64, 64 * (1 + int(size / BYTES_PER_BIT / partitions - 1) // 64)) if size else 64)


class Part(NamedTuple):
    """A partition's header: its number, and how many grams were put into it. `digest`: 16 bytes of that of the release."""

    number: int
    shape: Shape
    grams: int
    digest: bytes

    def packed(self) -> bytes:
        """Return the 64 bytes."""
        fixed = (MAGIC, VERSION, kernel.WIDTH, kernel.WIDTH, PROBES, RULES)
        return HEADER.pack(*fixed, self.number, self.shape.partitions, self.shape.bits, self.grams, self.digest)

    @classmethod
    def read(cls, data: bytes, size: int, where: str) -> "Part":
        """Read the header of a file of `size` bytes. Raises InputError for anything else."""
        try:
            magic, *fixed, number, partitions, bits, grams, digest = HEADER.unpack(data)
        except struct.error:
            magic = b""
        if magic != MAGIC:
            raise InputError(f"{where}: not a portrait (wrong magic); run `starmill portrait` again")
        if fixed != [VERSION, kernel.WIDTH, kernel.WIDTH, PROBES, RULES]:
            raise InputError(f"{where}: a portrait of another version ({fixed}); run `starmill portrait` again")
        if size != HEADER.size + bits // 8:
            raise InputError(f"{where}: {size} bytes do not hold {bits} bits; it is cut off: run `starmill portrait` again")
        return cls(number, Shape(partitions, bits), grams, digest)


def tiles(texts: pa.Array) -> np.ndarray:
    """Return the hashes, uint64, of the grams into which texts are cut, one after the other; the rest of a text is in none."""
    data, offsets = text_buffers(texts)
    out = np.empty(int(offsets[-1] - offsets[0]) // kernel.WIDTH + 1, np.uint64)
    return out[: kernel.tiles_of(data, offsets, kernel.TURNS, kernel.WRITTEN, out)]


def partition_of(hashes: np.ndarray, partitions: int) -> np.ndarray:
    """Return the partition of each hash, int64."""
    return ((hashes >> np.uint64(48)) * np.uint64(partitions) >> np.uint64(16)).astype(np.int64)


def made(number: int, shape: Shape, hashes: Sequence[np.ndarray], digest: bytes) -> bytes:
    """Return a partition over its hashes, in any order and any number of arrays."""
    bits = np.zeros(shape.bits // 8, np.uint8)
    for some in hashes:
        kernel.mark(some, PROBES, shape.bits, bits)
    return Part(number, shape, sum(map(len, hashes)), digest).packed() + bits.tobytes()


@dataclass(frozen=True)
class Overlap:
    """Characters [start, end) of a text that are in a release, `grams` of them one after the other: more than one is hardly chance."""

    start: int
    end: int
    grams: int


@dataclass(frozen=True)
class Portrait:
    """The portrait of a finished workspace. Files of this machine are mapped; of a bucket, a partition is read when it is first asked."""

    workspace: Workspace

    def __post_init__(self) -> None:
        """Raise InputError where there is none."""
        self.shape  # noqa: B018

    @functools.cached_property
    def shape(self) -> Shape:
        """How many partitions it has, and bits each. Raises InputError where there is none, or that of an earlier release."""
        manifest = self.workspace.manifest(DATASET)
        if manifest is None:
            raise InputError(
                f"{self.workspace.root}: no {DATASET}/manifest.json, so no portrait; run `starmill portrait` first"
            )
        first, release = self._part(0)[0], self.workspace.manifest(RELEASE)
        if release is not None and bytes.fromhex(release.digest)[:16] != first.digest:  # without one it was copied alone
            raise InputError(
                f"{self.workspace.root}: its portrait is that of an earlier release; run `starmill portrait` again"
            )
        return first.shape

    @functools.cached_property
    def _parts(self) -> dict[int, tuple[Part, np.ndarray]]:
        return {}

    def _part(self, number: int) -> tuple[Part, np.ndarray]:
        if number not in self._parts:
            path = part_path(DATASET, number, SUFFIX)
            where = self.workspace.path(path)
            try:
                if self.workspace.is_local:
                    with open(where, "rb") as file:
                        data: bytes | mmap.mmap = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                else:
                    data = self.workspace.read(path)
            except (FileNotFoundError, ValueError):
                raise InputError(f"{where}: not there, or empty; run `starmill portrait` again") from None
            part = Part.read(data[: HEADER.size], len(data), where)
            self._parts[number] = part, np.frombuffer(data, np.uint8, offset=HEADER.size)
        return self._parts[number]

    def has(self, hashes: np.ndarray) -> np.ndarray:
        """Return for each hash of a gram whether it is in the release, bool: a true one may be chance, a false one never."""
        found = np.zeros(len(hashes), np.bool_)
        partitions = partition_of(hashes, self.shape.partitions)
        for number in np.unique(partitions).tolist():
            part, bits = self._part(number)
            chosen = np.flatnonzero(partitions == number)
            out = np.empty(len(chosen), np.bool_)
            kernel.has(hashes[chosen], PROBES, part.shape.bits, bits, out)
            found[chosen] = out
        return found

    def overlaps(self, text: str) -> list[Overlap]:
        """Return what of a text is in the release, in order; what touches or overlaps is one."""
        asked = Squashed.of(text)
        found = self.has(asked.grams)
        chain = np.zeros(len(found) + kernel.WIDTH, np.int64)  # grams in a row that end with this one, a stride apart
        spans: list[list[int]] = []
        for at in np.flatnonzero(found).tolist():
            chain[at + kernel.WIDTH - 1] = chain[at - 1] + 1 if at else 1
            longest = int(chain[at + kernel.WIDTH - 1])
            if spans and at <= spans[-1][1]:
                spans[-1][1], spans[-1][2] = at + kernel.WIDTH, max(spans[-1][2], longest)
            else:
                spans.append([at, at + kernel.WIDTH, longest])
        offset = asked.starts
        return [Overlap(*asked.characters_of(int(offset[a]), int(offset[b])), grams) for a, b, grams in spans]
