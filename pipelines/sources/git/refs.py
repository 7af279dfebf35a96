"""Where a git repository keeps things, and the commit that its HEAD leads to: loose references, packed ones, and reftables.

Nothing of the repository's configuration is followed, and no reference, alternate or link that leads out of the input.
"""

import os
import re
from pathlib import Path

from starmill.core.errors import of_a_file
from starmill.pipelines.sources.git.objects import inside
from starmill.pipelines.sources.git.reftable import NOWHERE, CorruptTable, lookup

MAX_LINE = 65536  # of a reference; one that is longer is none
MAX_PACKED_REFERENCES = 1 << 30  # bytes
MAX_ALTERNATES = 16
REFERENCE = re.compile(r"refs/[^\x00-\x20~^:?*\\\[]+")
HEX, SHA256 = re.compile(r"[0-9a-f]{40}"), re.compile(r"[0-9a-f]{64}")
OF_SHA256 = (
    "its objects have SHA-256 ids, and ids of records are SHA-1; give an archive of its files instead (git archive HEAD)"
)


class Unreadable(ValueError):
    """A repository whose HEAD cannot be resolved; `reason` is no_revision, unsupported_format or unreadable_repository."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.reason, self.detail = reason, detail


def is_checkout(own: Path, is_folder: bool, root: Path) -> bool:
    """Say whether a folder's `.git` makes it a checkout: it has a HEAD, or is a file that names where HEAD is.

    An empty file or folder of that name hides nothing: what lies beside it is a plain tree. Raises MachineError.
    """
    if is_folder:
        return os.path.lexists(own / "HEAD")
    try:
        return _line(own, root).startswith("gitdir:")
    except Unreadable:
        return not own.is_symlink()  # a file that this user may not read


def git_directory(folder: Path, root: Path) -> tuple[Path, Path]:
    """Return the folder of HEAD, and that of objects and branches: another one for a linked work tree.

    Raises Unreadable if either leads out of `root`.
    """
    own = directory = folder / ".git"
    if not os.path.lexists(own):
        directory = folder
    elif own.is_symlink() or not own.is_dir():
        said = _line(own, root)
        if not said.startswith("gitdir:"):
            raise Unreadable("unreadable_repository", ".git is neither a folder nor names one")
        directory = _within(folder / said.removeprefix("gitdir:").strip(), root)
    common = _line(directory / "commondir", root)
    return directory, _within(directory / common, root) if common else directory


def head(directory: Path, common: Path, root: Path) -> tuple[str, str | None]:
    """Return (commit id, branch name or None) of HEAD. Raises Unreadable."""
    said, branch = _line(directory / "HEAD", root), None
    if not said:
        raise Unreadable("unreadable_repository", "there is no HEAD")
    tables = said.removeprefix("ref:").strip() == NOWHERE and os.path.lexists(common / "reftable")
    if tables:
        said = _from_tables(directory, "HEAD", root)
        if not said:
            raise Unreadable("unreadable_repository", "its reftables have no HEAD")
    for _ in range(5):  # a symbolic reference may point to another
        if not said.startswith("ref:"):
            break
        branch = said.removeprefix("ref:").strip()
        if not REFERENCE.fullmatch(branch) or ".." in branch:
            raise Unreadable("unreadable_repository", f"HEAD points to {branch[:80]!r}")
        if tables:
            said = _from_tables(common, branch, root)
        else:
            said = _line(directory / branch, root) or _line(common / branch, root) or _packed_reference(common, branch, root)
    if not said:
        raise Unreadable("no_revision", f"{branch!r} has no commit")
    if SHA256.fullmatch(said):
        raise Unreadable("unsupported_format", f"commit {said}: {OF_SHA256}")
    if not HEX.fullmatch(said):
        raise Unreadable("unreadable_repository", f"HEAD is {said[:80]!r}, not a SHA-1 commit id")
    return said, branch


def _from_tables(folder: Path, name: str, root: Path) -> str:
    try:
        return lookup(folder / "reftable", name, root)
    except CorruptTable as error:
        reason = "unsupported_format" if "SHA-256" in str(error) else "unreadable_repository"
        raise Unreadable(reason, f"{error}{'; ' + OF_SHA256 if reason == 'unsupported_format' else ''}") from None
    except OSError as error:
        raise Unreadable("unreadable_repository", f"reftable: {of_a_file(error, folder / 'reftable')}") from None


def object_folders(objects: Path, root: Path) -> list[Path]:
    """Return the object folder and its alternates (`objects/info/alternates`), as far as they lie below `root`."""
    found: list[Path] = []
    due = [objects]
    while due and len(found) < MAX_ALTERNATES:
        try:
            folder = _within(due.pop(0), root)
        except Unreadable:  # its objects are missing, and say so
            continue
        if folder not in found:
            found.append(folder)
            due += [folder / line for line in _text(folder / "info/alternates", root).splitlines() if line]
    return found


def _within(path: Path, root: Path) -> Path:
    real = inside(path, root)
    if real is None:
        raise Unreadable("unreadable_repository", f"{path.name} leads out of the input")
    return real


def _text(path: Path, root: Path) -> str:
    try:
        if not (real := _within(path, root)).is_file():
            return ""
        with open(real, "rb") as file:
            return file.read(MAX_LINE).decode("utf-8", "surrogateescape").replace("\0", "?")  # no path has a NUL
    except OSError as error:
        raise Unreadable("unreadable_repository", f"{path.name}: {of_a_file(error, path)}") from None


def _line(path: Path, root: Path) -> str:
    return _text(path, root).strip()


def _packed_reference(common: Path, name: str, root: Path) -> str:
    path, wanted = _within(common / "packed-refs", root), name.encode("utf-8", "surrogateescape")
    if not path.is_file():
        return ""
    with open(path, "rb") as file:
        for line in iter(lambda: file.readline(MAX_LINE), b""):
            if file.tell() > MAX_PACKED_REFERENCES:
                raise Unreadable("unreadable_repository", f"packed-refs has more than {MAX_PACKED_REFERENCES} bytes")
            if line.rstrip(b"\r\n").partition(b" ")[2] == wanted:
                return line.partition(b" ")[0].decode("utf-8", "backslashreplace")
    return ""
