"""Real code that every machine has: each installed distribution is one repository, and each package of the standard library.

A distribution's files are those of its RECORD; licence files of its metadata directory move to the repository's root, where they
hold for all of it. Bytecode is the interpreter's, not the package's: it appears between two runs and is no input.
"""

import csv
import fnmatch
import hashlib
import importlib.metadata
import os
import re
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from starmill.pipelines.sources.source import Entry, Limits, Options, Repository, Snapshot, read_file, state_of

LICENSE_FILE = re.compile(r"(?:.*/)?[^/]*\.dist-info/(?:licenses/.*|(?:licen[cs]e|copying|notice)[^/]*)", re.IGNORECASE)
# What lies in the library's folder and is not it. The interpreter's own tests are full of files broken on purpose.
NOT_THE_LIBRARY = ("site-packages", "dist-packages", "__pycache__", "test", "config-*")


@dataclass(frozen=True, kw_only=True)
class Packages(Options):
    """The packages of this interpreter, `pypi/<name>`, and its standard library, `cpython/<package>`."""

    kind: Literal["packages"] = "packages"  # always given

    def plan(self) -> list[Repository]:
        """Return one repository a package."""
        return sorted((*_distributions(), *_standard_library()), key=lambda r: r.name)

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return a package's files."""
        return Snapshot(), _files(repository.place, limits.max_file_bytes)


def _distributions() -> Iterator[Repository]:
    seen = set()  # the first of a name on the path is the one that is imported
    for found in importlib.metadata.distributions():
        name = "pypi/" + re.sub(r"[-_.]+", "-", found.name or "unnamed").lower()
        metadata = str(getattr(found, "_path", ""))
        if name in seen or not metadata:
            continue
        seen.add(name)
        record = found.read_text("RECORD") or ""
        size = sum(int(row[2]) for row in csv.reader(record.splitlines()) if len(row) == 3 and row[2].isdecimal())
        # RECORD has digests of what was installed, and does not know of an edit since.
        states = [(path, state_of(file)[0]) for path, file in _recorded(record, Path(metadata))]
        fingerprint = hashlib.sha256(f"{found.version}\0{record}\0{states}".encode("utf-8", "backslashreplace")).hexdigest()
        yield Repository(name, {"metadata": metadata}, size, fingerprint)


def _standard_library() -> Iterator[Repository]:
    root = Path(sysconfig.get_path("stdlib"))
    folders: dict[str, list[Path]] = {"modules": []}
    for entry in sorted(root.iterdir()):
        if any(fnmatch.fnmatch(entry.name, n) for n in NOT_THE_LIBRARY):
            continue
        if entry.is_dir() and not entry.is_symlink():
            folders[entry.name] = sorted(_below(entry))
        else:
            folders["modules"].append(entry)
    for name, files in folders.items():
        states = [(str(f.relative_to(root)), *state_of(f)) for f in files]
        fingerprint = hashlib.sha256(f"{sys.version}\0{states}".encode("utf-8", "backslashreplace")).hexdigest()
        yield Repository(f"cpython/{name}", {"library": name}, sum(size for *_, size in states), fingerprint)


def _below(folder: Path) -> Iterator[Path]:
    for base, names, files in os.walk(folder):
        links = [n for n in names if Path(base, n).is_symlink()]
        names[:] = [n for n in names if n != "__pycache__" and n not in links]
        yield from (Path(base, f) for f in (*files, *links) if not f.endswith(".pyc"))


def _files(place: Mapping[str, str], max_file_bytes: int) -> Iterator[Entry]:
    pairs = _library_files(place["library"]) if "library" in place else _record_files(Path(place["metadata"]))
    if pairs is None:
        yield Entry(b"", None, "no_record", "the distribution has no RECORD of its files")
        return
    taken = {path for path, _ in pairs}
    for path, file in sorted(_with_licenses_on_top(pairs, taken)):
        shown = path.encode("utf-8", "surrogateescape")
        if ".." in PurePosixPath(path).parts or os.path.isabs(path):
            yield Entry(shown, None, "outside_package")
        else:
            yield read_file(shown, os.fsencode(file), max_file_bytes)


def _record_files(metadata: Path) -> list[tuple[str, Path]] | None:
    record = importlib.metadata.Distribution.at(metadata).read_text("RECORD")
    return None if record is None else _recorded(record, metadata)


def _recorded(record: str, metadata: Path) -> list[tuple[str, Path]]:
    paths = sorted({row[0] for row in csv.reader(record.splitlines()) if row and row[0]})
    return [(p, metadata.parent / p) for p in paths if not p.endswith(".pyc") and "__pycache__" not in p.split("/")]


def _library_files(name: str) -> list[tuple[str, Path]]:
    root = Path(sysconfig.get_path("stdlib"))
    if name == "modules":
        names = [e for e in root.iterdir() if not any(fnmatch.fnmatch(e.name, n) for n in NOT_THE_LIBRARY)]
        pairs = [(e.name, e) for e in names if not e.is_dir() or e.is_symlink()]
    else:
        pairs = [(f.relative_to(root / name).as_posix(), f) for f in _below(root / name)]
    # Python's licence holds for each package of its library; Debian keeps it elsewhere.
    debian = Path(f"/usr/share/doc/python{sys.version_info[0]}.{sys.version_info[1]}/copyright")
    text = next((p for p in (root / "LICENSE.txt", debian) if p.is_file()), None)
    return [*(p for p in pairs if p[0] != "LICENSE.txt"), *([("LICENSE.txt", text)] if text else [])]


def _with_licenses_on_top(pairs: list[tuple[str, Path]], taken: set[str]) -> Iterator[tuple[str, Path]]:
    for path, file in sorted(pairs):
        match = LICENSE_FILE.fullmatch(path)
        name = path.rsplit("/", 1)[-1]
        if match and ".." not in path and name not in taken:
            taken.add(name)
            path = name
        yield path, file
