"""Files on any fsspec URL, read and written whole: a write appears completely or not at all, and remote operations are retried.

An object store has no rename and needs none: one PUT of the final name is atomic. Each remote operation has a time limit and is
retried, with back-off, until `patience` is over: requests to a store often fail with 500 and 503, stall, or are cut off. Every
operation here may be repeated without harm, even one that succeeded while its answer was lost.
s3fs and gcsfs take credentials from the environment or the usual profile files, never from a URL.
"""

import functools
import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import fsspec
import pyarrow as pa
from fsspec.exceptions import FSTimeoutError
from fsspec.spec import AbstractBufferedFile

from starmill.core import files, seeds
from starmill.core.credentials import BUCKETS, refuse_credentials
from starmill.core.errors import InputError, MachineError, NotThere, StarmillError, UsageError, is_of_the_machine, one_line

# A retry does not change these, except GARBLED ones. FileNotFoundError is an answer, not a failure.
DEFINITE = (
    FileNotFoundError,
    PermissionError,
    FileExistsError,
    IsADirectoryError,
    NotADirectoryError,
    ValueError,
    TypeError,
    ImportError,
)
# One PUT, up to S3's own limit of 5 GB: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
ONE_PUT = 5 << 30
# A proxy's error page, with status 200, where the library expected JSON.
GARBLED = (json.JSONDecodeError, UnicodeDecodeError)
PIECE = 1 << 16  # bytes of a web server's answer that are taken at once
SMALL = 8 << 20  # bytes; nearly every file that is read whole is smaller
LONG = 1 << 30  # bytes of the longest listing: 2,000,000 files, one request per thousand


class Listed(NamedTuple):
    """One file of a listing; `modified`: seconds since 1970, None where the store does not say."""

    name: str
    size: int
    modified: float | None


class StorageError(MachineError, OSError):
    """An operation that failed until `patience` was over; the message names the file and the cause."""


@dataclass(frozen=True)
class Storage:
    """The files below one URL. `patience`: seconds of failures before giving up.

    A request is cut off after `stall` seconds, plus one second per `slowest` bytes that it carries.

    >>> storage = Storage("memory://example")
    >>> storage.publish("a/b.txt", b"text")
    >>> storage.files("a"), storage.read("a/b.txt", start=1)
    (['b.txt'], b'ext')
    """

    url: str
    patience: float = 600.0
    stall: float = 60.0
    slowest: float = 1 << 20

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the values alone: a file system cannot move to another process."""
        return asdict(self)

    @functools.cached_property
    def fs(self) -> fsspec.AbstractFileSystem:
        """The file system behind the URL. Raises UsageError where the URL carries credentials, StorageError where it cannot be opened."""
        refuse_credentials(self.url)
        protocol = fsspec.utils.get_protocol(self.url)
        try:
            return _file_system(self.url, protocol)
        except ValueError as error:
            raise UsageError(
                f"{self.url}: {error}; give a folder, or a URL that begins with {', '.join(f'{b}://' for b in BUCKETS)}"
            ) from None
        except ImportError as error:
            fix = "; pip install 'starmill[cloud]'" if protocol in BUCKETS else ""
            raise StorageError(f"{self.url}: {error}{fix}") from None

    @functools.cached_property
    def root(self) -> str:
        """The URL without its protocol; absolute for a local folder."""
        return str(self.fs._strip_protocol(self.url)).rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether files can be renamed and memory-mapped."""
        return "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))

    def path(self, relative: str) -> str:
        """Return a file's path in the file system. Raises InputError for one that leads out of the folder, by its name or by a link."""
        if ".." in relative.split("/") or relative.startswith("/") or "\0" in relative:
            raise InputError(f"{self.url}: {relative!r} leads out of this folder; remove the file that names it, and run again")
        if self.is_local:
            files.refuse_links(self.root, relative)
        return f"{self.root}/{relative}"

    def exists(self, relative: str) -> bool:
        """Say whether there is a file."""
        return bool(self._call("exists", relative))

    def size(self, relative: str) -> int:
        """Return the bytes of a file. Raises FileNotFoundError."""
        return int(self._call("info", relative)["size"])

    def read(self, relative: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return a file, or its bytes from `start` up to `end`. Raises FileNotFoundError."""
        return bytes(self._call("cat_file", relative, start=start, end=end, size=None if end is None else end - (start or 0)))

    def start_of(self, relative: str, most: int) -> bytes:
        """Return a file, or of a larger one its first `most` bytes, as they are stored; no more is held. Raises FileNotFoundError.

        It is one request, whatever the file's size. A web server may send without end, and is left in the middle.
        """
        if self.is_local:
            with _no_folder(self.path(relative)), open(self.path(relative), "rb") as file:
                return file.read(most)
        if {"http", "https"} & {*self.fs.protocol}:
            return bytes(self._call("start_of", relative, most, size=most, by=functools.partial(_streamed, self.fs)))
        return bytes(self._call("cat_file", relative, start=0, end=most, size=most))

    def sha256(self, relative: str) -> str:
        """Return the digest of a file's bytes, in hexadecimal digits. Raises FileNotFoundError."""
        if self.is_local:
            with _no_folder(self.path(relative)), open(self.path(relative), "rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha256()
        for start in range(0, size := self.size(relative), 2 * SMALL):
            digest.update(self.read(relative, start, min(start + 2 * SMALL, size)))
        return digest.hexdigest()

    def remove(self, relative: str) -> None:
        """Remove a file; an absent one is fine."""
        with suppress(FileNotFoundError):
            self._call("rm_file", relative)

    def files(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted; an absent folder is empty."""
        return sorted(e.rstrip("/").rsplit("/", 1)[-1] for e in self._ls(folder, detail=False))

    def listing(self, folder: str) -> list[Listed]:
        """Return the files in a folder, sorted by name, with size and time of each; an absent folder is empty."""
        listed = []
        for info in self._ls(folder, detail=True):
            when = next((info[name] for name in ("mtime", "LastModified", "created") if info.get(name)), None)
            modified = when.timestamp() if isinstance(when, datetime) else when
            listed.append(Listed(info["name"].rstrip("/").rsplit("/", 1)[-1], int(info["size"] or 0), modified))
        return sorted(listed, key=lambda f: f.name)

    def below(self, folder: str) -> list[str]:
        """Return the paths of all files below a folder; an absent folder is empty."""
        return [path.removeprefix(f"{self.root}/") for path in self._call("find", folder, size=None)]

    def info(self, relative: str) -> dict[str, Any]:
        """Return what the file system knows of a file or folder now, in its own words. Raises FileNotFoundError."""
        # Without `expand_info` a hub's answer that is no cached one lacks the file's id.
        fresh: dict[str, Any] = {"refresh": True} | ({"expand_info": True} if relative and self.fs.protocol == "hf" else {})
        return dict(self._call("info", relative, **({} if self.is_local else fresh)))

    def infos(self) -> dict[str, dict[str, Any]]:
        """Return what the file system knows of each file below the URL, by path, sorted."""
        found = self._call("find", "", detail=True, size=None)
        return {name.removeprefix(self.root).strip("/"): found[name] for name in sorted(found)}

    def _ls(self, folder: str, detail: bool) -> list[Any]:
        try:
            return list(self._call("ls", folder, detail=detail, refresh=True, size=None))
        except FileNotFoundError:
            return []

    @contextmanager
    def open(self, relative: str) -> Iterator[pa.NativeFile]:
        """Open a file for reading in any order. Raises FileNotFoundError."""
        if self.is_local:
            # Not Python's own file: Arrow's threads would call into an interpreter that is ending, which aborts the process.
            with pa.OSFile(os.fsencode(self.path(relative))) as file:  # a name need not be UTF-8
                yield file
        else:
            with pa.PythonFile(_Ranges(self, relative), mode="r") as file:
                yield file

    def publish(self, relative: str, data: bytes | pa.Buffer) -> None:
        """Write a file so that it is there whole or not at all. Raises StorageError."""
        if self.is_local:
            place = Path(self.path(relative))
            try:
                with _no_folder(str(place)):
                    place.parent.mkdir(parents=True, exist_ok=True)
                    files.write(place, data, files.writer_of(relative))
            except OSError as error:
                said = f"{place}: cannot be written: {one_line(error)}"
                raise StorageError(
                    f"{said}; mend that (room, rights, limits), then run the same command to continue"
                ) from error
            return
        single: dict[str, Any] = {"chunksize": ONE_PUT} if {"s3", "gs"} & {*self.fs.protocol} else {}
        try:
            self._call("pipe_file", relative, bytes(data), size=len(data), **single)
        except FileNotFoundError as error:
            raise StorageError(f"{self.url}: {error}; make the bucket first") from None

    def _call(
        self,
        method: str,
        relative: str,
        *arguments: Any,
        size: int | None = 0,
        by: Callable[..., Any] | None = None,
        **options: Any,
    ) -> Any:
        """Call a method of the file system, or `by`, until it answers or `patience` is over.

        `size`: bytes of the request; None: a whole file's.
        """
        path, failing_since, carried = self.path(relative), 0.0, SMALL if size is None else size
        for attempt in itertools.count():
            try:
                if not self.fs.async_impl:
                    with _no_folder(path):
                        return getattr(self.fs, method)(path, *arguments, **options)
                slow = self.stall + carried / self.slowest
                asked = by or getattr(self.fs, f"_{method}")
                return fsspec.asyn.sync(self.fs.loop, asked, path, *arguments, timeout=slow, **options)
            except Exception as error:
                if isinstance(error, DEFINITE) and not isinstance(error, GARBLED):
                    raise
                failing_since = failing_since or time.monotonic()
                if self.is_local or time.monotonic() - failing_since > self.patience:
                    tried = f"{attempt + 1} times in {time.monotonic() - failing_since:.0f} s"
                    raise StorageError(
                        f"{self.url}/{relative}: {method} failed {tried}: {type(error).__name__}: {error}"
                    ) from error
                if size is None and isinstance(error, FSTimeoutError):  # a stall, or a file or folder that is large after all
                    size = carried = LONG if method == "ls" else self.size(relative)
            # Spread by the file's name: workers that failed together do not retry together.
            time.sleep(min(0.2 * 2**attempt, 15) * (0.5 + seeds.uniform(attempt, "back_off", path)))
        raise AssertionError("unreachable")


@contextmanager
def named(key: str, url: str, **options: Any) -> Iterator[Any]:
    """Open the file or URL that a recipe has at `key`. Raises NotThere, InputError or MachineError, which name both."""
    try:
        if "://" not in url and Path(url).exists() and not Path(url).is_file():
            raise InputError(f"{key}: {url}: a folder, a pipe or a device, where a file should be; give the file itself")
        with fsspec.open(url, **options) as file:
            yield file
    except StarmillError:
        raise
    except FileNotFoundError:
        raise NotThere(f"{key}: {url}: no such file; give one that is there, or leave it out") from None
    except Exception as error:
        # Each library that inflates has an exception of its own for what is damaged, and some have it from Exception alone.
        if not (isinstance(error, OSError | ValueError | ImportError) or options.get("compression")):
            raise
        kind = MachineError if is_of_the_machine(error) else InputError
        raise kind(f"{key}: {url}: {one_line(error)}; give a file or URL that can be read") from error


@contextmanager
def _no_folder(place: str) -> Iterator[None]:
    try:
        yield
    except (IsADirectoryError, NotADirectoryError) as error:
        what = (
            "a folder where a file must lie" if isinstance(error, IsADirectoryError) else "lies below a file, not in a folder"
        )
        raise InputError(f"{place!r}: {what}; move it away and run again") from None


def _file_system(url: str, protocol: str) -> fsspec.AbstractFileSystem:
    # A cached listing is wrong as soon as another worker publishes.
    if protocol not in ("gs", "gcs"):
        return fsspec.core.url_to_fs(url, **({} if protocol == "file" else {"use_listings_cache": False}))[0]
    # Not gcsfs' default class: it leaves files of some buckets open for appending, and waits for ever without an account.
    from gcsfs.core import GCSFileSystem

    try:
        return GCSFileSystem(use_listings_cache=False)
    except Exception as error:  # google-auth's errors, and those of a token of an unexpected kind
        # A network error quotes the request, and with it a token.
        said = "" if isinstance(error, OSError) else f": {error}"
        raise StorageError(f"{url}: no credentials for Google's store: {type(error).__name__}{said}") from None


async def _streamed(fs: Any, url: str, most: int) -> bytes:
    """Return the first bytes that a web server sends: not inflated on the way, so that a small answer is not a large one."""
    import aiohttp  # fsspec has it loaded

    made, left = [], most
    session = await fs.set_session()
    plain = {"Accept-Encoding": "identity"}
    try:
        async with session.get(fs.encode_url(url), headers=plain, auto_decompress=False) as answer:
            fs._raise_not_found_for_status(answer, url)
            if answer.status != 200:
                raise ConnectionError(f"status {answer.status}, which is neither a file nor an error")
            while left > 0 and (piece := await answer.content.read(min(left, PIECE))):
                made.append(piece)
                left -= len(piece)
            if left <= 0:
                answer.close()  # what else it sends is not waited for
    except aiohttp.InvalidUrlRedirectClientError as error:  # a ValueError, and yet no fault of who asks
        raise ConnectionError(f"it leads on to {str(error)[:200]!r}") from None
    return b"".join(made)


class _Ranges(AbstractBufferedFile):
    """A remote file as range requests, each with the storage's patience; nothing is read ahead."""

    def __init__(self, storage: Storage, relative: str) -> None:
        size = storage.size(relative)
        super().__init__(storage.fs, storage.path(relative), cache_type="none", size=size)
        self._storage, self._relative = storage, relative

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self._storage.read(self._relative, start, min(end, self.size))
