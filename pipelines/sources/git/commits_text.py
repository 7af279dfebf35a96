"""The record of a commit that changed one file: what was changed before and after, and the subject between them.

A record holds what a model is trained on, and no more: the whole file for a share of the commits, for the others the changed lines with
some around them. The choice is a hash of the commit's id, so that the same commit of two forks is the same record, which dedup then finds.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starmill.core import seeds
from starmill.core.linediff import lines
from starmill.core.names import AtLeast0, AtLeast1, Seed, Share
from starmill.pipelines.sources import encoding
from starmill.pipelines.sources.git.history import Change, Commit, Lost
from starmill.pipelines.sources.source import Entry, label

MAX_UTF8 = 4  # bytes of a character
MAX_NAME = 1000  # characters of a subject that rules over it see
# Lines that name people. They stand at the end of a message, and are of its subject only where no empty line parts them from it; a first
# line "cc: ..." says what was worked on.
BY = re.compile(r"\s*[\w-]{1,40}-by:(?:\s|$)", re.IGNORECASE)
TRAILER = re.compile(rf"{BY.pattern}|\s*(?:cc|from|to|author):(?:\s|$)", re.IGNORECASE)
LATIN = re.compile(r"(?:iso-?8859|latin)-?1", re.IGNORECASE)


@dataclass(frozen=True)
class Excerpt:
    """How much of a file is in the record of a commit (StarCoder's values)."""

    max_chars: AtLeast1 = 100_000  # at most so many characters of a file, before and after the commit
    whole_rate: Share = 0.2  # share of the commits whose whole file is shown
    context_lines: AtLeast0 = 32  # at most so many, at random, above and below the changed lines of the others
    seed: Seed = 0  # of both choices

    @property
    def max_bytes(self) -> int:
        """The bytes that so many characters may take."""
        return MAX_UTF8 * self.max_chars


def entry(commit: Commit, change: Change, before: bytes, after: bytes, show: Excerpt) -> Entry:
    """Return the record of a commit, or the reason why it is none.

    Segments: `before` and `after`, each with the file's path as its name; `message`, whose name is its text, for a decision reads no
    content; and the mark `changed`, whose name is the number of lines from the first changed one to the last, on the side with more.
    """
    path = b"commit/" + commit.own.encode()
    shown, hostile = label(change.path)
    sides = texts(before, after, show.max_chars)
    if isinstance(sides, Lost) or hostile:
        of = sides if isinstance(sides, Lost) else Lost(str(hostile))
        return Entry(path, None, of.reason, shown, max(len(before), len(after)), kind="commit")
    old, new = (lines(text) for text in sides)
    start, ends = changed(old, new)
    windows = window(old, new, start, ends, show, commit.own)
    said = subject(commit)
    parts = (("before", shown, windows[0]), ("message", said[:MAX_NAME], said), ("after", shown, windows[1]))
    content, segments = "", list[dict[str, Any]]()
    for role, name, text in parts:
        content += "\n" if segments else ""
        segments.append({"role": role, "name": name, "start": len(content), "end": len(content) + len(text)})
        content += text
    count = str(max(ends[0] - start, ends[1] - start))
    segments.append({"role": "changed", "name": count, "start": len(content), "end": len(content)})
    facts = {
        "revision_id": commit.own,
        "directory_id": commit.tree,
        "revision_date": commit.date,
        "committer_date": commit.committer_date,
    }
    return Entry(path, content.encode(), kind="commit", segments=segments, facts=facts)


def texts(before: bytes, after: bytes, max_chars: int) -> tuple[str, str] | Lost:
    """Return both sides as text. What neither side alone gives away, its encoding, is guessed of both."""
    found: list[str | None] = []
    for data in (before, after):
        if (reason := encoding.judge(data, len(data) + 1)) and reason != "empty":
            return Lost(reason)
        read = encoding.unicode(data)
        found.append(read and read[0])
    if None in found:
        guessed = [data for data, text in zip((before, after), found, strict=True) if text is None]
        if (guess := encoding.decode(b"".join(guessed))) is None:
            return Lost("undecodable")
        try:
            decoded = [data.decode(guess[1]) for data in guessed]
            "".join(decoded).encode()
        except UnicodeError:  # both together were text, and one is not
            return Lost("undecodable")
        again = iter(decoded)
        found = [next(again) if text is None else text for text in found]
    old, new = map(str, found)
    if max(len(old), len(new)) > max_chars:
        return Lost("too_large")
    return Lost("no_change") if old == new and before else (old, new)


def changed(old: Sequence[str], new: Sequence[str]) -> tuple[int, tuple[int, int]]:
    """Return the first line that differs, and behind the last one on each side.

    >>> changed(["a", "b", "c"], ["a", "x", "y", "c"])
    (1, (2, 3))
    """
    shorter = min(len(old), len(new))
    start = next((at for at in range(shorter) if old[at] != new[at]), shorter)
    same = next((at for at in range(shorter - start) if old[-1 - at] != new[-1 - at]), shorter - start)
    return start, (len(old) - same, len(new) - same)


def window(
    old: Sequence[str], new: Sequence[str], start: int, ends: tuple[int, int], show: Excerpt, own: str
) -> tuple[str, str]:
    """Return what is shown of each side: all of it, or the changed lines with as many above and below them on both."""
    if seeds.uniform(show.seed, "commit_whole", own) < show.whole_rate:
        return "".join(old), "".join(new)
    above, below = (seeds.uint64(show.seed, f"commit_{side}", own) % (show.context_lines + 1) for side in ("above", "below"))
    if new and not "".join(new[max(0, start - above) : ends[1] + below]):
        above, below = above + 1, below + 1  # lines were taken out, and the file is not empty: a rule drops what is
    first = max(0, start - above)
    return "".join(old[first : ends[0] + below]), "".join(new[first : ends[1] + below])


def subject(commit: Commit) -> str:
    """Return the subject of a message as `git log --format=%s` has it, without lines that name people."""
    found: list[str] = []
    for line in _message(commit).split("\n"):
        if not (kept := line.rstrip(" \t\r")):
            if found:
                break
        elif not (TRAILER if found else BY).match(kept):
            found.append(kept)
    return " ".join(found)


def _message(commit: Commit) -> str:
    try:
        return commit.message.decode()
    except UnicodeDecodeError:
        guess = None if LATIN.fullmatch(commit.encoding) else encoding.decode(commit.message)
        return guess[0] if guess else commit.message.decode("latin-1")
