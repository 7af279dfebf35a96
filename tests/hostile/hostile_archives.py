"""Archives that no one should unpack, made byte by byte or by the libraries: what is wrong with each is its function's name."""

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from starmill.pipelines.sources.archives.reader import Archives
from starmill.pipelines.sources.source import Entry, Limits, label

GOOD = b"x = 1\n"
Pair = tuple[str, bytes]


def info(name: str, kind: bytes, target: str = "", size: int = 0) -> tarfile.TarInfo:
    """Return a member that is no file."""
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, size
    return made


def tar(*members: Pair | tarfile.TarInfo, mode: str = "w") -> bytes:
    """Return a tar archive of files, and of members as they are."""
    to = io.BytesIO()
    with tarfile.open(fileobj=to, mode=mode, errors="surrogateescape") as archive:  # type: ignore[call-overload]
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                made = tarfile.TarInfo(member[0])
                made.size = len(member[1])
                archive.addfile(made, io.BytesIO(member[1]))
    return to.getvalue()


def block(name: bytes, kind: bytes = b"0", size: int = 0, said: bytes | None = None) -> bytes:
    """Return a header of 512 bytes with any name and size, whose checksum is right."""
    head = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
    head[:100], head[156:157] = name[:100].ljust(100, b"\0"), kind
    head[124:136] = said or (b"%011o\0" % size if size < 8**11 else b"\x80" + size.to_bytes(11, "big"))
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head)


def padded(data: bytes) -> bytes:
    """Return data as a tar has it."""
    return data + bytes(-len(data) % 512)


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    """Return a pax header of `key=value` records."""
    said = b""
    for record in records:
        length = len(record) + 2
        while length != len(record) + 2 + len(str(length)):
            length = len(record) + 2 + len(str(length))
        said += b"%d %s\n" % (length, record)
    return block(b"pax", kind, len(said)) + padded(said)


def file(name: bytes, data: bytes = GOOD) -> bytes:
    """Return a file's header and data."""
    return block(name, size=len(data)) + padded(data)


END = bytes(1024)


def zip_of(*members: Pair, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip archive of files."""
    to = io.BytesIO()
    with zipfile.ZipFile(to, "w", method) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return to.getvalue()


def directory(entries: Sequence[tuple[bytes, int, int, int, int, int]], body: bytes) -> bytes:
    """Return a zip archive whose directory has these entries of name, method, checksum, stored bytes, bytes and place."""
    listed = b"".join(
        struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, method, 0, 0, crc, stored, size, len(name), 0, 0, 0, 0, 0, at)
        + name
        for name, method, crc, stored, size, at in entries
    )
    return body + listed + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[min(len(entries), 65534)] * 2, len(listed), len(body), 0)


def local(name: bytes, method: int, data: bytes, stored: bytes) -> bytes:
    """Return a member of a zip archive: its own header, and its data as stored."""
    head = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, method, 0, 0, zlib.crc32(data), len(stored), len(data), len(name), 0)
    return head + name + stored


def zip_whose_files_share_one_kernel(files: int, size: int) -> bytes:
    """Return a zip bomb as David Fifield makes it: each member quotes the header of the next, so that all inflate one kernel."""
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = bytes(size)
    stored = squeezer.compress(data) + squeezer.flush()
    names = [b"%06d" % k for k in range(files)]
    body = local(names[-1], 8, data, stored)
    entries = [(names[-1], 8, zlib.crc32(data), len(stored), len(data), 0)]
    for name in reversed(names[:-1]):
        quoted = struct.pack("<BHH", 0, min(len(body), 30 + len(name)), ~min(len(body), 30 + len(name)) & 0xFFFF)
        data, stored = body[: 30 + len(name)] + data, quoted + body[: 30 + len(name)] + stored
        grown = local(name, 8, data, stored)
        entries = [(n, m, c, s, z, at + len(grown) - len(body)) for n, m, c, s, z, at in entries]
        entries.insert(0, (name, 8, zlib.crc32(data), len(stored), len(data), 0))
        body = grown
    return directory(entries, body)


def zip_of_one_member_many_times(times: int, size: int) -> bytes:
    """Return a zip archive whose entries all name one member."""
    data = bytes(size)
    stored = zlib.compress(data, 9)[2:-4]
    body = local(b"a", 8, data, stored)
    return directory([(b"a", 8, zlib.crc32(data), len(stored), size, 0)] * times, body)


def gzip_of_zeros(megabytes: int) -> bytes:
    """Return a tar.gz whose one large file inflates a thousand times, with a small one on either side."""
    first, last = file(b"good.py") + block(b"zeros", size=megabytes << 20), file(b"last.py") + END
    return gzip.compress(first, mtime=0) + gzip.compress(bytes(1 << 20), mtime=0) * megabytes + gzip.compress(last, mtime=0)


LIMIT = 1 << 20
LIMITS = Limits(max_file_bytes=LIMIT)


def read_as(name: str, folder: Path, data: bytes, limits: Limits = LIMITS) -> list[Entry]:
    """Return what is read of the only archive of a folder."""
    (folder / "in").mkdir(exist_ok=True)
    (folder / "in" / name).write_bytes(data)
    source = Archives(folder=str(folder / "in"))
    found = list(source.read(source.plan()[0], limits)[1])
    assert [e.path for e in found] == sorted(e.path for e in found)
    assert all((e.data is None) == (e.reason is not None) for e in found)
    return found


def told(found: list[Entry]) -> dict[str, str | None]:
    """Return the reason of each path, or None."""
    return {path: e.reason or hostile for e in found for path, hostile in (label(e.path),)}
