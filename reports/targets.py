"""Where a data set is published: a folder of this machine, or a data set of a Hugging Face hub, named hf://owner/name.

Both are asked what is there, take files one by one, and end with what makes the set whole: cards last, what is no longer part removed.
The token of a hub comes from the environment (HF_TOKEN), and from nowhere else.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starmill.core.errors import InputError, MachineError, UsageError, one_line
from starmill.core.files import refuse_below_file, refuse_links, write

MARK = "starmill.json"  # says that the folder is one of ours, and lists its files
STAGING = ".starmill-staging"
HUB = re.compile(r"hf://(?:datasets/)?([\w.-]{1,96}/[\w.-]{1,96})/?", re.ASCII)
AT_ONCE = 200  # files of a commit: a hub answers a much larger one with a timeout
OWN = (".gitattributes", "README.md")  # what a hub puts into a new data set


@dataclass(frozen=True)
class Held:
    """A file that a target has. On a hub `sha256` is empty for a small file, which has `git`, the id of its blob, in its place."""

    bytes: int
    sha256: str = ""
    git: str = ""


@dataclass
class Folder:
    """A folder of this machine.

    >>> with tempfile.TemporaryDirectory() as place:
    ...     target = Folder(Path(place, "new"))
    ...     target.put(MARK, b"{}")
    ...     target.put("a/b.txt", b"text")
    ...     [*target.there()]
    ['a/b.txt', 'starmill.json']
    """

    place: Path

    def there(self) -> dict[str, Held]:
        """Return the files that are there; one whose bytes are no longer those that our mark lists counts as absent.

        Raises InputError for a folder with files and without our mark.
        """
        refuse_below_file("--to", self.place)
        names = [path.relative_to(self.place).as_posix() for path in sorted(self.place.rglob("*")) if path.is_file()]
        names = [name for name in names if not name.startswith(f"{STAGING}/")]
        _refuse_foreign(str(self.place), names, ())
        listed = _listed((self.place / MARK).read_bytes()) if MARK in names else {}
        found = {}
        for name in names:
            with open(self.place / name, "rb") as file:
                held = Held(os.fstat(file.fileno()).st_size, hashlib.file_digest(file, "sha256").hexdigest())
            if listed.get(name, held.sha256) == held.sha256:
                found[name] = held
        return found

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a folder to write files in, on the same disk; it is removed at the end."""
        folder = self.place / STAGING
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def put_file(self, relative: str, staged: Path) -> None:
        """Move a file of the staging folder to its place: it is there whole or not at all."""
        place = self._made_ready(relative)
        with open(staged, "rb") as file:
            os.fsync(file.fileno())
        os.replace(staged, place)

    def put(self, relative: str, data: bytes) -> None:
        """Write a small file; one that has these bytes already stays as it is."""
        place = self._made_ready(relative)
        if not place.is_file() or place.read_bytes() != data:
            write(place, data)

    def finish(self, remove: Sequence[str]) -> None:
        """Remove files that are no longer part of the set."""
        for relative in remove:
            (self.place / relative).unlink(missing_ok=True)

    def _made_ready(self, relative: str) -> Path:
        """Return a file's path, in a folder that is there. Raises InputError for a link on the way, which may lead anywhere."""
        refuse_links(str(self.place), relative)
        place = self.place / relative
        place.parent.mkdir(parents=True, exist_ok=True)
        return place


@dataclass
class Hub:
    """A data set of a hub, at HF_ENDPOINT (default: huggingface.co). What it has already by its digest is not sent again."""

    name: str
    private: bool = True
    api: Any = None
    known: dict[str, Held] = field(default_factory=dict)
    ahead: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take the token from the environment. Raises UsageError without one."""
        from huggingface_hub import HfApi
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()  # which would write to a log as to a terminal
        token = os.environ.get("HF_TOKEN", "").strip()
        if not token:
            raise UsageError(f"--to hf://{self.name}: no token; put one that may write there into the environment as HF_TOKEN")
        self.api = HfApi(os.environ.get("HF_ENDPOINT") or None, token=token)

    def there(self) -> dict[str, Held]:
        """Return the files of the data set; none where there is no such set yet. Raises InputError, MachineError."""
        from huggingface_hub.errors import RepositoryNotFoundError
        from huggingface_hub.hf_api import RepoFile

        with self._telling():
            try:
                entries = [*self.api.list_repo_tree(self.name, repo_type="dataset", recursive=True)]
            except RepositoryNotFoundError:
                entries = []
        for entry in entries:
            if isinstance(entry, RepoFile):
                sha256 = entry.lfs.sha256 if entry.lfs is not None else ""
                self.known[entry.path] = Held(entry.size, sha256, "" if sha256 else entry.blob_id)
        _refuse_foreign(f"hf://{self.name}", self.known, OWN)
        return self.known

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a folder to write files in: each is removed once it is sent."""
        with self._telling():
            self.api.create_repo(self.name, repo_type="dataset", private=self.private, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="starmill-publish-") as folder:
            yield Path(folder)

    def put_file(self, relative: str, staged: Path) -> None:
        """Send a file; it is part of the set with the next commit."""
        from huggingface_hub import CommitOperationAdd

        operation = CommitOperationAdd(relative, str(staged))
        with self._telling():
            self.api.preupload_lfs_files(self.name, [operation], repo_type="dataset")
        if getattr(operation, "_upload_mode", None) != "lfs":  # a hub that takes it as text wants its bytes with the commit
            operation = CommitOperationAdd(relative, staged.read_bytes())
        staged.unlink()
        self.ahead.append(operation)
        if len(self.ahead) >= AT_ONCE:
            self._commit(())

    def put(self, relative: str, data: bytes) -> None:
        """Take a small file for the next commit, unless the hub has it."""
        from huggingface_hub import CommitOperationAdd

        held = self.known.get(relative)
        git = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        if held is None or (held.git != git and held.sha256 != hashlib.sha256(data).hexdigest()):
            self.ahead = [operation for operation in self.ahead if operation.path_in_repo != relative]
            self.ahead.append(CommitOperationAdd(relative, data))

    def finish(self, remove: Sequence[str]) -> None:
        """Commit what was taken, and what is removed, together."""
        self._commit(remove)

    def _commit(self, remove: Sequence[str]) -> None:
        from huggingface_hub import CommitOperationDelete

        operations = [*self.ahead, *(CommitOperationDelete(path) for path in remove)]
        if operations:
            with self._telling():
                self.api.create_commit(
                    self.name, operations, commit_message="Data set by starmill", repo_type="dataset", num_threads=2
                )
            self.ahead.clear()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # of the hub's client, and of what it is made of: another release has another library below
            raise MachineError(
                f"hf://{self.name}: {one_line(error.__cause__ or error)}; run the same command to continue: what was sent is not sent again"
            ) from error


def target_of(place: str, private: bool = True) -> Folder | Hub:
    """Return the target that --to names. Raises UsageError."""
    if found := HUB.fullmatch(place):
        return Hub(found[1], private)
    if "://" in place:
        raise UsageError(f"--to {place}: give a folder, or hf://owner/name")
    return Folder(Path(place))


def _listed(mark: bytes) -> dict[str, str]:
    """Return the digests by path that a mark lists; none of a mark that is damaged, so that its files are believed by their names."""
    try:
        return {str(path): str(entry["sha256"]) for path, entry in json.loads(mark)["files"].items()}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _refuse_foreign(place: str, found: Iterable[str], own: Sequence[str]) -> None:
    foreign = [name for name in found if name not in own]
    if foreign and MARK not in found:
        raise InputError(
            f"--to {place}: holds files that are not starmill's ({', '.join(map(repr, foreign[:3]))}; {len(foreign)} in all); "
            "give an empty one"
        )
