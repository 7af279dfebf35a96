"""Files of a bucket on the disk of a node: fetched on first use, once for all processes of the node, and kept for the next run.

  <cache>/<digest of the workspace and its shards>/shards/part-00000.bin

A file is fetched in ranges under a temporary name, compared with the size and sha256 in the manifest, and renamed: a file under its own
name is whole. A lock file lets one process fetch while the others wait; the kernel frees the lock when that process ends.
"""

import errno
import fcntl
import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from starmill.core import recipe
from starmill.core.dataset import Output, Sidecar, Workspace, at_once, part_path
from starmill.core.errors import InputError
from starmill.core.files import open_lock, replacing
from starmill.core.storage import Storage

CHUNK = 16 << 20  # bytes of a request
SUFFIXES = ("idx", "docs.parquet", "bin")
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class CacheError(InputError):
    """A file that cannot be fetched to this node; the message names the file and the fix."""


@dataclass(frozen=True)
class CachedFile:
    """One file of a workspace, and its place on this machine."""

    storage: Storage
    output: Output
    place: Path

    @property
    def is_here(self) -> bool:
        """Whether the whole file is on this machine."""
        try:
            return self.place.stat().st_size == self.output.bytes
        except FileNotFoundError:
            return False

    def fetch(self, wait: bool = True) -> None:
        """Fetch the file. Unless `wait`, return at once if another process is fetching the file. Raises CacheError or StorageError."""
        if self.is_here:
            return
        self.place.parent.mkdir(parents=True, exist_ok=True)
        with open_lock(self.place.with_name(f".lock-{self.place.name}")) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                return
            if not self.is_here:
                self._download()

    def _download(self) -> None:
        whole, digest = self.output.bytes, hashlib.sha256()
        source = f"{self.storage.url}/{self.output.path}"
        try:
            if (free := shutil.disk_usage(self.place.parent).free) < whole:
                raise OSError(errno.ENOSPC, f"{free:,} bytes are free")
            if (size := self.storage.size(self.output.path)) != whole:
                raise CacheError(f"{source}: {size:,} bytes where the manifest says {whole:,}; copy the shards there again")
            with replacing(self.place) as temporary:  # one writer: the lock's holder
                with open(temporary, "wb") as file:
                    for start in range(0, whole, CHUNK):
                        data = self.storage.read(self.output.path, start, min(start + CHUNK, whole))
                        digest.update(data)
                        file.write(data)
                if digest.hexdigest() != self.output.sha256:
                    raise CacheError(
                        f"{source}: its sha256 is not the manifest's, so its bytes are others; copy the shards there again"
                    )
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            raise CacheError(
                f"{self.place.parent}: no room for {self.output.path} of {whole:,} bytes ({error.strerror}); make room, or name a "
                "larger disk as the recipe's `cache`"
            ) from None


def default_folder() -> Path:
    """Return where files are kept unless a recipe says otherwise."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "starmill" / "shards"


def shard_files(workspace: Workspace, parts: Sequence[Sidecar], folder: Path) -> list[dict[str, CachedFile]]:
    """Return the files of each shard by suffix, indexes and side tables fetched already. Raises CacheError or StorageError.

    A part without documents has no shard: its only output is its dropped rows.
    """
    # The name digests the shards, since shards that are made again are other files, and the workspace, which vouches for its own only.
    root = folder / recipe.digest(workspace.root, [p.digest() for p in parts])[:32]
    shards = []
    for part in parts:
        outputs, files = {o.path: o for o in part.outputs if not o.path.startswith("dropped/")}, {}
        if not outputs:
            continue
        for suffix in SUFFIXES:
            path = part_path("shards", part.part, suffix)  # never the manifest's own: it comes from outside
            if path not in outputs:
                raise CacheError(f"{workspace.url}/shards/manifest.json: part {part.part} has no {path}")
            files[suffix] = CachedFile(workspace, outputs[path], root / path)
        shards.append(files)
    small = [files[suffix] for files in shards for suffix in SUFFIXES if suffix != "bin"]
    for _ in at_once(CachedFile.fetch, small, requests=16):
        pass
    return shards
