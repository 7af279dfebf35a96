"""Which parts hold a path, an id or a repository: found in two small reads of a few files, however many parts there are.

The first stage writes beside each part the sorted hashes of its names (`hashes/part-00007.bin`, HASH bytes each). Who writes the manifest
merges those of neighbouring parts into groups, each one file, `hashes/<first part>-<digest of what it was made of>.bin`:

    fan-out: uint32[2**bits + 1]      where the entries begin whose hashes begin with these bits; the last one is their number
    entries: uint64[n], sorted        a hash (48 bits), and the part, counted from the group's first (16 bits); all little-endian

`hashes/groups.json` comes last, and names the groups and the manifest. A group is a range of parts of a power of two, as large as ENTRIES
allows: a part that changes leaves all groups but its own as they are. A hash only says where to look, so that a row that is gone, or
another name of the same hash, costs a look and changes no answer.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from starmill.core.part import Manifest, part_number

FOLDER = "hashes"
LIST = f"{FOLDER}/groups.json"
HASH = 6  # bytes: of 10**10 names, one look in 30,000 is in vain
ENTRIES = 1 << 24  # of a group at most, 128 MB: their writer holds about three times that
PARTS = 1 << 16  # of a group at most
FEW = 256  # entries that a look reads, about


@dataclass(frozen=True)
class Group:
    """One file of hashes: of the parts from `first` on; `bits` of a hash lead into the file's fan-out."""

    path: str
    first: int
    bits: int


@dataclass(frozen=True)
class Groups:
    """`hashes/groups.json`: `digest` is that of the manifest whose parts the groups hold."""

    digest: str
    groups: tuple[Group, ...]


def of(name: str) -> int:
    """Return the hash of a name: a path as it stands in a row, an id in hexadecimal digits, or what `file` and `repository` return.

    >>> f"{of('/lib/heapq.py'):012x}"
    'edd9337f5162'
    """
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=HASH).digest(), "little")


def file(path: str) -> str:
    """Return the name by which a file is found whose folder is not known.

    >>> file("/lib/heapq.py")
    ':heapq.py'
    """
    return f":{path.rpartition('/')[2]}"


def repository(name: str) -> str:
    """Return the name by which the records of a repository are found."""
    return f"in {name}"


def packed(hashes: Iterable[int]) -> bytes:
    """Return hashes as a part's file holds them: each once, sorted.

    >>> packed([258, 1, 258]).hex(" ", 6)
    '010000000000 020100000000'
    """
    each = np.unique(np.fromiter(hashes, np.dtype("<u8")))
    return each.view(np.uint8).reshape(-1, 8)[:, :HASH].tobytes()


def merged(files: Iterable[bytes]) -> bytes:
    """Return the bytes of a group's file, from the files of its parts, in order."""
    shift = np.uint64(16)
    entries = np.concatenate(
        [np.zeros(0, np.uint64), *(_unpacked(data) << shift | np.uint64(k) for k, data in enumerate(files))]
    )
    entries.sort()
    bits = bits_of(len(entries))
    starts = np.arange(1, 1 << bits, dtype=np.uint64) << np.uint64(64 - bits) if bits else np.zeros(0, np.uint64)
    fan_out = np.array([0, *np.searchsorted(entries, starts), len(entries)], "<u4")
    return fan_out.tobytes() + entries.astype("<u8").tobytes()


def ranges(sizes: Sequence[int]) -> Iterator[range]:
    """Yield the parts of each group, from the number of hashes of each part: halves of halves of all, until a group holds them.

    >>> [*ranges([ENTRIES, 1, 2, 3, 4])]
    [range(0, 1), range(1, 2), range(2, 4), range(4, 5)]
    """
    sums = [0]
    for size in sizes:
        sums.append(sums[-1] + size)
    ahead = [range(1 << max(0, len(sizes) - 1).bit_length())] if sizes else []
    while ahead:
        some = ahead.pop()
        here = range(some.start, min(some.stop, len(sizes)))
        if len(here) <= 1 or (len(some) <= PARTS and sums[here.stop] - sums[here.start] <= ENTRIES):
            if here:
                yield here
        else:
            half = some.start + len(some) // 2
            ahead += [range(half, some.stop), range(some.start, half)]


def planned(manifest: Manifest) -> list[tuple[Group, tuple[str, ...]]]:
    """Return the groups of a dataset's parts, each with the files that it is made of; none where a part has no hashes."""
    mine = f"{FOLDER}/"
    files = [o for part in manifest.parts for o in part.outputs if o.path.startswith(mine)]
    if len(files) < len(manifest.parts):  # an older starmill made some
        return []
    made = []
    for some in ranges([o.bytes // HASH for o in files]):
        here = files[some.start : some.stop]
        digest = hashlib.sha256("".join(f"{o.sha256}\n" for o in here).encode()).hexdigest()[:16]
        size = sum(o.bytes for o in here) // HASH
        made.append((Group(f"{FOLDER}/{some.start:05d}-{digest}.bin", some.start, bits_of(size)), tuple(o.path for o in here)))
    return made


def bits_of(entries: int) -> int:
    """Return how many bits of a hash lead into the fan-out of so many entries."""
    return max(0, math.ceil(math.log2(max(1, entries) / FEW)))


def stale(there: Iterable[str], groups: Sequence[Group]) -> list[str]:
    """Return those of the folder's files that are a group's, and none of these groups'."""
    kept = {LIST, *(group.path for group in groups)}
    return sorted(path for path in there if path not in kept and part_number(path.rpartition("/")[2]) is None)


def fan_out(bits: int, name: int) -> tuple[int, int]:
    """Return [start, end) of the bytes of a group's file that say which entries may have a hash."""
    at = name >> (8 * HASH - bits)
    return 4 * at, 4 * at + 8


def entries(bits: int, fan_out: bytes) -> tuple[int, int]:
    """Return [start, end) of the bytes of the entries that a piece of the fan-out names."""
    head = 4 * ((1 << bits) + 1)
    first, last = (int(at) for at in np.frombuffer(fan_out, "<u4"))
    return head + 8 * first, head + 8 * last


def parts_of(name: int, entries: bytes) -> list[int]:
    """Return the parts, counted in their group, whose entries have a hash.

    >>> data, bits = merged([packed([7]), packed([8]), packed([7, 9])]), bits_of(4)
    >>> parts_of(7, data[slice(*entries(bits, data[slice(*fan_out(bits, 7))]))])
    [0, 2]
    """
    held = np.frombuffer(entries, "<u8")
    return [int(part) for part in held[held >> np.uint64(16) == name] & np.uint64(PARTS - 1)]


def _unpacked(data: bytes) -> np.ndarray:
    whole = np.zeros((len(data) // HASH, 8), np.uint8)
    whole[:, :HASH] = np.frombuffer(data, np.uint8).reshape(-1, HASH)
    return whole.view("<u8").ravel().astype(np.uint64)
