"""The object store alone, on packs that git made and on bytes that no git would make: bounded memory, one of three errors."""

import os
import random
import struct
import subprocess
import sys
import zlib
from hashlib import sha1
from pathlib import Path

import pytest

from starmill.core.errors import MachineError
from starmill.core.swhid import object_id
from starmill.pipelines.sources.git.objects import CorruptObject, MissingObject, ObjectStore, ObjectTooLarge

MIB = 1 << 20


def git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    clean = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(["git", *arguments], cwd=folder, env=clean, input=given, check=True, capture_output=True).stdout


def varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def header(kind: int, size: int) -> bytes:
    first = kind << 4 | size & 15
    return bytes([first]) if size < 16 else bytes([first | 128]) + varint(size >> 4)


def write_pack(objects: Path, entries: list[tuple[str, bytes]]) -> ObjectStore:
    """A pack (version 2) of raw entries, each filed in the index under an id; an entry may name its predecessor by distance."""
    body, offsets = b"PACK" + struct.pack(">LL", 2, len(entries)), {}
    for hex_id, raw in entries:
        offsets[bytes.fromhex(hex_id)] = len(body)
        body += raw
    body += sha1(body).digest()
    ids = sorted(offsets)
    fan = b"".join(struct.pack(">L", sum(i[0] <= b for i in ids)) for b in range(256))
    index = b"\377tOc" + struct.pack(">L", 2) + fan + b"".join(ids) + b"\0\0\0\0" * len(ids)
    index += b"".join(struct.pack(">L", offsets[i]) for i in ids) + body[-20:]
    (objects / "pack").mkdir(parents=True, exist_ok=True)
    (objects / "pack/pack-1.pack").write_bytes(body)
    (objects / "pack/pack-1.idx").write_bytes(index + sha1(index).digest())
    return ObjectStore([objects], objects)


def whole(data: bytes, kind: int = 3) -> bytes:
    return header(kind, len(data)) + zlib.compress(data)


def delta(distance: int, data: bytes) -> bytes:
    digits = [distance & 127]
    while distance := distance >> 7:
        distance -= 1
        digits.append(distance & 127 | 128)
    return header(6, len(data)) + bytes(reversed(digits)) + zlib.compress(data)


def test_all_objects_of_a_repository_as_cat_file_gives_them(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    lines = [b"line %d\n" % i for i in range(300)]
    for n in range(30):
        lines[n] = b"changed %d\n" % n
        git(tmp_path, "hash-object", "-w", "--stdin", given=b"".join(lines))
    ids = git(tmp_path, "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").decode().split()
    git(tmp_path, "pack-objects", "-q", ".git/objects/pack/pack", given="\n".join(ids).encode())
    git(tmp_path, "prune-packed", "-q")
    with ObjectStore([tmp_path / ".git/objects"], tmp_path) as store:
        assert len(ids) == 30 and not list((tmp_path / ".git/objects").glob("[0-9a-f]?"))
        for hex_id in ids:
            assert store.read(hex_id, "blob", MIB) == git(tmp_path, "cat-file", "blob", hex_id)
        with pytest.raises(MissingObject):
            store.read("0" * 40, "blob", MIB)
        with pytest.raises(CorruptObject, match="of a blob are not what the id says"):
            store.read(ids[0], "tree", MIB)
        with pytest.raises(ObjectTooLarge):
            store.read(ids[0], "blob", 100)


def test_a_good_copy_wins_over_a_bad_one(tmp_path: Path) -> None:
    data = b"twice here\n"
    hex_id = object_id("blob", data)
    place = tmp_path / hex_id[:2] / hex_id[2:]
    place.parent.mkdir()
    place.write_bytes(b"rotten")
    with write_pack(tmp_path, [(hex_id, whole(data))]) as store:
        assert store.read(hex_id, "blob", MIB) == data


def test_a_pack_that_becomes_shorter_while_it_is_read_is_the_machines_trouble(tmp_path: Path) -> None:
    noise = [bytes(random.Random(n).randbytes(9000)) for n in range(2)]
    with write_pack(tmp_path, [(object_id("blob", data), whole(data)) for data in noise]) as store:
        os.truncate(tmp_path / "pack/pack-1.pack", 4096)  # the second object lies in a page that is gone: SIGBUS
        with pytest.raises(MachineError, match="became shorter while it was read"):
            store.read(object_id("blob", noise[1]), "blob", MIB)


def test_sizes_are_checked_before_anything_is_inflated(tmp_path: Path) -> None:
    # 128 MB of zeros take 128 kB; each form of it must be refused from its header.
    code = """
import resource, sys
from pathlib import Path
from starmill.pipelines.sources.git.objects import ObjectStore, ObjectTooLarge
with ObjectStore([Path(sys.argv[1])], Path(sys.argv[1])) as store:
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for hex_id in sys.argv[2:]:
        try:
            store.read(hex_id, "blob", 1 << 20)
        except ValueError as error:
            print(type(error).__name__, getattr(error, "size", 0))
    print("grew", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start)
"""
    size, squeezed = 128 * MIB, zlib.compressobj()
    bomb = b"".join([*(squeezed.compress(bytes(MIB)) for _ in range(128)), squeezed.flush()])
    lying = header(3, 10) + bomb  # says 10 bytes
    base = whole(b"b" * 65536)
    copies = varint(65536) + varint(1000) + b"\x80" * 400_000  # 26 GB of copies, says 1000 bytes
    grows = varint(65536) + varint(size) + b"\x80" * (size // 65536)
    loose = tmp_path / "0a" / ("0" * 38)
    loose.parent.mkdir()
    squeezed = zlib.compressobj()
    zeros = [squeezed.compress(b"blob %d\0" % size), *(squeezed.compress(bytes(MIB)) for _ in range(128)), squeezed.flush()]
    loose.write_bytes(b"".join(zeros))
    ids = [f"{i:02x}" * 20 for i in range(1, 7)]
    entries = [(ids[0], header(3, size) + bomb), (ids[1], lying), (ids[2], header(3, 1 << 60) + bomb)]
    first = delta(len(base), copies)
    tail = [(ids[3], base), (ids[4], first), (ids[5], delta(len(base) + len(first), grows))]
    write_pack(tmp_path, [*entries, *tail]).__exit__()
    asked = [*ids[:3], *ids[4:], loose.parent.name + loose.name]
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path), *asked], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    *answers, grew = done.stdout.splitlines()
    too_large = f"ObjectTooLarge {size}"
    assert answers == [too_large, "CorruptObject 0", f"ObjectTooLarge {1 << 60}", "CorruptObject 0", too_large, too_large]
    assert int(grew.split()[1]) < 40 * 1024, "KiB"


def test_a_small_file_whose_base_is_a_bomb(tmp_path: Path) -> None:
    size = 200 * MIB
    base = header(3, size) + zlib.compress(b"")
    wanted = varint(size) + varint(3) + b"\x03abc"
    with write_pack(tmp_path, [("11" * 20, base), ("22" * 20, delta(len(base), wanted))]) as store:
        with pytest.raises(ObjectTooLarge, match=f"its deltas need {size} bytes") as refused:
            store.read("22" * 20, "blob", MIB)
        assert refused.value.size == 3


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        header(3, 5),
        header(3, 5) + b"not zlib",
        whole(b"other"),
        header(0, 5) + zlib.compress(b"hello"),
        header(5, 5) + zlib.compress(b"hello"),
        b"\xff" * 40,
        delta(0, varint(1) + varint(1) + b"\x01a"),
        delta(100, varint(1) + varint(1) + b"\x01a"),
        header(6, 4) + b"\xff" * 30,
        header(7, 4) + bytes(20) + zlib.compress(b"abcd"),
        header(7, 4) + bytes.fromhex("ab" * 20) + zlib.compress(b"\x01\x01\x01a"),
        delta(12, b""),
        delta(12, b"\xff" * 20),
    ],
)
def test_entries_of_no_sense(tmp_path: Path, raw: bytes) -> None:
    with write_pack(tmp_path, [("ab" * 20, raw)]) as store, pytest.raises((CorruptObject, MissingObject)):
        store.read("ab" * 20, "blob", MIB)


def test_random_damage_ends_in_the_object_or_in_an_error(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    contents = [b"".join(b"row %d %d\n" % (i, n if i == n else 0) for i in range(200)) for n in range(20)]
    ids = [git(tmp_path, "hash-object", "-w", "--stdin", given=c).decode().strip() for c in contents]
    git(tmp_path, "pack-objects", "-q", ".git/objects/pack/pack", given="\n".join(ids).encode())
    git(tmp_path, "prune-packed", "-q")
    folder, draw, outcomes = tmp_path / ".git/objects", random.Random(0), set()
    for path in [*folder.glob("pack/*.pack"), *folder.glob("pack/*.idx")]:
        path.chmod(0o644)
        good = path.read_bytes()
        for _ in range(150):
            bad = bytearray(good)
            for _ in range(draw.choice((1, 3, 30))):
                bad[draw.randrange(len(bad))] = draw.randrange(256)
            path.write_bytes(bad[: draw.choice((len(bad), len(bad), draw.randrange(len(bad))))])
            with ObjectStore([folder], folder) as store:
                for hex_id, content in zip(ids, contents, strict=True):
                    try:
                        assert store.read(hex_id, "blob", MIB) == content
                        outcomes.add("read")
                    except (CorruptObject, MissingObject, ObjectTooLarge) as error:
                        outcomes.add(type(error).__name__)
        path.write_bytes(good)
    assert outcomes >= {"read", "CorruptObject", "MissingObject"}


def test_pipes_in_the_place_of_packs_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    for name in ("pack-1.idx", "pack-1.pack"):
        os.mkfifo(tmp_path / "pack" / name)
    with ObjectStore([tmp_path], tmp_path) as store, pytest.raises(MissingObject):
        store.read("0" * 40, "blob", MIB)
