"""A toy source, which is what a new source is: one module, its row in the table. Recipes, runs, keys and views are not told."""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from starmill.core.errors import one_line
from starmill.pipelines.sources.source import Entry, Limits, Options, Repository, Snapshot, state_of


@dataclass(frozen=True, kw_only=True)
class Tars(Options):
    """Tar archives, each a repository: the toy. What an archive says of its issue 1 is a record of another kind."""

    kind: Literal["tars"] = "tars"
    folder: str
    gives: ClassVar[tuple[str, ...]] = ("code", "issue")

    def places(self) -> tuple[str, ...]:
        return (self.folder,)

    def inventory(self) -> list[Repository]:
        found = [(p, *state_of(p)) for p in sorted(Path(self.folder).iterdir())]
        return [Repository(p.stem, {"file": str(p)}, size, repr(state)) for p, state, size in found]

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        return Snapshot(branch_name="toy"), self._entries(repository.place["file"], limits.max_file_bytes)

    def fingerprint(self, repository: Repository) -> str:
        return repr(state_of(repository.place["file"])[0])

    def _entries(self, file: str, max_file_bytes: int) -> Iterator[Entry]:
        try:
            with tarfile.open(file, errors="surrogateescape") as archive:
                for member in sorted(archive.getmembers(), key=lambda m: os.fsencode(m.name)):
                    path, size = os.fsencode(member.name), member.size
                    if member.issym():
                        yield Entry(path, None, "symlink", member.linkname)
                    elif member.isfile() and size >= max_file_bytes:
                        yield Entry(path, None, "too_large", size=size)
                    elif member.isfile():
                        opened = archive.extractfile(member)
                        assert opened is not None
                        issue = {"kind": "issue", "segments": segments(size)} if path == b"issues/1" else {}
                        yield Entry(path, opened.read(), **issue)  # type: ignore[arg-type]
                    elif not member.isdir():
                        yield Entry(path, None, "not_a_regular_file")
        except (tarfile.TarError, OSError) as error:
            yield Entry(b"", None, "unreadable_archive", one_line(error))


def segments(end: int) -> list[dict]:
    return [
        {"role": "title", "name": "username_0", "start": 0, "end": 5},
        {"role": "comment", "name": None, "start": 5, "end": end},
    ]
