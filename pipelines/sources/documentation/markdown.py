"""Writes Markdown block by block: what HTML pages and manual pages become. Its length and its indentation have limits.

Terms and their definitions are those of Markdown Extra: the term, and below it `:   ` and the text.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

MAX_INDENT = 32  # columns; what lies deeper in lists is no further indented, so that no line is longer for it
ITEM, TERM, QUOTE = "- ", ":   ", "> "
TICKS = re.compile("`{3,}")


class TooLong(ValueError):
    """More text than a record may have."""


@dataclass
class _Container:
    marker: str  # of its first line
    rest: str  # of all others
    is_due: bool = True  # whether the first line is still to come


class Markdown:
    r"""A text that is being written.

    >>> made = Markdown(1000)
    >>> made.heading(1, "Names"), made.open(ITEM), made.paragraph(["short"]), made.close(), made.code(["x = 1"], "Python")
    (None, None, None, None, None)
    >>> made.text()
    '# Names\n\n- short\n\n```Python\nx = 1\n```\n'
    """

    def __init__(self, most: int) -> None:
        """Begin. `most`: bytes, of which every method but `text` raises TooLong when there are more."""
        self._most, self._lines = most, list[str]()
        self._open, self._deeper, self._width = list[_Container](), 0, 0
        self._last: list[str] = []  # where the last block stood: the markers of what was open
        self._joined = False  # whether the last block goes with the next

    def text(self) -> str:
        """Return what was written, with a line's end behind it, or nothing."""
        return "\n".join([*self._lines, ""]) if self._lines else ""

    def open(self, marker: str) -> None:
        """Begin an item of a list, or a quotation: all blocks until it is closed are indented."""
        if self._deeper or self._width + len(marker) > MAX_INDENT:
            self._deeper += 1
            return
        self._open.append(_Container(marker, marker if marker == QUOTE else " " * len(marker)))
        self._width += len(marker)

    def close(self) -> None:
        """End what was opened last."""
        if self._deeper:
            self._deeper -= 1
        elif self._open:
            self._width -= len(self._open.pop().marker)

    def heading(self, level: int, text: str) -> None:
        """Write a heading of level 1 to 6."""
        self._block([f"{'#' * level} {text}"] if text else [])

    def paragraph(self, lines: Sequence[str], is_term: bool = False) -> None:
        """Write a paragraph; a term has its definition right below."""
        if any(lines):
            self._block(lines)
            self._joined = is_term

    def code(self, lines: Sequence[str], language: str = "") -> None:
        """Write lines as they are."""
        lines = [*_without_blank_ends(lines)]
        if lines:
            ticks = "`" * (1 + max((len(run) for line in lines for run in TICKS.findall(line)), default=2))
            self._block([ticks + language, *lines, ticks])

    def table(self, rows: Iterable[Sequence[str]]) -> None:
        """Write rows of cells, the first of which are the heads."""
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows if any(row)]
        if lines:
            lines.insert(1, "|" + "---|" * (len(re.findall(r"(?<!\\)\|", lines[0])) - 1))
        self._block(lines)

    def _block(self, lines: Sequence[str]) -> None:
        if not any(lines):
            return
        if self._lines and not self._joined and not self._is_next_item():
            self._add("".join(c.rest for c in self._open if not c.is_due))
        first = "".join(c.marker if c.is_due else c.rest for c in self._open)
        rest = "".join(c.rest for c in self._open)
        for number, line in enumerate(lines):
            self._add((rest if number else first) + line)
        for container in self._open:
            container.is_due = False
        self._last, self._joined = [c.marker for c in self._open], False

    def _is_next_item(self) -> bool:
        """Say whether a block begins an item right behind one of its list, or the first of a list within an item."""
        due = next((n for n, c in enumerate(self._open) if c.is_due), -1)
        if due < 0 or self._open[due].marker == QUOTE or len(self._last) < due:
            return False
        if len(self._last) == due:
            return due > 0 and TERM not in (self._open[due - 1].marker, self._open[due].marker)
        return self._last[due].lstrip("0123456789") == self._open[due].marker.lstrip("0123456789")

    def _add(self, line: str) -> None:
        self._lines.append(line.rstrip())
        self._most -= len(self._lines[-1].encode()) + 1
        if self._most < 0:
            raise TooLong


def _without_blank_ends(lines: Sequence[str]) -> Iterator[str]:
    filled = [number for number, line in enumerate(lines) if line.strip()]
    if filled:
        yield from lines[filled[0] : filled[-1] + 1]
