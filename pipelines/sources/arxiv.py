"""The papers of arXiv from their LaTeX sources, each as one text: arXiv's own tars (`arXiv_src_2301_001.tar`), or papers in folders.

A paper is a file as arXiv stores it: a gzip of one file, a gzip of a tar, or either without gzip; its name without suffixes is its path.
Nothing is extracted or run. A repository is one of arXiv's tars, or a folder with papers.
"""

import io
import os
import re
import tarfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import BinaryIO, ClassVar, Literal

from starmill.core.errors import of_a_file
from starmill.core.names import BytesAtOnce, Place
from starmill.pipelines.sources import encoding, latex
from starmill.pipelines.sources.archives.inflate import Stream, opened
from starmill.pipelines.sources.archives.reader import files
from starmill.pipelines.sources.archives.tar import BLOCK, Tar
from starmill.pipelines.sources.dumps import Chunks, File, fingerprint_of, most
from starmill.pipelines.sources.dumps import files as files_below
from starmill.pipelines.sources.source import (
    COUNTED,
    Counted,
    Entry,
    Limits,
    Options,
    Repository,
    Snapshot,
    read_file,
    state_of,
    unique,
)

BULK = re.compile(r"(?:\A|/)arXiv_src_[^/]*\.tar\Z")
PAPER = re.compile(r"(?:\.tex)?\.gz\Z|\.tar(?:\.gz)?\Z|\.tgz\Z|\.tex\Z", re.IGNORECASE)
SOURCE = re.compile(rb"\.(?:tex|ltx|latex)\Z", re.IGNORECASE)
PRINTED = (b"%PDF", b"%!PS")  # how what is no source begins
MAX_SOURCES = 2000  # files of LaTeX in a paper
MOST_TEXT = 8  # times max_file_bytes that they may hold together


@dataclass(frozen=True, kw_only=True)
class Arxiv(Options):
    """Papers of arXiv: its tars of sources (`arXiv_src_*.tar`), or folders of papers (.gz, .tar.gz, .tgz, .tar, .tex, .tex.gz)."""

    kind: Literal["arxiv"] = "arxiv"  # always given
    folder: Place  # a folder of such tars or papers, at any depth
    max_paper_bytes: BytesAtOnce = 64 << 20  # bytes of one paper, as stored
    gives: ClassVar[tuple[str, ...]] = ("arxiv",)

    def places(self) -> tuple[str, ...]:
        """Return the folder."""
        return (self.folder,)

    def inventory(self) -> list[Repository]:
        """Return the plan, and the files that are no papers by their names."""
        seen, planned = dict[str, int](), list[Repository]()
        folders = defaultdict[bytes, list[File]](list)
        for found in files_below(self.folder, PAPER, "not_a_paper"):
            if found.why:
                planned.append(found.left_out(seen))
            elif BULK.search(file := os.fsdecode(found.path)):
                name = unique(found.shown.removesuffix(".tar"), seen)
                planned.append(Repository(name, {"file": file}, found.size, self._fingerprint(found.state)))
            else:
                folders[os.path.dirname(found.path)].append(found)
        for folder, papers in folders.items():
            shown = os.path.dirname(papers[0].shown) or os.path.basename(os.path.realpath(self.folder))
            made = self._fingerprint([(os.path.basename(of.path), of.state) for of in papers])
            place = {"folder": os.fsdecode(folder)}
            planned.append(Repository(unique(shown, seen), place, sum(of.size for of in papers), made))
        return sorted(planned, key=lambda r: r.name)

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return the papers of a tar or a folder, by their names."""
        return Snapshot(), self._entries(repository.place, limits)

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the tar or the folder has now."""
        place = repository.place
        if "file" in place:
            return self._fingerprint(state_of(place["file"])[0])
        papers = _papers(os.fsencode(place["folder"]))
        return self._fingerprint([(os.path.basename(p), state_of(p)[0]) for p in papers])

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many papers there are, by names."""
        place = repository.place
        try:
            if "folder" in place:
                return Counted(len(_papers(os.fsencode(place["folder"]))), True, "ls")
            if repository.left_out and not BULK.search(place["file"]):
                return Counted(1, repository.left_out != "unreadable", "find . ! -type d")
            with opened(place["file"]) as file, closing(self._tar(file, limits, contents=False)) as tar:
                most_files = COUNTED * limits.max_files
                found = sum(1 for _, member in zip(range(most_files), tar.members(), strict=False) if member)
                return Counted(found, tar.whole, tar.listed_by)
        except OSError as error:
            of_a_file(error, place.get("file", place.get("folder", "")))
            return Counted(0, False, "ls")

    def _fingerprint(self, state: object) -> str:
        return fingerprint_of((state, self.max_paper_bytes))

    def _tar(self, file: BinaryIO, limits: Limits, contents: bool = True) -> Tar:
        size = file.seek(0, io.SEEK_END)
        return Tar(file, self.max_paper_bytes, limits.max_inflated_bytes, most(size, 1 << 50, limits.max_inflation), contents)

    def _entries(self, place: Mapping[str, str], limits: Limits) -> Iterator[Entry]:
        [kind] = self.gives
        try:
            for entry in self._stored(place, limits):
                yield replace(_paper(entry, limits), kind=kind)
        except OSError as error:
            where = place.get("file") or place["folder"]
            yield Entry(b"", None, "unreadable", of_a_file(error, where), kind=kind)

    def _stored(self, place: Mapping[str, str], limits: Limits) -> Iterator[Entry]:
        """Yield papers as they are stored."""
        if "folder" in place:
            for path in _papers(os.fsencode(place["folder"])):
                yield read_file(os.path.basename(path), path, self.max_paper_bytes)
            return
        with opened(place["file"]) as file, closing(self._tar(file, limits)) as tar:
            yield from files(tar, replace(limits, max_file_bytes=self.max_paper_bytes))


def _papers(folder: bytes) -> list[bytes]:
    """Return the papers of a folder, sorted by name. Raises OSError."""
    with os.scandir(folder) as found:
        paths = [e.path for e in found if e.is_file(follow_symlinks=False)]
    return sorted(p for p in paths if PAPER.search(os.fsdecode(p)) and not BULK.search(os.fsdecode(p)))


def _paper(stored: Entry, limits: Limits) -> Entry:
    """Return the entry of a paper of the one of its file."""
    path = PAPER.sub("", stored.path.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape") or stored.path
    stored = replace(stored, path=path) if stored.path else stored
    if stored.data is None:
        return stored
    lost = replace(stored, data=None, size=len(stored.data))
    try:
        found = _sources(stored.data, limits)
        text = "" if isinstance(found, Entry) else latex.text(found, limits.max_file_bytes)
    except latex.TooLong as error:
        return replace(lost, reason="too_large", detail=str(error))
    if isinstance(found, Entry):
        return replace(lost, reason=found.reason, detail=found.detail)
    if not text:
        return replace(lost, reason="no_section", detail=f"in {len(found)} files of LaTeX")
    data = text.encode("utf-8", "replace") + b"\n"
    if len(data) >= limits.max_file_bytes:
        return replace(lost, reason="too_large", size=len(data))
    return replace(stored, data=data)


def _sources(data: bytes, limits: Limits) -> dict[str, str] | Entry:
    """Return the files of LaTeX of a paper, or an entry with the reason why there are none."""
    size = most(len(data), limits.max_inflated_bytes, limits.max_inflation)
    start = b"".join(Chunks(Stream(io.BytesIO(data), size), upto=BLOCK))
    if len(start) < BLOCK or not _is_tar(start):
        left = limits.max_file_bytes
        chunks = Chunks(Stream(io.BytesIO(data), size), upto=left)
        first = b"".join(chunks)
        if chunks.problem and chunks.problem.reason != "trailing_data":
            return _no(str(chunks.problem.reason).replace("dump", "paper"), chunks.problem.detail)
        if len(first) >= left:
            return _no("too_large", f"more than {left - 1:,} bytes")
        if not first.strip():
            return _no("no_source", "it is empty")
        if first.startswith(PRINTED):
            return _no("no_source", "a printed paper only")
        return _decoded({b"main.tex": first})
    with closing(Tar(io.BytesIO(data), limits.max_file_bytes, limits.max_inflated_bytes, size)) as tar:
        found, problems, printed, left = dict[bytes, bytes](), list[str](), False, MOST_TEXT * limits.max_file_bytes
        for entry in files(tar, limits):
            if not entry.path and entry.reason != "trailing_data":
                problems.append(f"{entry.reason}: {entry.detail}")
            elif SOURCE.search(entry.path) and entry.data is not None:
                found[entry.path] = entry.data
                left -= len(entry.data)
                if left < 0:
                    return _no("too_large", f"its files of LaTeX have more than {MOST_TEXT * limits.max_file_bytes:,} bytes")
                if len(found) > MAX_SOURCES:
                    return _no("too_many_files", f"more than {MAX_SOURCES:,} files of LaTeX")
            elif SOURCE.search(entry.path) and entry.reason not in ("symlink", "hard_link", "duplicate_name", "hostile_path"):
                problems.append(f"{entry.reason}: {os.fsdecode(entry.path):.100}")
            printed |= entry.path.lower().endswith((b".pdf", b".ps"))
    if problems:
        return _no("corrupt_paper", problems[0])
    if not found:
        return _no("no_source", "a printed paper only" if printed else "there is no LaTeX in it")
    return _decoded(found)


def _is_tar(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, OverflowError):
        return False
    return True


def _decoded(found: Mapping[bytes, bytes]) -> dict[str, str] | Entry:
    texts = {}
    for path, data in found.items():
        if encoding.judge(data, len(data) + 1) == "nul_bytes":
            data = data.replace(b"\0", b"")
        if decoded := encoding.decode(data):
            texts[path.decode("utf-8", "replace")] = decoded[0]
    return texts or _no("undecodable", f"{len(found)} files that are no text")


def _no(reason: str, detail: str | None) -> Entry:
    return Entry(b"", None, reason, detail)
