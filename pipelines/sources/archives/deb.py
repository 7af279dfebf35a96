"""The members of a Debian package: an `ar` of two tars, read where they lie. What dpkg-deb -R unpacks has these paths (deb(5)).

The files that it installs have their own paths; what is said of the package (`control`, its scripts) lies below `DEBIAN/`.
"""

import os
from collections.abc import Iterator
from typing import BinaryIO, cast

from starmill.pipelines.sources.archives.inflate import Damaged
from starmill.pipelines.sources.archives.tar import Member, Tar

MAGIC = b"!<arch>\n"
HEAD = 60  # bytes: a name, a time, an owner, a group, a mode, a size in decimal, and the end of a line
MAX_MEMBERS = 16  # of the ar; dpkg writes three
MAX_CONTROL = 64 << 20  # bytes, of what is said of a package; the largest have lists of some MB


class Deb:
    """A Debian package. What `members` gave `data` has, once all were given; what is wrong with it as a whole is in `notes`."""

    listed_by = "dpkg-deb -c"

    def __init__(self, file: BinaryIO, max_file_bytes: int, max_content: int, most: int, contents: bool = True) -> None:
        """Read a package from its start; the limits are those of a Tar, and hold for both tars together."""
        self._file, self._max_file, self._left, self._most = file, max_file_bytes, max_content, most
        self.contents = contents
        self.notes: list[tuple[str, str]] = []
        self.whole = False  # whether all was read
        self._tars: list[Tar] = []

    def close(self) -> None:
        """Let go of what was held."""
        for tar in self._tars:
            tar.close()

    def members(self) -> Iterator[Member]:
        """Yield the members of both tars, those of `control` first."""
        try:
            control, data = _tars(self._file)
        except Damaged as error:
            self.notes.append(("not_an_archive", str(error)))
            return
        for number, (window, below) in enumerate(((control, b"DEBIAN/"), (data, b""))):
            most = min(self._most, MAX_CONTROL) if below else self._most
            tar = Tar(cast(BinaryIO, window), self._max_file, min(self._left, most), most, self.contents)
            self._tars.append(tar)
            for member in tar.members():
                self._left -= 0 if member.reason else member.size
                path = below + member.path.removeprefix(b"./") if below else member.path
                yield member._replace(path=path, at=2 * member.at + number)
                tar.contents = self.contents
            where = "of what is said of it" if below else "of its files"
            self.notes += [(reason, f"the tar {where}: {detail}") for reason, detail in tar.notes]
        self.whole = all(tar.whole for tar in self._tars)

    def data(self, member: Member) -> bytes:
        """Return the data of a member. Raises Damaged."""
        at, number = divmod(member.at, 2)
        return self._tars[number].data(member._replace(at=at))


class Window:
    """A stretch of a file, read as a file of its own."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        """Stand for `size` bytes from `start`."""
        self._file, self._start, self._size, self._at = file, start, size, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, from the start or from the end, and return it."""
        self._at = max(0, offset + (self._size if whence == os.SEEK_END else 0))
        return self._at

    def tell(self) -> int:
        """Return the place."""
        return self._at

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer at the end."""
        self._file.seek(self._start + self._at)
        data = self._file.read(max(0, min(size, self._size - self._at)))
        self._at += len(data)
        return data


def _tars(file: BinaryIO) -> tuple[Window, Window]:
    """Return the tars of control and of data. Raises Damaged."""
    end = file.seek(0, os.SEEK_END)
    found: dict[bytes, Window] = {}
    at = len(MAGIC)
    file.seek(0)
    if file.read(at) != MAGIC:
        raise Damaged("it is no ar archive, which a Debian package is")
    for _ in range(MAX_MEMBERS):
        file.seek(at)
        head = file.read(HEAD)
        if len(head) < HEAD:
            break
        size = head[48:58].strip()
        if head[58:] != b"`\n" or not size.isdigit():
            raise Damaged(f"no header of a member of the ar at byte {at:,}")
        at += HEAD
        name = head[:16].rstrip().rstrip(b"/")
        if (kind := name.partition(b".")[0]) in (b"control", b"data") and name.split(b".")[1:2] == [b"tar"]:
            found.setdefault(kind, Window(file, at, min(int(size), end - at)))
        at += int(size) + int(size) % 2
    if missing := [f"{kind.decode()}.tar" for kind in (b"control", b"data") if kind not in found]:
        raise Damaged(f"it has no {' and no '.join(missing)}, as a Debian package has")
    return found[b"control"], found[b"data"]
