"""The prefilter of redaction: where in a block of texts could a detector find something at all?

A detector is a module with `find(text) -> (start, end)...` in characters, and with anchors: regular expressions over bytes, one of which
matches inside of every text in which `find` finds something. The anchors of all detectors that a recipe switched on are one Hyperscan
database (vectorscan's wheels), which reads the texts of a whole block where Arrow has them, as one run of bytes. Rows without a hit are
never decoded. A match over the end of a row hits the row where it ends, which costs a look and changes nothing: detectors judge one row's
text. For the same reason an anchor has neither borders (`\\b`, `^`, `$`) nor looks around, and matches at least one byte.

A detector that is quicker when it knows where to look has `find_at(data, hits)` too: it takes the row's bytes and the (anchor, end) of each
match, and yields the same finds, in bytes. Where Hyperscan is not installed each row is read by each detector's `find`: the same finds,
more slowly.
"""

import functools
import importlib.util
import threading
from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from starmill.transforms.buffers import text_buffers

Hits = Sequence[tuple[int, int]]  # (number of the anchor in its detector's, where its match ends in the row's bytes), by end
Spans = Iterator[tuple[int, int]]
Found = Iterator[tuple[int, int] | tuple[int, int, float]]  # with how sure it is, 1 where nothing is said
HAS_HYPERSCAN = importlib.util.find_spec("hyperscan") is not None
MOST_BYTES = (1 << 32) - 1  # that one call reads: Hyperscan's lengths are 32 bits
_own = threading.local()  # a scratch space serves one thread


class Detector(NamedTuple):
    """What finds one kind of personal data; `anchors` is called on first use, as patterns may come from a file."""

    kind: str  # of the spans: a row of schema.REDACTION
    find: Callable[[str], Found]
    anchors: Callable[[], tuple[bytes, ...]]
    find_at: Callable[[bytes, Hits], Spans] | None = None


def rows_with_hits(texts: pa.Array, detectors: Sequence[Detector]) -> Iterator[tuple[int, list[Hits]]]:
    """Yield, for each row that any detector's anchors hit, its number and the hits of each detector: the first one where no `find_at` asks.

    Hits are numbers of eight bytes until a row's are yielded, since a hostile text has one in every second of its bytes.

    >>> digits = Detector("DIGITS", lambda text: iter(()), lambda: (b"[0-9]{3}",))
    >>> list(rows_with_hits(pa.array(["no", "a123", None, "é456"]), [digits]))
    [(1, [[(0, 4)]]), (3, [[(0, 5)]])]
    """
    patterns, detector_of, number_of = _table(tuple(detector.anchors() for detector in detectors))
    data, offsets = text_buffers(texts)
    first, last = (int(offsets[0]), int(offsets[-1])) if len(offsets) > 1 else (0, 0)
    if first == last or not patterns:
        return
    if last - first > MOST_BYTES:  # only of large strings
        half = len(texts) // 2
        if not half:
            raise ValueError(f"a text of {last - first:,} bytes is longer than Hyperscan reads")
        yield from rows_with_hits(texts.slice(0, half), detectors)
        yield from ((half + row, hits) for row, hits in rows_with_hits(texts.slice(half), detectors))
        return
    found = matches(data[first:last], patterns)
    if not found:
        return
    packed = np.frombuffer(found, np.uint64)
    packed = packed[np.argsort(packed & MOST_BYTES, kind="stable")]
    ids, ends = (packed >> 32).astype(np.int64), (packed & MOST_BYTES).astype(np.int64)
    rows = (
        np.searchsorted(offsets, ends + first, side="left") - 1
    )  # the row of the byte before the end; an empty row holds none
    wanted = np.array([detector.find_at is not None for detector in detectors])[detector_of[ids]]
    wanted[np.unique(rows * len(detectors) + detector_of[ids], return_index=True)[1]] = True
    ids, ends, rows = ids[wanted], ends[wanted], rows[wanted]
    columns = (detector_of[ids], number_of[ids], ends + first - offsets[rows])
    bounds = np.flatnonzero(np.diff(rows, prepend=-1, append=-1)).tolist()
    for start, stop in pairwise(bounds):
        hits: list[list[tuple[int, int]]] = [[] for _ in detectors]
        for detector, number, end in zip(*(column[start:stop].tolist() for column in columns), strict=True):
            hits[detector].append((number, end))
        yield int(rows[start]), list[Hits](hits)


@functools.lru_cache(maxsize=64)
def _table(anchors: tuple[tuple[bytes, ...], ...]) -> tuple[tuple[bytes, ...], np.ndarray, np.ndarray]:
    """Return the patterns of all detectors, and whose and which of its own each is, int64."""
    owners = [(detector, number) for detector, own in enumerate(anchors) for number in range(len(own))]
    detector_of, number_of = np.array(owners, np.int64).reshape(-1, 2).T
    return tuple(pattern for own in anchors for pattern in own), detector_of, number_of


def matches(data: np.ndarray, patterns: tuple[bytes, ...]) -> "array[int]":
    """Return number of the pattern << 32 | end, 64 bits, of each match of patterns in bytes: every end, in Hyperscan's order."""
    found = array("Q")  # and no tuples: a hostile text has a match for each of its bytes

    def on_match(pattern: int, _start: int, end: int, _flags: int, _context: object) -> None:
        found.append(pattern << 32 | end)

    database = _database(patterns)
    scratches = _own.__dict__.setdefault("scratches", {})
    if id(database) not in scratches:
        scratches[id(database)] = database.scratch.clone()
    database.scan(data.data, match_event_handler=on_match, scratch=scratches[id(database)])
    return found


@functools.cache  # of a process: a pickled step carries no database
def _database(patterns: tuple[bytes, ...]) -> Any:
    import hyperscan

    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    flags = hyperscan.HS_FLAG_DOTALL
    database.compile(list(patterns), ids=list(range(len(patterns))), elements=len(patterns), flags=flags)
    return database
