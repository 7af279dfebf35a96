"""A file of answers that is only appended to: a JSON line each, one process at a time; what a killed one left torn is dropped."""

import fcntl
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from starmill.core.errors import InputError
from starmill.core.files import open_lock, write


class Lines:
    """The lines of one file, which one process holds. Raises InputError where another does, or for a line
    that is whole and no object.
    """

    def __init__(self, place: Path, noun: str, who: str, fix: str) -> None:
        """Open the file, or make it. Of errors, `noun` says what a line is, `who` writes them, and `fix` what else to do."""
        place.parent.mkdir(parents=True, exist_ok=True)
        self.place = place
        self._lock = open_lock(place.with_name(f"{place.name}.lock"))
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise InputError(f"{place}: another {who} writes it; wait for that, or {fix}") from None
        data = place.read_bytes() if place.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        self._rows: list[dict[str, Any]] = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                self._rows.append(dict(json.loads(line)))
            except (ValueError, TypeError):
                self._lock.close()
                raise InputError(
                    f"{place}: line {number} is no {noun}; remove the file, and its {noun}s are made again"
                ) from None
        self._file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.ftruncate(self._file, len(whole))
        os.lseek(self._file, 0, os.SEEK_END)

    def __enter__(self) -> Self:
        """Return the lines."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file, and let others have it."""
        self.close()

    def taken(self) -> list[dict[str, Any]]:
        """Return the lines that were found, and hold them no more."""
        rows, self._rows = self._rows, []
        return rows

    def close(self) -> None:
        """Close the file, and let others have it."""
        os.close(self._file)
        self._lock.close()

    def append(self, row: dict[str, Any]) -> None:
        """Append a line, in one write."""
        line = f"{json.dumps(row)}\n".encode()
        while line:
            line = line[os.write(self._file, line) :]

    def replace(self, rows: Iterable[dict[str, Any]]) -> None:
        """Write the file anew with these lines, whole or not at all."""
        data = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        if data != self.place.read_bytes():
            write(self.place, data)
            os.close(self._file)
            self._file = os.open(self.place, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
