"""What steps found in texts, by the text's digest: no run and no workspace looks at a text twice.

One file of the user's cache holds it for all runs on a machine (SQLite: safe with many processes), and a workspace in a bucket, which
other machines share, has notes of its own, too. A key holds all that decides a finding: the step, the versions and the code that found it.
So a cache changes no output, and what is damaged, full, or not to be had is as if nothing were known. STARMILL_CACHE=off leaves it out.
"""

import hashlib
import os
import sqlite3
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from starmill.core import recipe
from starmill.core.dataset import Workspace

CACHE = "STARMILL_CACHE"
MOST_BYTES = 1 << 28  # of the file: then its oldest quarter goes
TABLE = """CREATE TABLE IF NOT EXISTS findings
    (number INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, found TEXT NOT NULL, digest TEXT NOT NULL)"""
_own = threading.local()


def place() -> Path | None:
    """Return the user's file, or None where it is not wanted."""
    if os.environ.get(CACHE, "").lower() in ("off", "0", "no"):
        return None
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "starmill" / "findings.sqlite"
    except RuntimeError:  # a user without a home
        return None


@dataclass(frozen=True)
class WorkspaceCache:
    """What a step found, by text, kept in the workspace: a resumed run does not look at a text twice."""

    workspace: Workspace
    folder: str

    def get(self, key: str) -> list[str] | None:
        """Return what was found in a text, or None if it was not looked at yet, or that note is damaged."""
        try:
            said, *found = self.workspace.read(f"{self.folder}/{key[:2]}/{key}").decode().split() or [""]
        except (FileNotFoundError, UnicodeDecodeError):
            return None
        return found if said == recipe.digest(key, found)[:16] else None

    def put(self, key: str, found: list[str]) -> None:
        """Remember what was found in a text."""
        self.workspace.publish(f"{self.folder}/{key[:2]}/{key}", " ".join((recipe.digest(key, found)[:16], *found)).encode())


@dataclass(frozen=True)
class Findings:
    """The user's file before the workspace's notes. `folder`: what decides, as the name of the workspace's folder of notes."""

    workspace: Workspace
    folder: str

    def get(self, key: str) -> list[str] | None:
        """Return what was found in a text, or None if nobody has looked at it."""
        file = _file(place())
        found = file.get(self.folder, key) if file else None
        return self._notes.get(key) if found is None else found

    def put(self, key: str, found: list[str]) -> None:
        """Remember what was found in a text."""
        file = _file(place())
        if not (file and file.put(self.folder, key, found)) or not self.workspace.is_local:
            self._notes.put(key, found)

    @property
    def _notes(self) -> WorkspaceCache:
        return WorkspaceCache(self.workspace, self.folder)


class UserFile:
    """The file, open in one thread of one process. Whatever is wrong with it, a text is looked at once more."""

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        """Open or make the file. Raises OSError and sqlite3.Error."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.most_bytes = most_bytes
        self._base = sqlite3.connect(path, timeout=5.0, isolation_level=None)
        self._base.execute("PRAGMA synchronous=OFF")  # each row has its digest
        self._base.execute(TABLE)

    def get(self, of: str, key: str) -> list[str] | None:
        """Return what was found in a text, or None if nobody has looked at it, or the row is damaged."""
        try:
            row = self._base.execute("SELECT found, digest FROM findings WHERE key = ?", (_key(of, key),)).fetchone()
        except sqlite3.Error:
            return None
        if row is None or row[1] != recipe.digest(of, key, row[0])[:16]:
            return None
        return str(row[0]).split("\n") if row[0] else []

    def put(self, of: str, key: str, found: list[str]) -> bool:
        """Remember what was found in a text; say whether it is."""
        said = "\n".join(found)
        try:
            row = (_key(of, key), said, recipe.digest(of, key, said)[:16])
            self._base.execute("INSERT OR REPLACE INTO findings (key, found, digest) VALUES (?, ?, ?)", row)
            self._bound()
        except sqlite3.Error:
            return False
        return True

    def close(self) -> None:
        """Close the file."""
        self._base.close()

    def _bound(self) -> None:
        (pages,), (free,), (size,) = (
            self._base.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "freelist_count", "page_size")
        )
        if (pages - free) * size > self.most_bytes:
            self._base.execute(
                "DELETE FROM findings WHERE number <= (SELECT min(number) + (max(number) - min(number)) / 4 FROM findings)"
            )


def _key(of: str, key: str) -> bytes:
    # Python's tables of Unicode are another version's, too.
    return hashlib.sha256(f"{sys.version_info[:2]}\0{of}\0{key}".encode()).digest()


def _file(path: Path | None) -> UserFile | None:
    """Return this thread's file, opened once; None where there is none to be had. A fork opens its own."""
    known: dict[tuple[int, Path], UserFile | None] = _own.__dict__.setdefault("files", {})
    if path is None:
        return None
    if (os.getpid(), path) not in known:
        known[os.getpid(), path] = _opened(path)
    return known[os.getpid(), path]


def _opened(path: Path) -> UserFile | None:
    with suppress(OSError, sqlite3.Error):
        return UserFile(path)
    with suppress(OSError, sqlite3.Error):  # no database, or not one of ours: it is made anew
        path.unlink()
        return UserFile(path)
    return None
