"""Blocks on their way between the steps of one machine: they wait in a file, and only where they lie goes through the runner's shuffle.

Beam's local runner holds each shuffle in memory several times over. A note is as good as the block to whoever reads the same disk, in this
process or another one; runners of several machines get the blocks themselves.
"""

import contextlib
import os
import secrets
import shutil
import tempfile
import threading
import weakref
from pathlib import Path

from starmill.core.dataset import Workspace

MARK = b"\0lies at\0"  # no block begins so: Arrow's begin with four bytes 0xff
FOLDER = "spill"  # of a local workspace
SMALL = 256  # bytes of a block for which a note is not worth it


class _File:
    """A file of this process that grows; removed with its folder."""

    def __init__(self, folder: str) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.path = os.fsencode(f"{folder}/{secrets.token_hex(8)}")
        self.number = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._size, self._lock = 0, threading.Lock()

    def add(self, data: bytes) -> int:
        """Write all of it; return where it begins."""
        with self._lock:
            start, view = self._size, memoryview(data)
            while view:
                view = view[os.pwrite(self.number, view, self._size) :]
                self._size = start + len(data) - len(view)
            return start


_OWN: dict[tuple[str, int], _File] = {}  # by folder and process: a forked one must not write to its parent's
_OPENING = threading.Lock()
_ENDS: "weakref.WeakKeyDictionary[object, weakref.finalize[..., object]]" = weakref.WeakKeyDictionary()


def _own(folder: str) -> _File:
    with _OPENING:
        key = folder, os.getpid()
        return _OWN.get(key) or _OWN.setdefault(key, _File(folder))


def put(folder: str, data: bytes) -> bytes:
    """Return what to send in place of `data`: a note where it lies, in a file below `folder`; itself where it is small.

    Raises OSError, as where the disk is full.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     note = put(folder, bytes(1000))
    ...     len(note) < 100, get(note) == bytes(1000), get(b"itself")
    (True, True, b'itself')
    """
    if len(data) < SMALL:
        return data
    file = _own(folder)
    return b"%s%d %d %s" % (MARK, file.add(data), len(data), file.path)


def get(sent: bytes) -> bytes:
    """Return what was put. Raises OSError where its file is gone, or shorter."""
    if not sent.startswith(MARK):
        return sent
    start, size, path = sent.removeprefix(MARK).split(b" ", 2)
    with open(path, "rb", buffering=0) as file:
        data = os.pread(file.fileno(), int(size), int(start))
    if len(data) != int(size):
        raise OSError(f"{os.fsdecode(path)}: ends in the middle of a block")
    return data


def begun(workspace: Workspace, owner: object) -> str:
    """Return a new folder for blocks, which is removed with `owner`, or before by `ended`.

    It lies in a local workspace, or else among this machine's temporary files.
    """
    if workspace.is_local:
        workspace.clear(FOLDER)  # of a run that was killed
    folder = f"{workspace.path(FOLDER) if workspace.is_local else tempfile.gettempdir()}/starmill-{secrets.token_hex(8)}"
    _ENDS[owner] = weakref.finalize(owner, remove, folder)
    return folder


def ended(owner: object) -> None:
    """Remove the folder that was begun for `owner`, if one was: an owner may live on long after its work."""
    if (end := _ENDS.pop(owner, None)) is not None:
        end()


def remove(folder: str) -> None:
    """Remove a folder of blocks with all that is in it; an absent one is fine."""
    file = _OWN.pop((folder, os.getpid()), None)
    if file is not None:
        os.close(file.number)
    shutil.rmtree(folder, ignore_errors=True)
    if os.path.basename(os.path.dirname(folder)) == FOLDER:
        with contextlib.suppress(OSError):  # another one is in it
            os.rmdir(os.path.dirname(folder))
