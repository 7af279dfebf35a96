"""The content store of Software Heritage: an object `<sha1>` for each blob, gzip, in a bucket, behind a web server or in a folder.

What comes is held against its length, its SHA-1 and git's id, so that a store can only withhold a text, never give another one. A store
that fails, stalls or wants fewer requests is asked again until its patience is over, and then fails the part: that is no property of a
blob. No answer takes more memory than its blob may. What a remote store does not have is asked for once.
"""

import functools
import hashlib
import threading
import time
import zlib
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from starmill.core import seeds
from starmill.core.errors import InputError, one_line
from starmill.core.storage import Storage, StorageError
from starmill.core.swhid import blob_id, content_id
from starmill.pipelines.sources.source import read_file, state_of
from starmill.pipelines.sources.swh.misses import Misses

GZIP = 31  # zlib's number for a stream with gzip's header
HELD = 64 << 20  # bytes of blobs that a repository has at several paths, kept until the last of them
MOST_STREAMS = 64  # of gzip in an object; Software Heritage writes one, and what follows a stream is copied
SPARE = 1 << 16  # bytes by which gzip may be larger than what it holds, and one in a hundred more
PATIENCE = 600.0  # seconds of failures of one object
LONGEST_PAUSE = 15.0  # seconds, where the store does not say how long
AGAIN = frozenset((408, 425, 429))  # refusals of a web server that pass; of the others between 400 and 499 none does
REFUSED = "the store refuses: give one that this machine may read, with its credentials in the environment"
AtOnce = Annotated[int, msgspec.Meta(ge=1, le=256)]  # requests
PUBLIC = "https://softwareheritage.s3.amazonaws.com/content"


class NoContent(ValueError):
    """A blob that the store does not give; `reason` is the name of a row's."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Wanted:
    """A blob: the name of its object, git's id (empty: not compared), and its bytes by what an export says; None: any below the limit."""

    sha1: str
    sha1_git: str
    length: int | None


@dataclass(frozen=True)
class Asking:
    """How a store is asked: `per_second` requests at most of this process, and where misses are kept for later runs, if they are.

    `again` is the number of the recipe's `ask_again`: each has misses of its own.
    """

    place: str
    requests: int = 16
    per_second: float | None = None
    misses: str | None = None
    again: int = 0

    def state(self) -> str:
        """Return what changes once a store may have what it did not: its folder, or the number that a person raises."""
        folder = "://" in self.place or state_of(self.place)[0]
        return hashlib.sha256(repr((folder, self.again)).encode()).hexdigest()

    def refuse_absent(self) -> None:
        """Raise InputError for a folder that is not there."""
        if "://" not in self.place and not Path(self.place).is_dir():
            raise InputError(f"{self.place}: no such folder of contents; name the one that holds the objects")


class Pace:
    """Spreads the requests of all threads: so many a second, and none before the moment that a store has named."""

    def __init__(self, per_second: float | None) -> None:
        """Start now."""
        self._gap, self._next, self._lock = 1 / per_second if per_second else 0.0, 0.0, threading.Lock()

    def wait(self, stop: threading.Event) -> None:
        """Wait for a turn, or until nobody wants it any more."""
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self._gap
        if at > now:
            stop.wait(at - now)

    def hold(self, seconds: float) -> None:
        """Let no request begin before so many seconds from now."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class ContentStore:
    """A store as one process asks it, from all of its threads. Use `store`, which gives the same one for the same asking."""

    def __init__(self, asking: Asking, patience: float = PATIENCE, stall: float = 60.0) -> None:
        """Open nothing. A request is cut off after `stall` seconds, and a second more for each megabyte that it may bring."""
        self.asking, self._patience = asking, patience
        self._storage = Storage(asking.place, patience=-1, stall=stall)  # asks once: what follows is decided here
        self._pace, self._misses = Pace(asking.per_second), Misses(asking.misses, asking.place, asking.again)
        self._counts, self._lock = Counter[str](), threading.Lock()

    def forget(self) -> None:
        """Forget what this process knows to be missing, for a new run: what is kept for later runs stays."""
        self._misses = Misses(self.asking.misses, self.asking.place, self.asking.again)

    def take_counts(self) -> dict[str, int]:
        """Return what was asked since the last call: requests, those made again, those spared by a known miss, and bytes."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        return dict(sorted(counts.items()))

    def get(self, wanted: Wanted, most: int, stop: threading.Event) -> bytes:
        """Return a blob of less than `most` bytes. Raises NoContent; StorageError once the store's patience is over, or for a refusal."""
        known = self._misses.get(wanted.sha1)
        if known:
            self._count(spared=1)
            raise _missing(known, wanted)
        limit = most - 1 if wanted.length is None else wanted.length
        stored = limit + limit // 100 + SPARE
        try:
            data = self._read(wanted.sha1, stored + 1, stop)
            if len(data) > stored:
                raise _too_long(wanted, limit)
            if blob_id(data) != wanted.sha1:
                data = _inflated(data, wanted, limit)
        except NoContent as error:
            if not self._storage.is_local and error.reason in Misses.REASONS:
                self._misses.add(wanted.sha1, error.reason)
            raise
        if (wanted.length is not None and len(data) != wanted.length) or blob_id(data) != wanted.sha1:
            raise NoContent("wrong_content", f"the object {wanted.sha1} holds other bytes")
        if wanted.sha1_git and content_id(data) != wanted.sha1_git:
            raise NoContent("wrong_content", f"the object {wanted.sha1} is not the blob {wanted.sha1_git}")
        return data

    def _read(self, name: str, most: int, stop: threading.Event) -> bytes:
        if self._storage.is_local:
            return _from_folder(self._storage, name, most)
        since, tried = 0.0, 0
        while True:
            self._pace.wait(stop)
            self._count(requests=1, again=int(tried > 0))
            try:
                data = self._storage.start_of(name, most)
            except FileNotFoundError:
                raise NoContent("missing_content", _absent(name)) from None
            except PermissionError as error:
                raise StorageError(f"{self.asking.place}/{name}: {one_line(error)}; {REFUSED}") from error
            except StorageError as error:
                cause = error.__cause__ or error
                status = getattr(cause, "status", None)
                if "range" in str(cause).lower() and self._is_empty(name):  # S3 gives no range of nothing
                    return b""
                if status == 410:
                    raise NoContent("missing_content", _absent(name)) from None
                now, tried = time.monotonic(), tried + 1
                since = since or now
                said = f"{self.asking.place}/{name}: failed {tried} times in {now - since:.0f} s: {one_line(cause)}"
                if isinstance(status, int) and 400 <= status < 500 and status not in AGAIN:
                    raise StorageError(f"{said}; {REFUSED}") from error
                named = asked_pause(getattr(cause, "headers", None) or {})
                pause = named or min(0.2 * 2**tried, LONGEST_PAUSE) * (0.5 + seeds.uniform(tried, "back_off", name))
                if stop.is_set() or now + pause - since > self._patience:
                    later = f"; it asks to wait {named:,.0f} s: run the same command then" if named else ""
                    raise StorageError(f"{said}{later}") from error
                if named:
                    self._pace.hold(named)  # it said so to one thread, and means all
                else:
                    stop.wait(pause)
            else:
                self._count(bytes=len(data))
                return data

    def _is_empty(self, name: str) -> bool:
        try:
            return self._storage.size(name) == 0
        except (OSError, ValueError):  # the request that failed is asked again
            return False

    def _count(self, **counts: int) -> None:
        with self._lock:
            self._counts.update({name: n for name, n in counts.items() if n})


@functools.lru_cache(maxsize=8)
def store(asking: Asking) -> ContentStore:
    """Return this process's store."""
    return ContentStore(asking)


def asked_pause(headers: Mapping[str, Any]) -> float:
    """Return the seconds that a web server asks to wait: Retry-After as seconds or a date, else X-RateLimit-Reset; 0 where it does not.

    A moment is compared with the server's own clock where it tells that.

    >>> date = {"Date": "Thu, 01 Jan 2026 00:00:00 GMT"}
    >>> asked_pause({"Retry-After": "7"}), asked_pause({"Retry-After": "Thu, 01 Jan 2026 00:00:09 GMT"} | date)
    (7.0, 9.0)
    >>> asked_pause({"X-RateLimit-Reset": "1767225605"} | date), asked_pause({"Retry-After": "soon"})
    (5.0, 0.0)
    """
    after, reset = str(headers.get("Retry-After", "")).strip(), str(headers.get("X-RateLimit-Reset", "")).strip()
    if after.isascii() and after.isdigit():
        return float(after[:12])
    moment = _moment(after) or (float(reset[:12]) if reset.isascii() and reset.isdigit() else 0.0)
    return max(0.0, moment - (_moment(str(headers.get("Date", ""))) or time.time())) if moment else 0.0


def _moment(text: str) -> float:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0


def _absent(name: str) -> str:
    return f"no object {name} in the content store"


def _missing(reason: str, wanted: Wanted) -> NoContent:
    return NoContent(reason, _absent(wanted.sha1) if reason == "missing_content" else f"the object {wanted.sha1} is all zero")


def _too_long(wanted: Wanted, limit: int) -> NoContent:
    if wanted.length is None:
        return NoContent("too_large", f"the object {wanted.sha1} inflates to more than {limit:,} bytes")
    return NoContent("wrong_content", f"the object {wanted.sha1} inflates to more than the {wanted.length:,} bytes of its blob")


def _from_folder(storage: Storage, name: str, most: int) -> bytes:
    try:
        entry = read_file(b"", storage.path(name).encode(), most + 1)
    except InputError as error:  # a link
        raise NoContent("unreadable_content", str(error)) from None
    if entry.data is not None:
        return entry.data
    if entry.reason == "missing_file":
        raise NoContent("missing_content", _absent(name))
    if entry.reason == "too_large":
        return b"\x1f" * most  # what is above the limit is not looked at
    raise NoContent("unreadable_content", f"{name}: {entry.reason}: {entry.detail or 'no file'}")


def _inflated(data: bytes, wanted: Wanted, limit: int) -> bytes:
    if not data.strip(b"\0"):
        raise _missing("zeroed_object", wanted)
    made: list[bytes] = []
    left = limit + 1
    try:
        while data and left > 0:
            if len(made) == MOST_STREAMS:
                raise NoContent("wrong_content", f"the object {wanted.sha1} has more than {MOST_STREAMS} streams of gzip")
            stream = zlib.decompressobj(GZIP)
            made.append(stream.decompress(data, left))
            left -= len(made[-1])
            if not stream.eof and left > 0:
                raise NoContent("truncated_content", f"the object {wanted.sha1} ends in the middle")
            data = stream.unused_data
    except zlib.error as error:
        raise NoContent("wrong_content", f"the object {wanted.sha1} is no gzip: {error}") from None
    if left <= 0:
        raise _too_long(wanted, limit)
    return b"".join(made)


def fetched(of: ContentStore, wanted: Sequence[Wanted | None], most: int) -> Iterator[bytes | NoContent | None]:
    """Yield each blob in order, or why there is none; None for None. As many requests are made at once as the asking says, and none
    twice for one blob. Raises StorageError.
    """
    again, requests = Counter(w for w in wanted if w is not None), of.asking.requests
    held: dict[Wanted, bytes | NoContent] = {}
    size = 0
    stop = threading.Event()

    def get(blob: Wanted) -> bytes | NoContent:
        try:
            return of.get(blob, most, stop)
        except NoContent as error:
            return error

    pool = ThreadPoolExecutor(requests)
    asked: dict[Wanted, Future[bytes | NoContent]] = {}
    window: deque[Wanted | None] = deque()
    try:
        for blob in (*wanted, *[None] * requests):
            window.append(blob)
            if blob is not None and blob not in asked and blob not in held:
                asked[blob] = pool.submit(get, blob)
            if len(window) <= requests:
                continue
            first = window.popleft()
            if first is None:
                yield None
                continue
            again[first] -= 1
            given = held[first] if first in held else asked[first].result()
            taken = len(given) if isinstance(given, bytes) else 0
            if first in asked and first not in window:
                del asked[first]
                if again[first] and size + taken <= HELD:
                    held[first], size = given, size + taken
            if not again[first] and held.pop(first, None) is not None:
                size -= taken
            yield given
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
