"""Archives of source code, each a repository: sdists, wheels, crates, npm's packages, Debian's packages and sources, any tar or zip.

None is extracted and nothing in one is run. Where all members lie in one folder (`name-1.2.3/`, `package/`), paths start below it.
Of members of one name the last counts, as it does for tar. A compressed tar is inflated once, and its files wait in memory, or in a
file without a name, until they are sorted.
"""

import os
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

from starmill.core.errors import of_a_file
from starmill.core.names import Place
from starmill.pipelines.sources.archives.deb import Deb
from starmill.pipelines.sources.archives.inflate import Damaged, opened
from starmill.pipelines.sources.archives.tar import Member, Tar
from starmill.pipelines.sources.archives.zip import Zip
from starmill.pipelines.sources.dumps import files as files_below
from starmill.pipelines.sources.dumps import fingerprint_of, most
from starmill.pipelines.sources.source import (
    COUNTED,
    FREE_BYTES,
    Counted,
    Entry,
    Limits,
    Options,
    Repository,
    Snapshot,
    Tally,
    state_of,
)

SUFFIX = re.compile(
    r"\.(?:(?P<tar>tar(?:\.(?:gz|bz2|xz|zst))?|tgz|tbz2?|txz|tzst|crate)|(?P<zip>zip|whl|jar|egg)|(?P<deb>u?deb))\Z",
    re.IGNORECASE,
)
MAX_PATH = 4096  # bytes, as Linux has it
# What other systems take for a place of their own: `C:`, and a way up between backslashes.
ELSEWHERE = re.compile(rb"[A-Za-z]:[/\\]|(?:.*[/\\])?\.\.\\|.*\\\.\.(?:[/\\]|\Z)|\\", re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Archives(Options):
    """A folder of archives: tar (plain, gz, bz2, xz, zst), zip, crate, whl, egg, jar, deb. A repository's name is the file's without it."""

    kind: Literal["archives"] = "archives"  # always given
    folder: Place  # of archives, at any depth

    def places(self) -> tuple[str, ...]:
        """Return the folder."""
        return (self.folder,)

    def inventory(self) -> list[Repository]:
        """Return the archives, the files that are none by their names, links, and folders that cannot be listed. Raises OSError."""
        seen, planned = dict[str, int](), list[Repository]()
        for found in files_below(self.folder, SUFFIX, "not_an_archive"):
            stem = found.shown if found.why else SUFFIX.sub("", found.shown)
            is_name = bool(stem) and not stem.endswith("/")
            planned.append(found._replace(shown=stem if is_name else found.shown).left_out(seen))
        return sorted(planned, key=lambda r: r.name)

    def read(self, repository: Repository, limits: Limits) -> tuple[Snapshot, Iterator[Entry]]:
        """Return the files of an archive."""
        return Snapshot(), _entries(repository.place["file"], limits)

    def fingerprint(self, repository: Repository) -> str:
        """Return the fingerprint that the archive has now."""
        return fingerprint_of(state_of(repository.place["file"])[0])

    def count(self, repository: Repository, limits: Limits) -> Counted:
        """Return how many files an archive has: of a zip by its directory, of a plain tar by its headers, else it is inflated."""
        if repository.left_out not in ("", "excluded", "not_included", "max_repositories"):
            return Counted(1, repository.left_out != "unreadable", "find . ! -type d")
        file, listed = repository.place["file"], COUNTED * limits.max_files
        try:
            with opened(file) as stream, closing(_reader(file, stream, limits, contents=False)) as reader:
                found = 0
                for found, _ in zip(range(1, listed + 2), reader.members(), strict=False):  # noqa: B007
                    pass
                return Counted(min(found, listed), found <= listed and reader.whole, reader.listed_by)
        except OSError as error:
            of_a_file(error, file)
            return Counted(0, False, "tar -tf")


def _reader(name: str, file: BinaryIO, limits: Limits, contents: bool = True) -> Tar | Zip | Deb:
    size = os.stat(name).st_size
    bound = most(size, FREE_BYTES + COUNTED * limits.max_inflated_bytes, limits.max_inflation)
    kind = SUFFIX.search(name)
    if kind and kind["zip"]:
        return Zip(file, limits.max_file_bytes, min(limits.max_inflated_bytes, bound))
    return (Deb if kind and kind["deb"] else Tar)(file, limits.max_file_bytes, limits.max_inflated_bytes, bound, contents)


def _entries(name: str, limits: Limits) -> Iterator[Entry]:
    try:
        with opened(name) as file, closing(_reader(name, file, limits)) as reader:
            yield from files(reader, limits)
    except OSError as error:
        yield Entry(b"", None, "unreadable_archive", of_a_file(error, name))


def files(reader: Tar | Zip | Deb, limits: Limits) -> Iterator[Entry]:
    """Yield the members in the order of their paths; of one name the last is the file, and the others have a reason."""
    members, tally, limit, left = list[Member](), Tally(limits), None, 0
    for member in reader.members():
        if limit := limit or tally.beyond(member.path[:MAX_PATH]):
            left, reader.contents = left + 1, False
            if left > COUNTED * limits.max_files:
                break
        elif len(member.path) > MAX_PATH:
            said = f"a path of {len(member.path):,} bytes, shown cut off"
            members.append(member._replace(path=member.path[:MAX_PATH], reason="hostile_path", detail=said))
        else:
            members.append(member._replace(path=_plain(member.path)))
    if limit:
        more = Counted(min(left, COUNTED * limits.max_files), reader.whole, reader.listed_by)
        yield Entry(b"", None, "too_many_files", f"more than {limit}; {more.number} have no row: {reader.listed_by} lists all")
    elif not members and not reader.notes:
        yield Entry(b"", None, "empty_archive", "there are no files in it")
    for reason, detail in reader.notes:
        yield Entry(b"", None, reason, detail)
    top = b"" if isinstance(reader, Deb) else _top(members)
    order = sorted(range(len(members)), key=lambda k: (members[k].path, -k))
    before = None
    for member in (members[k] for k in order):
        path = member.path[len(top) :]
        yield replace(_entry(reader, member, member.path == before), path=path)
        before = member.path


def _entry(reader: Tar | Zip | Deb, member: Member, again: bool) -> Entry:
    path, reason, detail = member.path, member.reason, member.detail
    if not reason and ELSEWHERE.match(path):
        reason, detail = "hostile_path", "a place of another system"
    if again:
        reason, detail = "duplicate_name", "a later member of the archive has the same name"
    elif reason == "symlink" and isinstance(reader, Zip):
        detail = reader.link(member)
    if reason:
        return Entry(path, None, reason, detail, member.size)
    try:
        return Entry(path, reader.data(member))
    except Damaged as error:
        return Entry(path, None, "corrupt_member", str(error), member.size)


def _plain(path: bytes) -> bytes:
    """Return a path without the "./" that many archives put in front of all."""
    while path.startswith(b"./"):
        path = path[2:]
    return path or b"."


def _top(members: list[Member]) -> bytes:
    """Return the folder that all members lie in, with its slash, or nothing."""
    first = members[0].path.partition(b"/") if members else (b"", b"", b"")
    top = b"".join(first[:2])
    if first[0] in (b"", b".", b"..") or not first[1]:
        return b""
    return top if all(member.path.startswith(top) and len(member.path) > len(top) for member in members) else b""
