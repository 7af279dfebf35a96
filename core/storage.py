"""Whole files on any fsspec URL: written so that they are there whole or not at all, and with patience where a network is between.

An object store has no rename and needs none: one PUT of the final name is atomic by itself. Each operation on one is bounded in
time and tried again, with back-off, until `patience` is over: requests fail with 500 and 503, stall, or are cut in the middle
as a matter of course. Every operation here may be repeated without harm, also one that was done while its answer got lost.
Credentials are the business of s3fs and gcsfs: the environment or the usual profile files, never a URL.
"""

import functools
import io
import itertools
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urlsplit

import fsspec
import pyarrow as pa

from starmill.core import seeds

TEMPORARY = ".tmp-"
# No second try changes these. FileNotFoundError is an answer, not a failure.
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
SLOWEST = 1 << 20  # bytes a second; slower than this is a stall


class Listed(NamedTuple):
    """What a listing tells of one file; `modified`: seconds since 1970, where the store says."""

    name: str
    size: int
    modified: float | None


class StorageError(OSError):
    """A store that did not do what was asked for in all the time it was given; the message names the file and the cause."""


@dataclass(frozen=True)
class Storage:
    """The files below one URL. `patience`: seconds of failures before giving up; `stall`: seconds before a request is cut off."""

    url: str
    patience: float = 600.0
    stall: float = 60.0

    def __getstate__(self) -> dict[str, Any]:
        """Pickle the values alone: a file system is not for another process."""
        return {"url": self.url, "patience": self.patience, "stall": self.stall}

    @functools.cached_property
    def fs(self) -> fsspec.AbstractFileSystem:
        """The file system behind the URL. Raises ValueError where the URL carries credentials."""
        protocol = fsspec.utils.get_protocol(self.url)
        if protocol != "file" and "@" in urlsplit(self.url).netloc:
            raise ValueError(
                f"a {protocol}:// workspace with a user or password in its URL: give credentials in the environment or a profile file"
            )
        # A listing that a process remembers is wrong as soon as another worker has published.
        if protocol in ("gs", "gcs"):
            from gcsfs.core import (
                GCSFileSystem,
            )  # not gcsfs' default class, which leaves files of some buckets open for appending

            return GCSFileSystem(use_listings_cache=False)
        return fsspec.core.url_to_fs(self.url, **({} if protocol == "file" else {"use_listings_cache": False}))[0]

    @functools.cached_property
    def root(self) -> str:
        """The URL without its protocol; absolute for a local folder."""
        return str(self.fs._strip_protocol(self.url)).rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether files can be renamed and memory-mapped."""
        return "file" in (self.fs.protocol if isinstance(self.fs.protocol, tuple) else (self.fs.protocol,))

    def path(self, relative: str) -> str:
        """Return the file system's path of a file."""
        return f"{self.root}/{relative}"

    def exists(self, relative: str) -> bool:
        """Say whether there is a file."""
        return bool(self._call("exists", relative))

    def size(self, relative: str) -> int:
        """Return the bytes of a file. Raises FileNotFoundError."""
        return int(self._call("info", relative)["size"])

    def read(self, relative: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return a file, or its bytes from `start` up to `end`. Raises FileNotFoundError."""
        return bytes(self._call("cat_file", relative, start=start, end=end, size=end - (start or 0) if end else 1 << 30))

    def remove(self, relative: str) -> None:
        """Remove a file; an absent one is fine."""
        with suppress(FileNotFoundError):
            self._call("rm_file", relative)

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, sorted; an absent folder is empty."""
        return sorted(e.rstrip("/").rsplit("/", 1)[-1] for e in self._ls(folder, detail=False))

    def listing(self, folder: str) -> list[Listed]:
        """Return the files in a folder, sorted by name, with what the store tells of each; an absent folder is empty."""
        listed = []
        for info in self._ls(folder, detail=True):
            when = next((info[name] for name in ("mtime", "LastModified", "created") if info.get(name)), None)
            modified = when.timestamp() if isinstance(when, datetime) else when
            listed.append(Listed(info["name"].rstrip("/").rsplit("/", 1)[-1], int(info["size"] or 0), modified))
        return sorted(listed, key=lambda f: f.name)

    def _ls(self, folder: str, detail: bool) -> list[Any]:
        try:
            # One call is a request for each thousand files: a bucket of half a million answers after a minute, and does not stall.
            return list(self._call("ls", folder, detail=detail, refresh=True, size=1 << 30))
        except FileNotFoundError:
            return []

    @contextmanager
    def open(self, relative: str) -> Iterator[BinaryIO | pa.PythonFile]:
        """Open a file for reading in any order. Raises FileNotFoundError."""
        if self.is_local:
            with open(self.path(relative), "rb") as file:
                yield file
        else:
            with pa.PythonFile(_Ranges(self, relative), mode="r") as file:
                yield file

    def write(self, relative: str, data: bytes | pa.Buffer) -> None:
        """Write a file so that it is there whole or not at all. Raises StorageError."""
        if self.is_local:
            _write_and_rename(Path(self.path(relative)), data)
            return
        single = {"chunksize": ONE_PUT} if {"s3", "gs"} & {*self.fs.protocol} else {}
        try:
            self._call("pipe_file", relative, bytes(data), size=len(data), **single)
        except FileNotFoundError as error:
            raise StorageError(f"{self.url}: {error}; make the bucket first") from None

    def _call(self, method: str, relative: str, *arguments: Any, size: int = 0, **options: Any) -> Any:
        """Call a method of the file system, until it answers or patience is over."""
        path, failing_since = self.path(relative), 0.0
        for attempt in itertools.count():
            try:
                if not self.fs.async_impl:
                    return getattr(self.fs, method)(path, *arguments, **options)
                slow = self.stall + size / SLOWEST
                return fsspec.asyn.sync(self.fs.loop, getattr(self.fs, f"_{method}"), path, *arguments, timeout=slow, **options)
            except DEFINITE:
                raise
            except Exception as error:
                failing_since = failing_since or time.monotonic()
                if self.is_local or time.monotonic() - failing_since > self.patience:
                    tried = f"{attempt + 1} times in {time.monotonic() - failing_since:.0f} s"
                    raise StorageError(
                        f"{self.url}/{relative}: {method} failed {tried}: {type(error).__name__}: {error}"
                    ) from error
            # Spread by the file's name: workers that failed together do not come back together.
            time.sleep(min(0.2 * 2**attempt, 15) * (0.5 + seeds.uniform(attempt, "back_off", path)))
        raise AssertionError("unreachable")


class _Ranges(io.RawIOBase):
    """A remote file as range requests, each with the storage's patience."""

    def __init__(self, storage: Storage, relative: str) -> None:
        self._storage, self._relative = storage, relative
        self._size, self._at = storage.size(relative), 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        end = self._size if size is None or size < 0 else min(self._at + size, self._size)
        if end <= self._at:
            return b""
        data = self._storage.read(self._relative, self._at, end)
        self._at += len(data)
        return data


def _write_and_rename(place: Path, data: bytes | pa.Buffer) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    # Not the process id: containers that share a volume number their processes alike. This randomness reaches no output.
    temporary = place.with_name(f"{TEMPORARY}{secrets.token_hex(8)}-{place.name}")
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a rename may reach the disk before the bytes do
        os.replace(temporary, place)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
