"""What a source is: options that plan the repositories of a dump, and read one of them: records, or what was lost and why."""

import fnmatch
import importlib
import itertools
import os
import stat
import typing
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

from starmill.core.document import CODE
from starmill.core.errors import of_a_file
from starmill.core.names import AtLeast1, Bytes, BytesAtOnce, Place

FREE_BYTES = 256 << 20  # that may be inflated, however little is stored: of deltas in a small repository, a large file has many
DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
COUNTED = 4  # times max_files: so many files are counted of what is not read
# Damage that may be mended where it lies, so that a repository that lost records to it is watched (Repository.state).
DAMAGE = frozenset(
    (
        "corrupt_object",
        "missing_object",
        "unreadable_repository",
        "missing_content",
        "truncated_content",
        "unreadable_content",
        "wrong_content",
        "zeroed_object",
    )
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is read at most, of a file and of a repository: what lies beyond is told, and not read.

    None of them depends on the machine, so that the same rows come out everywhere; together they bound the time of a repository.
    """

    max_file_bytes: BytesAtOnce = 10 << 20  # The Stack v2: 10 MiB, uncompressed
    max_files: AtLeast1 = 1_000_000  # of a repository, folders counted: a few of git's trees that name each other are billions
    max_names_bytes: Bytes = 64 << 20  # of all paths in a repository
    max_inflated_bytes: Bytes = 64 << 30  # read of a repository; of git's, deltas counted: a byte may be read a million times
    max_inflation: AtLeast1 = 200  # of a git repository, the same as bytes per stored byte; 256 MiB are always allowed


@dataclass(frozen=True)
class Repository:
    """One repository of a plan: `place` is what its source finds it by, `size_bytes` what parts are packed by.

    `fingerprint` changes when what reading gives does, and not with the place. Where damage may be mended without a change of it,
    `state` changes too: a repository that lost records to DAMAGE is read again once it did. `left_out` is the reason why one is not
    read: it is a row that counts its files.
    """

    name: str
    place: Mapping[str, str]
    size_bytes: int
    fingerprint: str
    state: str = ""
    left_out: str = ""


@dataclass(frozen=True)
class Counted:
    """How many files are not read, at least or exactly, and the command that lists them in their folder.

    >>> print(Counted(1234, True, "find . ! -type d"))
    1,234 files; find . ! -type d lists them
    >>> print(Counted(4000000, False, "find . ! -type d", "files and folders").less(500))
    more than 3,999,500 files and folders; find . ! -type d lists them
    """

    files: int
    exact: bool
    listed_by: str
    what: str = "files"

    @property
    def number(self) -> str:
        """Say how many they are."""
        return f"{'' if self.exact else 'more than '}{self.files:,} {self.what}"

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.number}; {self.listed_by} lists them"

    def less(self, listed: int) -> "Counted":
        """Return the count without those that have a row."""
        return replace(self, files=max(0, self.files - listed))


@dataclass
class Tally:
    """What was met of one repository, to be held against the limits."""

    limits: Limits
    entries: int = 0
    names: int = 0
    read: int = 0

    def beyond(self, path: bytes, size: int = 0) -> str | None:
        """Count an entry and the bytes that it had; return the limit that is passed now, as `max_files=1000000`, or None."""
        self.entries, self.names, self.read = self.entries + 1, self.names + len(path), self.read + size
        of = self.limits
        if self.entries <= of.max_files and self.names <= of.max_names_bytes and self.read <= of.max_inflated_bytes:
            return None
        counted = {"max_files": self.entries, "max_names_bytes": self.names, "max_inflated_bytes": self.read}
        return next(f"{name}={getattr(of, name)}" for name, have in counted.items() if have > getattr(of, name))


@dataclass(frozen=True)
class Entry:
    """One record, or one that was lost: `data` is its bytes, or None with the `reason` why, and the `size` that it has.

    `path` is the dump's own, relative, and may be hostile; it is empty for the repository as a whole. Of `segments`, each a value of
    schema.SEGMENT, the bounds are in characters of the data, which then is UTF-8. `origin` is the file that the data was made of, if
    it is no file's: the record's ids are those of that. `repo_name`: the repository of the record itself, where that of the plan is a
    piece of a table; of two such pieces no path of one repository may be equal. `facts` are columns of schema.RECORDS that hold for
    this record.
    """

    path: bytes
    data: bytes | None
    reason: str | None = None
    detail: str | None = None
    size: int = 0
    kind: str = CODE
    segments: list[dict[str, Any]] | None = None
    origin: bytes | None = None
    repo_name: bytes | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """What is known of a repository as a whole; ids are git's, dates may be unknown. What begins with gha is from GitHub's events."""

    directory_id: str | None = None
    revision_id: str | None = None
    branch_name: str | None = None
    revision_date: datetime | None = None
    committer_date: datetime | None = None
    github_id: int | None = None
    star_events_count: int = 0
    fork_events_count: int = 0
    gha_license_id: str | None = None
    gha_created_at: datetime | None = None
    gha_language: str | None = None

    def columns(self) -> dict[str, Any]:
        """Return the repository's columns of schema.RECORDS."""
        return dict(vars(self))


class Source(ABC):
    """What every source is. One is a frozen dataclass of `Options`: its fields are what a recipe may say, `kind` its name there.

    What a repository or a file is like never raises: it is an entry with a reason. Trouble of the machine does.
    """

    kind: str
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    max_repositories: AtLeast1 | None
    gives: ClassVar[tuple[str, ...]] = (CODE,)  # the kinds of its records; the first is that of a repository as a whole
    takes_files: ClassVar[bool] = False  # whether one of its places may be a file

    @staticmethod
    def kinds() -> "tuple[type[Source], ...]":
        """Return the classes that `kind` chooses from, for core/recipe.py."""
        # By its name, and no import: what one source gives depends on that source's reader, not on the table of all.
        table: tuple[type[Source], ...] = importlib.import_module("starmill.pipelines.recipe").SOURCES
        return table

    def places(self) -> tuple[str, ...]:
        """Return the folders of this machine that a user named as input: no workspace may lie in or around them."""
        return ()

    @property
    def reads_this_machine(self) -> bool:
        """Whether its input lies on the disk of the machine that starts the run."""
        return bool(self.places())

    @abstractmethod
    def inventory(self) -> list[Repository]:
        """Return the repositories, sorted by their unique names, the same each time; of them `left_out` is what is never read.

        Raises OSError for a dump that cannot be read.
        """

    def plan(self) -> list[Repository]:
        """Return the repositories that are read. Raises as `inventory` does."""
        return [r for r in self.inventory() if not r.left_out]

    @abstractmethod
    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return what is known of a repository, and an entry for each thing in it, in the order of the paths, or of a table."""

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the repository has now; this one is of a source whose input does not change while it is read."""
        return repository.fingerprint

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many files a repository has, without a look into them where the source can."""
        _, entries = self.read(repository, limits)
        found = sum(1 for entry in itertools.islice(entries, COUNTED * limits.max_files + 1) if entry.path)
        return Counted(min(found, COUNTED * limits.max_files), found <= COUNTED * limits.max_files, "a tool of its format")

    def notes(self) -> tuple[str, ...]:
        """Return what a dry run says of the source, beside what it would read."""
        return ()

    def take_counts(self) -> dict[str, int]:
        """Return what this process asked of other machines for contents since the last call, for the counters of a run."""
        return {}

    def planned(self) -> list[Repository]:
        """Return the repositories of the plan; those that the options leave out say so."""
        planned: list[Repository] = []
        taken = 0
        for repository in sorted(self.inventory(), key=lambda r: r.name):
            reason = repository.left_out or self._unwanted(repository.name)
            taken += not reason
            if not reason and self.max_repositories is not None and taken > self.max_repositories:
                reason = "max_repositories"
            planned.append(replace(repository, left_out=reason) if reason else repository)
        return planned

    def _unwanted(self, name: str) -> str:
        if self.include and not any(fnmatch.fnmatchcase(name, p) for p in self.include):
            return "not_included"
        return "excluded" if any(fnmatch.fnmatchcase(name, p) for p in self.exclude) else ""


@dataclass(frozen=True, kw_only=True)
class Options(Source):
    """The options of every source."""

    kind: str  # what is read
    include: tuple[str, ...] = ()  # patterns of repository names (fnmatch); none: all
    exclude: tuple[str, ...] = ()  # and of those that are left out
    max_repositories: AtLeast1 | None = None  # the first so many by name


def at_home(source: Source) -> Source:
    """Return a source whose places of this machine are absolute: a worker may have another working folder."""
    hints = typing.get_type_hints(type(source), include_extras=True)
    changes: dict[str, Any] = {}
    for name in (found.name for found in fields(source) if Place in (hints[found.name], *typing.get_args(hints[found.name]))):  # type: ignore[arg-type]
        value = getattr(source, name)
        changes[name] = tuple(map(_absolute, value)) if isinstance(value, tuple) else value and _absolute(value)
    return replace(source, **changes) if changes else source  # type: ignore[type-var]


def _absolute(place: str) -> str:
    return place if "://" in place else os.path.abspath(place)


def unique(name: str, seen: dict[str, int]) -> str:
    """Return a name that was not seen before: itself, or with a number behind it. So many equal ones take a time that is linear.

    >>> seen = {}
    >>> [unique(name, seen) for name in ("a", "a", "b", "a")]
    ['a', 'a~2', 'b', 'a~3']
    """
    made = name
    while made in seen:
        seen[name] += 1
        made = f"{name}~{seen[name]}"
    seen[made] = 1
    return made


def label(path: bytes) -> tuple[str, str | None]:
    """Return (printable path starting with "/", hostile_path or None) of a path as found in a dump.

    Paths are only ever labels, never opened for writing; still, none that could trick a reader is kept: control characters, marks
    that turn the direction of writing, names that are not UTF-8, "..", "." and ".git".
    """
    text = path.decode("utf-8", "backslashreplace")
    shown = text if text.isascii() and text.isprintable() else "".join(map(_printable, text))
    hostile = shown.encode() != path or any(p in {b"", b".", b".."} or p.lower() == b".git" for p in path.split(b"/"))
    return "/" + shown, "hostile_path" if hostile else None


def _printable(character: str) -> str:
    tricky = unicodedata.category(character) in {"Cc", "Zl", "Zp"} or character in DIRECTION_MARKS
    return character.encode("unicode_escape").decode() if tricky else character


def state_of(path: str | bytes | os.PathLike[str]) -> tuple[object, int]:
    """Return what changes when a file does, for a fingerprint, and the bytes of a regular file (0 of any other).

    The time of change (ctime) is the kernel's own: no tool can put it back, as archives and `touch` do with that of modification,
    and it tells a file that has become readable. Copies of a tree differ in it. That is the cheaper mistake: a copy is read once
    more, gives the same bytes, and so makes nothing anew after ingest; digests would read the whole dump before each run.
    Raises MachineError where the path cannot be looked at and that is no property of it.
    """
    try:
        info = os.lstat(path)
    except OSError as error:
        return of_a_file(error, path), 0
    except ValueError:  # a NUL, which no path has
        return "EINVAL", 0
    return (info.st_size, info.st_mtime_ns, info.st_ctime_ns), info.st_size if stat.S_ISREG(info.st_mode) else 0


def read_file(shown: bytes, path: bytes, max_file_bytes: int) -> Entry:
    """Return the entry of one path on the disk, with a reason where it is not a readable regular file of allowed size.

    Raises MachineError where that is no property of the file.
    """
    try:
        info = os.lstat(path)
        if stat.S_ISLNK(info.st_mode):
            return Entry(shown, None, "symlink", os.readlink(path).decode("utf-8", "backslashreplace"))
        if not stat.S_ISREG(info.st_mode):
            return Entry(shown, None, "not_a_regular_file")
        if info.st_size >= max_file_bytes:
            return Entry(shown, None, "too_large", size=info.st_size)
        # Should another process put a link or a pipe in its place just now, this neither follows nor waits.
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return Entry(shown, file.read(max_file_bytes))
    except FileNotFoundError:
        return Entry(shown, None, "missing_file")
    except ValueError:  # a NUL, which no path has
        return Entry(shown, None, "missing_file", "its name holds a NUL")
    except OSError as error:
        return Entry(shown, None, "unreadable", of_a_file(error, path))


def timestamp(seconds: int) -> datetime | None:
    """Return the moment, or None where a 64-bit count of nanoseconds cannot hold it."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None) if abs(seconds) < 9_000_000_000 else None
