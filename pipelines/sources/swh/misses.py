"""What a content store does not have: remembered by a process, and in a folder for later runs where a recipe names one.

A miss has no date, because the time of day must not decide what a run gives. It holds for one store and one number of `ask_again`: a
person raises that to have everything asked for anew. So a part that is made again gives what it gave before, whatever the store has got
since; and after the number was raised, the repositories that lost contents are read once more (Repository.state).
"""

import fcntl
import hashlib
import os
import re
import threading
from pathlib import Path

from starmill.core.errors import MachineError
from starmill.core.files import refuse_below_file

MOST = 500_000  # are remembered, some 100 bytes each; what is missing beyond is asked for each time
LINE = re.compile(rb"([0-9a-f]{40}) ([mz])")
LONGEST = MOST * 43  # bytes of the file that are read: a line each


class Misses:
    """The objects that a store does not have, by their SHA-1. Threads and processes may share a folder."""

    # Only what the store itself says of an object; what it gives wrong or cut off may be its line's fault.
    REASONS = ("missing_content", "zeroed_object")

    def __init__(self, folder: str | None, place: str, again: int) -> None:
        """Read nothing yet. Raises InputError for a URL, or a folder that lies below a file."""
        self._lock, self._known = threading.Lock(), dict[bytes, str]()
        self._file: Path | None = None
        self._read = folder is None
        if folder is not None:
            refuse_below_file("misses", folder)
            digest = hashlib.sha256(f"{place}\n{again}".encode("utf-8", "surrogatepass")).hexdigest()
            self._file = Path(folder) / f"{digest[:32]}.misses"

    def get(self, sha1: str) -> str:
        """Return why there is no such object, or nothing. Raises MachineError."""
        with self._lock:
            if not self._read:
                self._load()
            return self._known.get(bytes.fromhex(sha1), "")

    def add(self, sha1: str, reason: str) -> None:
        """Remember an object that is not there. Raises MachineError."""
        with self._lock:
            if len(self._known) >= MOST or bytes.fromhex(sha1) in self._known:
                return
            self._known[bytes.fromhex(sha1)] = reason
            if self._file is None:
                return
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with open(os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o644), "wb", 0) as file:
                    fcntl.flock(file, fcntl.LOCK_EX)
                    # A line begins anew, so that what a killed process left of one costs no other.
                    file.write(f"\n{sha1} {reason[0]}\n".encode())
            except OSError as error:
                raise MachineError(f"misses: {self._file}: {error}; give a folder that can be written, or none") from error

    def _load(self) -> None:
        assert self._file is not None
        try:
            with open(self._file, "rb") as file:
                said = file.read(2 * LONGEST)
        except FileNotFoundError:
            said = b""
        except OSError as error:
            raise MachineError(f"misses: {self._file}: {error}; give a folder that can be read, or none") from error
        reasons = {reason[0]: reason for reason in self.REASONS}
        for line in said.split(b"\n"):
            if (found := LINE.fullmatch(line)) and len(self._known) < MOST:
                self._known[bytes.fromhex(found[1].decode())] = reasons[found[2].decode()]
        self._read = True
