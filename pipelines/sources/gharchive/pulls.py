"""The files of a pull request: windows of what they were at its base, and hunks of what each of its heads makes of them (StarCoder2, 2.3).

A window shows the lines that any head changes, and some above and below; a hunk is numbered from the first line of its window. What the
released code got wrong is done as the paper has it: a file that is shown whole ends with its last line.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from starmill.core import seeds
from starmill.core.linediff import Change, changes, lines
from starmill.core.names import AtLeast0, AtLeast1, Seed, Share

MARKUP = ("md", "markdown", "rst", "rmd", "rdoc", "adoc", "asciidoc")  # may have long lines
PROSE = re.compile(
    r"(?:\A|(?<=\s))(?:the|be|to|of|and|that|have|with)(?=\s|\Z)"
)  # Markdown has one of these words, case ignored
DATA = {"yml": ("pack", "lock", "yarn", "output", "swagger", "openapi"), "json": ("pack", "lock", "output")}
DATA["yaml"] = DATA["yml"]
DATA_RATE = 0.1  # of such files, and of those that are more than half of a pull request


@dataclass(frozen=True)
class Show:
    """How much of a pull request's files is shown (StarCoder2's values)."""

    whole_rate: Share = 0.2  # share of the files that are shown whole
    window_lines: AtLeast0 = 32  # at most so many lines, at random, above and below what any head changes
    min_context_lines: AtLeast0 = 3  # lines around a hunk: at random from so many
    max_context_lines: AtLeast0 = 9  # to so many
    max_chars: AtLeast1 = 1_000_000  # characters of all files of a pull request, at most
    seed: Seed = 0  # of these choices

    def __post_init__(self) -> None:
        """Refuse bounds that leave no number between them."""
        if self.min_context_lines > self.max_context_lines:
            raise ValueError(f"min_context_lines={self.min_context_lines}: must not be above {self.max_context_lines}")


class Window(NamedTuple):
    """Lines [start, end) of a file at the base, as the record shows them."""

    path: str
    start: int
    end: int
    text: str


class Hunk(NamedTuple):
    """What a head makes of some lines of a window, with its header."""

    path: str
    text: str


@dataclass(frozen=True)
class Files:
    """The files that heads change: windows of the base, and the hunks by head."""

    windows: tuple[Window, ...]
    hunks: Mapping[str, tuple[Hunk, ...]]


def shown(thread: str, base: Mapping[str, str], heads: Mapping[str, Mapping[str, str]], show: Show) -> Files:
    """Return what is shown of the files at the base, by path, and of the same files at each head that has them otherwise.

    `thread` names the pull request, `base` and `heads` hold whole texts. What `fits` refuses is not shown.
    """
    windows: list[Window] = []
    hunks: dict[str, list[Hunk]] = {head: [] for head in heads}
    total = sum(map(len, base.values()))
    for path in sorted(base):
        old = lines(base[path])
        if not fits(path, base[path], old) or not _drawn(thread, path, len(base[path]), total, show):
            continue
        made = {head: changes(old, lines(files[path])) for head, files in heads.items() if path in files}
        found = [change for of in made.values() for change in of]
        if not found:
            continue
        above, below = (
            seeds.uint64(show.seed, f"window_{s}", thread, path) % (show.window_lines + 1) for s in ("above", "below")
        )
        start, end = max(0, min(c.start for c in found) - above), min(len(old), max(c.end for c in found) + below)
        if seeds.uniform(show.seed, "window_whole", thread, path) < show.whole_rate:
            start, end = 0, len(old)
        windows.append(Window(path, start, end, "".join(old[start:end])))
        spread = show.max_context_lines - show.min_context_lines + 1
        context = show.min_context_lines + seeds.uint64(show.seed, "hunk_context", thread, path) % spread
        for head, of in made.items():
            new = lines(heads[head][path])
            hunks[head] += [Hunk(path, text) for text in _hunks(old, new, of, (start, end), context)]
    return Files(tuple(windows), {head: tuple(of) for head, of in hunks.items()})


def fits(path: str, text: str, by_line: Sequence[str]) -> bool:
    """Say whether a file is shown: no data, no endless lines, and of Markdown what is English (section 2.3).

    The released code also leaves out three formats of a list of its own, by languages that are not told here.
    """
    if not text or len(by_line) >= 100_000:
        return False
    suffix = path.rpartition(".")[2].lower()
    if suffix not in MARKUP and (len(text) / len(by_line) >= 100 or max(map(len, by_line)) >= 1000):
        return False
    if suffix in ("md", "markdown") and not PROSE.search(text.lower()):
        return False
    return sum(map(str.isalnum, text)) > 0.25 * len(text) and 2 * text.count("\\x") < 0.25 * len(text)


def _drawn(thread: str, path: str, size: int, total: int, show: Show) -> bool:
    words = DATA.get(path.rpartition(".")[2].lower())
    if words is None or not (2 * size > total or any(word in path.lower() for word in words)):
        return True
    return seeds.uniform(show.seed, "data_file", thread, path) < DATA_RATE


def _hunks(
    old: Sequence[str], new: Sequence[str], of: Sequence[Change], window: tuple[int, int], context: int
) -> Iterator[str]:
    """Yield hunks as `diff -u` has them, with lines counted from the first of the window."""
    start, end = window
    groups: list[list[Change]] = []
    for change in of:
        if groups and change.start - groups[-1][-1].end <= 2 * context:
            groups[-1].append(change)
        else:
            groups.append([change])
    for group in groups:
        first, last = max(start, group[0].start - context), min(end, group[-1].end + context)
        new_first, new_last = group[0].new_start - (group[0].start - first), group[-1].new_end + (last - group[-1].end)
        body: list[str] = []
        at = first
        for change in group:
            body += [" " + line for line in old[at : change.start]]
            body += ["-" + line for line in old[change.start : change.end]]
            body += ["+" + line for line in new[change.new_start : change.new_end]]
            at = change.end
        body += [" " + line for line in old[at:last]]
        sides = _range(first - start, last - first), _range(new_first - start, new_last - new_first)
        yield f"@@ -{sides[0]} +{sides[1]} @@\n" + "".join(line if line.endswith("\n") else line + "\n" for line in body)


def _range(start: int, count: int) -> str:
    """Return lines as a header has them: from 1, and of none the line before."""
    return f"{start + 1 if count else start},{count}"
