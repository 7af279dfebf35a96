"""Files of this machine that are there whole or not at all: written under another name, synced, and renamed."""

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from starmill.core.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa  # which every command would load: a quarter of a second

TEMPORARY = ".tmp-"  # how names of files begin that are being written
LEFTOVER = re.compile(re.escape(TEMPORARY) + r"([0-9a-f]{16})([0-9a-f]{8})-(.+)", re.DOTALL)


@contextmanager
def replacing(place: Path, writer: str = "") -> Iterator[Path]:
    """Give a path beside `place` to write a file at; at the end of the block the file takes the place, after an error it is removed.

    `writer` tells processes apart that may write the same place at the same time. A single writer leaves it out: then a killed
    one's leftover is overwritten by the next.
    """
    temporary = place.with_name(f"{TEMPORARY}{writer}{place.name}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())  # a rename may reach the disk before the bytes do
        os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)


def write(place: Path, data: "bytes | pa.Buffer", writer: str = "") -> None:
    """Write a whole file in place of what is there."""
    with replacing(place, writer) as temporary:
        temporary.write_bytes(data)


def read_small(place: str | os.PathLike[str], most: int) -> bytes:
    """Return a file that a user named, without ever waiting for one. Raises OSError; InputError above `most` bytes, or for no file."""
    number = os.open(place, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe that nobody writes would block
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe, a socket or a device"
        raise InputError(f"{os.fspath(place)}: {what}, where a file should be; give the file itself")
    with os.fdopen(number, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"{os.fspath(place)}: above {most:,} bytes, the most that such a file may have; give the right file")
    return data


def refuse_below_file(name: str, place: str | os.PathLike[str]) -> None:
    """Raise InputError where no folder can be made at `place`, which an option of this name says. Makes none."""
    if "://" in os.fspath(place):
        raise InputError(f"{place}: a URL, and {name} is a folder of this machine, or one that is mounted; give its path")
    for there in (Path(place).absolute(), *Path(place).absolute().parents):
        if os.path.lexists(there):
            if not there.is_dir():
                raise InputError(f"{place}: {there} is no folder; give {name} another place")
            return


def writer_of(relative: str) -> str:
    """Return a writer's mark for a file that many processes may write: random, then a digest that ties it to the file's place.

    Not the process id: containers that share a volume number their processes alike. This randomness reaches no output.
    """
    nonce = secrets.token_hex(8)
    return f"{nonce}{_tie(nonce, relative)}-"


def is_leftover(relative: str) -> bool:
    """Say whether a writer with a mark left this file: the digest in its name is that of its place.

    >>> is_leftover(f"records/{TEMPORARY}{writer_of('records/part-00000.json')}part-00000.json"), is_leftover("records/.tmp-notes")
    (True, False)
    """
    folder, slash, name = relative.rpartition("/")
    found = LEFTOVER.fullmatch(name)
    return found is not None and found[2] == _tie(found[1], f"{folder}{slash}{found[3]}")


def _tie(nonce: str, relative: str) -> str:
    return hashlib.sha256(os.fsencode(f"{nonce} {relative}")).hexdigest()[:8]


def refuse_links(root: str, relative: str) -> None:
    """Raise InputError where a file below `root` is, or lies behind, a link, or is neither a file nor a folder."""
    place = root
    for name in relative.split("/"):
        place = f"{place}/{name}"
        try:
            mode = os.lstat(place).st_mode
        except OSError:
            return  # absent, or its own operation tells
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            what = "a link" if stat.S_ISLNK(mode) else "a pipe, a socket or a device"
            raise InputError(
                f"{place!r}: {what} inside {root!r}, where a file or folder itself must lie; remove it and run again"
            )


def open_lock(place: Path) -> BinaryIO:
    """Open a lock file, made if absent: what is in it stays. Raises InputError for a link, or what is no file."""
    refuse_links(str(place.parent), place.name)
    try:
        return os.fdopen(os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "rb+")
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR):
            raise
        raise InputError(f"{str(place)!r}: no file, which a lock must be; remove it and run again") from None
