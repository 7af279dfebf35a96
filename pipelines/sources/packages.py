"""Real code that every machine has: each installed distribution is one repository, and each package of the standard library.

A distribution's files are those of its RECORD; licence files of its metadata directory move to the repository's root, where they
hold for all of it. Bytecode is the interpreter's, not the package's: it appears between two runs and is no input.
"""

import csv
import fnmatch
import hashlib
import importlib.metadata
import io
import os
import re
import stat
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from starmill.core.errors import of_a_file
from starmill.pipelines.sources.source import (
    Counted,
    Entry,
    Limits,
    Options,
    Repository,
    Snapshot,
    label,
    read_file,
    state_of,
    unique,
)

LICENSE_FILE = re.compile(r"(?:.*/)?[^/]*\.dist-info/(?:licenses/.*|(?:licen[cs]e|copying|notice)[^/]*)", re.IGNORECASE)
LICENSE = "LICENSE.txt"  # Python's own
MAX_RECORD = 64 << 20  # bytes; the largest of a distribution on PyPI have some 5 MB
# What lies in the library's folder and is no part of the input: other packages, and bytecode.
SITES = ("site-packages", "dist-packages")
OTHERS = (*SITES, "__pycache__")
# What is not read of the rest. The interpreter's own tests are full of files broken on purpose.
NOT_THE_LIBRARY = ("test", "config-*")


@dataclass(frozen=True, kw_only=True)
class Packages(Options):
    """The packages of this interpreter, `pypi/<name>`, and its standard library, `cpython/<package>`."""

    kind: Literal["packages"] = "packages"  # always given

    def inventory(self) -> list[Repository]:
        """Return the packages, and what no import finds: folders of the standard library that are no part of it, and second
        distributions of a name; and, for each folder of packages, the files that no distribution records.
        """
        installed = [*_distributions()]
        of = [
            replace(_of_distribution(name, metadata), left_out="" if is_first else "not_imported")
            for name, metadata, is_first in installed
        ]
        library = map(_of_library, ("modules", *_folders()))
        return sorted((*of, *library, *_unrecorded([metadata for _, metadata, _ in installed])), key=lambda r: r.name)

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return a package's files."""
        return Snapshot(), _files(repository.place, limits.max_file_bytes)

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many files a package has."""
        place, find = repository.place, "find . ! -type d"
        if "site" in place:
            return Counted(int(place["files"]), True, f"{find}, without the paths in */RECORD,")
        try:
            found = _listed(place)
        except Unreadable:
            return Counted(0, False, find)
        return Counted(len(found), True, find if "library" in place else "its RECORD")

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the package has now.

        Installers link files into many environments at once, which changes the time of change of them all: that alone is none here.
        """
        place = repository.place
        now = (
            _of_library(place["library"]) if "library" in place else _of_distribution(repository.name, Path(place["metadata"]))
        )
        return repository.fingerprint if now.state == repository.state else now.fingerprint


class Unreadable(ValueError):
    """A distribution whose files nobody knows; the message says why, and `reason` is a row's."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.reason = reason


def _distributions() -> Iterator[tuple[str, Path, bool]]:
    """Yield the name, the metadata and whether it is the first of its name on the path, the one that is imported."""
    seen, places = dict[str, int](), set[str]()
    for found in importlib.metadata.distributions():
        metadata = str(getattr(found, "_path", ""))
        if not metadata or (place := os.path.realpath(metadata)) in places:  # lib64 is lib
            continue
        places.add(place)
        own = "pypi/" + re.sub(r"[-_.]+", "-", label(os.fsencode(_name(found, metadata)))[0][1:]).lower()
        name = unique(own, seen)
        yield name, Path(metadata), name == own


def _unrecorded(installed: Sequence[Path]) -> Iterator[Repository]:
    """Yield one repository for each folder of packages with files that are in no RECORD, bytecode aside."""
    recorded = dict[str, set[str]]()
    for metadata in installed:
        if metadata.parent.name in SITES:
            files = recorded.setdefault(str(metadata.parent), set())
            with suppress(Unreadable):
                files |= {os.path.normpath(file) for _, file in _recorded(metadata)}
    every = set().union(*recorded.values())  # a RECORD may name files of another folder
    for number, site in enumerate(sorted(recorded)):
        if beside := sorted(file[len(site) :] for file in _below(site) if file not in every):
            name = "pypi/(in no distribution)" + (f"~{number + 1}" if number else "")
            place = {"site": site, "files": str(len(beside))}
            yield Repository(name, place, 0, _digest(beside), left_out="no_distribution")


def _name(found: importlib.metadata.Distribution, metadata: str) -> str:
    try:
        if all(_regular(file) for name in ("METADATA", "PKG-INFO") if os.path.lexists(file := Path(metadata, name))):
            return found.name or "unnamed"
    except ValueError:  # no UTF-8
        pass
    return Path(metadata).name.partition("-")[0]  # the name of its folder is as good


def _regular(path: Path) -> bool:
    """Say whether a file is one that can be read whole."""
    try:
        info = os.stat(path)
    except OSError as error:
        of_a_file(error, path)
        return False
    return stat.S_ISREG(info.st_mode) and info.st_size <= MAX_RECORD


def _of_distribution(name: str, metadata: Path) -> Repository:
    # RECORD has digests of what was installed, and does not know of an edit since.
    record = os.path.join(metadata, "RECORD")
    states: list[State] = [("", *state_of(record))]
    try:
        states += [(path, *state_of(file)) for path, file in _recorded(metadata) if file != record]
    except Unreadable as error:
        states.append((str(error), error.reason, 0))
    return _repository(name, {"metadata": str(metadata)}, states[:1], states[1:])


State = tuple[str, object, int]


def _repository(name: str, place: dict[str, str], more: list[State], files: list[State], left_out: str = "") -> Repository:
    states = [(path, state) for path, state, _ in more + files]
    seen = [(path, state[:2] if isinstance(state, tuple) else state) for path, state in states]
    size = sum(size for *_, size in files)
    return Repository(name, place, size, _digest((sys.version, states)), _digest(seen), left_out)


def _digest(facts: object) -> str:
    return hashlib.sha256(repr(facts).encode("utf-8", "backslashreplace")).hexdigest()


def _folders() -> list[str]:
    with os.scandir(sysconfig.get_path("stdlib")) as found:
        return sorted(e.name for e in found if e.is_dir(follow_symlinks=False) and e.name not in OTHERS)


def _is_library(name: str) -> bool:
    return not any(fnmatch.fnmatch(name, pattern) for pattern in NOT_THE_LIBRARY)


def _of_library(name: str) -> Repository:
    states: list[State] = [(path, *state_of(file)) for path, file in _library_files(name)]
    left_out = "" if _is_library(name) else "not_the_library"
    of_python, own = [s for s in states if s[0] == LICENSE], [s for s in states if s[0] != LICENSE]
    return _repository(f"cpython/{name}", {"library": name}, of_python, own, left_out)


def _below(folder: str) -> Iterator[str]:
    for base, names, files in os.walk(folder):
        links = [n for n in names if os.path.islink(os.path.join(base, n))]
        names[:] = [n for n in names if n != "__pycache__" and n not in links]
        yield from (os.path.join(base, f) for f in (*files, *links) if not f.endswith(".pyc"))


# Each file's name and place, as texts: a Path a file took a third of the time of planning.
def _listed(place: Mapping[str, str]) -> list[tuple[str, str]]:
    return _library_files(place["library"]) if "library" in place else _recorded(Path(place["metadata"]))


def _files(place: Mapping[str, str], max_file_bytes: int) -> Iterator[Entry]:
    try:
        pairs = _listed(place)
    except Unreadable as error:
        yield Entry(b"", None, error.reason, str(error))
        return
    root = os.path.realpath(sysconfig.get_path("stdlib") if "library" in place else Path(place["metadata"]).parent)
    inside = {os.path.dirname(file): True for _, file in pairs if "library" in place}
    taken = {path for path, _ in pairs}
    for path, file in sorted(_with_licenses_on_top(pairs, taken)):
        shown, folder = path.encode("utf-8", "surrogateescape"), os.path.dirname(file)
        if folder not in inside:  # a link of a folder may lead anywhere
            inside[folder] = Path(os.path.realpath(folder)).is_relative_to(root) if "\0" not in path else True
        if ".." in path.split("/") or os.path.isabs(path) or not inside[folder]:
            yield Entry(shown, None, "outside_package")
        else:
            yield read_file(shown, os.fsencode(file), max_file_bytes)


def _recorded(metadata: Path) -> list[tuple[str, str]]:
    """Return the files that a RECORD names. Raises Unreadable where it cannot be read, or is larger than any is."""
    if not os.path.lexists(metadata / "RECORD"):
        raise Unreadable("no_record", "the distribution has no RECORD of its files")
    if not _regular(metadata / "RECORD"):
        raise Unreadable("unreadable_record", f"RECORD is no file of at most {MAX_RECORD:,} bytes")
    try:
        data = (metadata / "RECORD").read_bytes()
    except OSError as error:
        raise Unreadable("unreadable_record", f"RECORD: {of_a_file(error, metadata)}") from None
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")))
    except csv.Error as error:
        raise Unreadable("unreadable_record", f"RECORD: {error}") from None
    paths = sorted({row[0] for row in rows if row and row[0]})
    parent = str(metadata.parent)
    return [(p, os.path.join(parent, p)) for p in paths if not p.endswith(".pyc") and "__pycache__" not in p.split("/")]


def _library_files(name: str) -> list[tuple[str, str]]:
    root = Path(sysconfig.get_path("stdlib"))
    if name == "modules":
        pairs = sorted((e.name, str(e)) for e in root.iterdir() if not e.is_dir() or e.is_symlink())
    else:
        top = str(root / name)
        pairs = sorted((f[len(top) + 1 :], f) for f in _below(top))
    # Python's licence holds for each package of its library; Debian keeps it elsewhere.
    debian = Path(f"/usr/share/doc/python{sys.version_info[0]}.{sys.version_info[1]}/copyright")
    text = next((p for p in (root / LICENSE, debian) if p.is_file()), None)
    return [*(p for p in pairs if p[0] != LICENSE), *([(LICENSE, str(text))] if text else [])]


def _with_licenses_on_top(pairs: list[tuple[str, str]], taken: set[str]) -> Iterator[tuple[str, str]]:
    for path, file in sorted(pairs):
        match = LICENSE_FILE.fullmatch(path)
        name = path.rsplit("/", 1)[-1]
        if match and ".." not in path and name not in taken:
            taken.add(name)
            path = name
        yield path, file
