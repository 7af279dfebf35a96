"""Which lines two texts share, in order: a patience difference in time linear in the lines, but for sorting.

Lines that are unique on both sides are anchors, as far as they keep their order; between two of them the same is done again, a few levels
deep, and what no anchor divides is changed as a whole. So a hostile pair of texts costs no more than any other; `difflib` is quadratic.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

LEVELS = 12  # of anchors between anchors: each looks at every line once


class Change(NamedTuple):
    """Lines old[start:end] became new[new_start:new_end]; one of both may be empty."""

    start: int
    end: int
    new_start: int
    new_end: int


def changes(old: Sequence[str], new: Sequence[str]) -> list[Change]:
    """Return what differs, in order; between two changes there is a line that both share.

    >>> changes(["a", "b", "c", "d"], ["a", "x", "c", "d", "e"])
    [Change(start=1, end=2, new_start=1, new_end=2), Change(start=4, end=4, new_start=4, new_end=5)]
    """
    found: list[Change] = []
    for change in _between(old, new, Change(0, len(old), 0, len(new)), LEVELS):
        if found and found[-1].end == change.start and found[-1].new_end == change.new_start:
            change = Change(found[-1].start, change.end, found.pop().new_start, change.new_end)
        found.append(change)
    return found


def lines(text: str) -> list[str]:
    r"""Return the lines of a text, each with its end: a line feed, and nothing else that Python takes for one.

    >>> lines("a\r\nb\n\nc\x0c"), lines("")
    (['a\r\n', 'b\n', '\n', 'c\x0c'], [])
    """
    found = [line + "\n" for line in text.split("\n")]
    found[-1] = found[-1][:-1]
    return found if found[-1] else found[:-1]


def _between(old: Sequence[str], new: Sequence[str], of: Change, levels: int) -> Iterator[Change]:
    start, end, new_start, new_end = of
    while start < end and new_start < new_end and old[start] == new[new_start]:
        start, new_start = start + 1, new_start + 1
    while start < end and new_start < new_end and old[end - 1] == new[new_end - 1]:
        end, new_end = end - 1, new_end - 1
    if start == end or new_start == new_end or not levels:
        if (start, new_start) != (end, new_end):
            yield Change(start, end, new_start, new_end)
        return
    anchors = _anchors(old[start:end], new[new_start:new_end])
    if not anchors:
        yield Change(start, end, new_start, new_end)
        return
    at, new_at = start, new_start
    for one, other in [*anchors, (end - start, new_end - new_start)]:
        yield from _between(old, new, Change(at, start + one, new_at, new_start + other), levels - 1)
        at, new_at = start + one + 1, new_start + other + 1


def _anchors(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Return the longest run of lines that are unique on both sides, and in order on both."""
    once = {line for line, times in Counter(old).items() if times == 1} & {
        line for line, times in Counter(new).items() if times == 1
    }
    place = {line: at for at, line in enumerate(new) if line in once}
    pairs = [(at, place[line]) for at, line in enumerate(old) if line in once]
    ends: list[int] = []  # the lowest end of a run of each length, and which pair that is
    last: list[int] = []
    before: list[int] = []
    for number, (_, other) in enumerate(pairs):
        length = bisect_left(ends, other)
        before.append(last[length - 1] if length else -1)
        if length == len(ends):
            ends.append(other)
            last.append(number)
        else:
            ends[length], last[length] = other, number
    run, at = [], last[-1] if last else -1
    while at >= 0:
        run.append(pairs[at])
        at = before[at]
    return run[::-1]
