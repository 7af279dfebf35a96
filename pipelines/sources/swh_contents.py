"""The content store of Software Heritage: an object `<sha1>` for each blob, gzip, in a bucket, behind a web server or in a folder.

What comes is held against its length, its SHA-1 and git's id, so that a store can only withhold a text, never give another one. A store
that fails or stalls is asked again until its patience is over (core/storage.py), and then fails the part: that is no property of a blob.
"""

import zlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from starmill.core.errors import InputError, of_a_file
from starmill.core.storage import Storage, StorageError
from starmill.core.swhid import blob_id, content_id

GZIP = 31  # zlib's number for a stream with gzip's header
HELD = 64 << 20  # bytes of blobs that a repository has at several paths, kept until the last of them
SPARE = 1 << 16  # bytes by which gzip may be larger than what it holds, and one in a hundred more


class NoContent(ValueError):
    """A blob that the store does not give; `reason` is the name of a row's."""

    def __init__(self, reason: str, detail: str) -> None:
        """Keep both."""
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Wanted:
    """A blob: the name of its object, git's id, and its bytes by what the export says."""

    sha1: str
    sha1_git: str
    length: int


def fetch(store: Storage, wanted: Wanted) -> bytes:
    """Return a blob. Raises NoContent; StorageError once the store's patience is over."""
    most = wanted.length + wanted.length // 100 + SPARE
    try:
        if store.is_local and (size := store.size(wanted.sha1)) > most:
            raise NoContent("wrong_content", f"an object of {size:,} bytes for a blob of {wanted.length:,}")
        data = store.read(wanted.sha1)
    except StorageError:
        raise
    except FileNotFoundError:
        raise NoContent("missing_content", f"no object {wanted.sha1} in the content store") from None
    except InputError as error:  # a folder, a link, a pipe
        raise NoContent("unreadable_content", str(error)) from None
    except OSError as error:
        raise NoContent("unreadable_content", f"{wanted.sha1}: {of_a_file(error, wanted.sha1)}") from None
    if blob_id(data) != wanted.sha1:  # what a server sends may have been inflated on the way
        data = _inflated(data, wanted)
    if len(data) != wanted.length or blob_id(data) != wanted.sha1:
        raise NoContent("wrong_content", f"the object {wanted.sha1} holds other bytes")
    if content_id(data) != wanted.sha1_git:
        raise NoContent("wrong_content", f"the object {wanted.sha1} is not the blob {wanted.sha1_git}")
    return data


def _inflated(data: bytes, wanted: Wanted) -> bytes:
    if not data.strip(b"\0"):
        raise NoContent("zeroed_object", f"the object {wanted.sha1} is {len(data):,} bytes, all zero")
    made, left = [], wanted.length + 1
    try:
        while data and left > 0:
            stream = zlib.decompressobj(GZIP)
            made.append(stream.decompress(data, left))
            left -= len(made[-1])
            if not stream.eof and left > 0:
                raise NoContent("truncated_content", f"the object {wanted.sha1} ends in the middle")
            data = stream.unused_data
    except zlib.error as error:
        raise NoContent("wrong_content", f"the object {wanted.sha1} is no gzip: {error}") from None
    if left <= 0:
        raise NoContent(
            "wrong_content", f"the object {wanted.sha1} inflates to more than the {wanted.length:,} bytes of its blob"
        )
    return b"".join(made)


def fetched(store: Storage, wanted: Sequence[Wanted | None], requests: int) -> Iterator[bytes | NoContent | None]:
    """Yield each blob in order, or why there is none; None for None. So many requests are made at once, and none twice for one blob.

    Raises StorageError.
    """
    again = Counter(w for w in wanted if w is not None)
    held: dict[Wanted, bytes | NoContent] = {}
    size = 0

    def get(blob: Wanted) -> bytes | NoContent:
        try:
            return fetch(store, blob)
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
        pool.shutdown(cancel_futures=True)
