"""The files of a dump: those below a folder, and what one of them inflates to, with what is wrong with it as an entry."""

import hashlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from starmill.core.errors import of_a_file
from starmill.pipelines.sources.archives.inflate import CHUNK, Damaged, Spent, Stream
from starmill.pipelines.sources.source import FREE_BYTES, Entry, Repository, label, state_of, unique

COMPRESSED = r"(?:\.(?:gz|bz2|xz|zst))?"  # the suffixes of what is read


def walk(top: bytes, wanted: re.Pattern[str], otherwise: str) -> Iterator[tuple[bytes, str]]:
    """Yield what lies below a folder, each with the reason why it is not read, or none: a name must match. Raises OSError for `top`."""
    due = [top]
    while due:
        folder = due.pop()
        try:
            with os.scandir(folder) as found:
                below = [(e.path, e.is_dir(follow_symlinks=False), e.is_symlink(), e.is_file()) for e in found]
        except OSError as error:
            if folder == top:
                raise
            of_a_file(error, folder)
            yield folder, "unreadable"
            continue
        for path, is_folder, is_link, is_file in below:
            if is_folder:
                due.append(path)
            elif is_link or not is_file:
                yield path, "symlink" if is_link else "not_a_regular_file"
            else:
                yield path, "" if wanted.search(os.fsdecode(path)) else otherwise


class File(NamedTuple):
    """A file below the folder of a dump: its path, and how it is shown below the folder; `why` it is not read, or nothing."""

    path: bytes
    shown: str
    state: object
    size: int
    why: str

    def left_out(self, seen: dict[str, int]) -> Repository:
        """Return it as what is not read, by a name that was not seen before."""
        place = {"file": os.fsdecode(self.path)}
        return Repository(unique(self.shown, seen), place, self.size, fingerprint_of(self.state), left_out=self.why)


def files(folder: str, wanted: re.Pattern[str], otherwise: str) -> Iterator[File]:
    """Yield the files below a folder, sorted by path, as `walk` finds them. Raises OSError."""
    root = os.fsencode(os.path.realpath(folder))
    for path, why in sorted(walk(root, wanted, otherwise)):
        yield File(path, label(os.path.relpath(path, root))[0][1:], *state_of(path), why)


def fingerprint_of(state: object) -> str:
    """Return a digest of a state (source.state_of), or of anything that has a repr of its own."""
    return hashlib.sha256(repr(state).encode()).hexdigest()


def most(size: int, inflated: int, inflation: int) -> int:
    """Return to how many bytes a file of `size` may inflate, by the two limits (source.Limits)."""
    return min(FREE_BYTES + inflation * size, inflated)


class Chunks:
    """What a stream gives, in pieces; once they end, `problem` says why they ended too early, if they did.

    >>> import io
    >>> chunks = Chunks(Stream(io.BytesIO(b"some text"), 1 << 20))
    >>> [*chunks], chunks.problem
    ([b'some text'], None)
    """

    def __init__(self, stream: Stream, upto: int | None = None) -> None:
        """Read a stream to its end, or so many bytes of it."""
        self._stream, self._upto = stream, upto
        self.problem: Entry | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Yield the pieces. Raises OSError."""
        stream = self._stream
        try:
            while (left := CHUNK if self._upto is None else self._upto - stream.at) and (data := stream.some(left)):
                yield data
        except Damaged as error:
            reason = "truncated_dump" if error.cut_off else "corrupt_dump"
            self.problem = Entry(b"", None, reason, f"behind {stream.at:,} bytes of what it inflates to: {error}")
        except Spent:
            self.problem = Entry(b"", None, "inflates_too_far", f"more than {stream.at:,} bytes")
        if stream.trailing:
            said = f"{stream.trailing:,} bytes behind the compressed data are none"
            self.problem = self.problem or Entry(b"", None, "trailing_data", said)
