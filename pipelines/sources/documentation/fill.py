"""Text of a manual page that is filled into lines, as troff does it, and written as Markdown: what man(7) and mdoc(7) have in common."""

import re
from collections.abc import Mapping

from starmill.pipelines.sources.documentation.markdown import ITEM, TERM, Markdown
from starmill.pipelines.sources.documentation.roff import plain

BULLETS = frozenset("•-*o+·")
NUMBER = re.compile(r"\d{1,3}[.)]")


class Filling:
    """A page that is being written. Each level of indentation may have an open item of a list."""

    def __init__(self, most: int) -> None:
        """Begin. `most`: bytes, of which TooLong is raised when there are more."""
        self.to = Markdown(most)
        self.is_term = False  # whether the next text is the term of an item
        self.code: list[str] | None = None  # lines that are not filled
        self.table: Table | None = None
        self._pieces: list[str] = []  # of the line that is filled
        self._lines: list[str] = []  # of the paragraph
        self._levels = [False]  # whether an item is open there
        self._heading, self._goes_on = 0, False  # what the next text is

    def say(self, text: str, goes_on: bool = False) -> None:
        """Add text; what `goes_on` is not followed by a space."""
        if self.code is not None:
            self.code.append(text)
        elif self._heading:
            level, self._heading = self._heading, 0
            self.to.heading(level, " ".join(text.split()))
        elif not text.strip():
            self.paragraph()
        else:
            if text[0] in " \t" and not self.is_term:
                self.end_line()
            self._pieces += [text] if self._goes_on else [" ", text]
            self._goes_on = goes_on
            if self.is_term and not goes_on:
                self.item()

    def item(self) -> None:
        """Begin an item with the text since as its term, or its mark."""
        self.end_line()
        [term], self._lines, self.is_term = self._lines or [""], [], False
        number = NUMBER.fullmatch(term)
        if term not in BULLETS and not number:
            self.to.paragraph([term], is_term=True)
        self.to.open(f"{term} " if number else ITEM if term in BULLETS else TERM)
        self._levels[-1] = True

    def end_item(self) -> None:
        """End the item of this level."""
        self.is_term = False
        if self._levels[-1]:
            self.to.close()
        self._levels[-1] = False

    def end_code(self) -> None:
        """Write the lines that are not filled."""
        code, self.code = self.code, None
        self.to.code([line.expandtabs() for line in code or ()])

    def end_line(self) -> None:
        """End the line that is filled."""
        if line := " ".join("".join(self._pieces).split()):
            self._lines.append(line)
        self._pieces, self._goes_on = [], False

    def paragraph(self) -> None:
        """End the paragraph."""
        self.end_line()
        self.to.paragraph(self._lines)
        self._lines = []

    def section(self, level: int, words: list[str]) -> None:
        """End all, and write a heading; without words the next text is it."""
        self.end_code()
        self.paragraph()
        while len(self._levels) > 1:
            self.end_item()
            self._levels.pop()
        self.end_item()
        self._heading = 0 if words else level
        self.to.heading(level, " ".join(" ".join(words).split()))

    def deeper(self) -> None:
        """Begin a level of indentation."""
        self.paragraph()
        self._levels.append(False)

    def higher(self) -> None:
        """End the last level of indentation."""
        self.paragraph()
        self.end_item()
        if len(self._levels) > 1:
            self._levels.pop()

    def end_table(self) -> None:
        """Write the table."""
        table, self.table = self.table, None
        self.to.table(table.ended() if table else ())


class Table:
    """A table in tbl's language, between .TS and .TE: its options, its formats, and lines of cells."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = []
        self._is_format, self._tab = True, "\t"
        self._row: list[str] = []
        self._block: list[str] | None = None  # of a cell between T{ and T}

    def line(self, line: str, strings: Mapping[str, str]) -> None:
        """Take the next line."""
        if line.startswith(".T&"):
            self._is_format = True
        elif self._is_format:
            if found := re.search(r"\btab ?\((.)\)", line[:200]):
                self._tab = found[1]
            self._is_format = not line.rstrip().endswith(".")
        elif self._block is not None:
            if line.startswith("T}"):
                self._row.append(" ".join(" ".join(self._block).split()))
                self._block = None
                self._cells(line[2:].removeprefix(self._tab) if line[2:].strip() else None, strings)
            elif not line.startswith((".", "'")):
                self._block.append(plain(line, strings))
        elif line.strip() not in ("", "_", "=") and not line.startswith((".", "'")):
            self._cells(line, strings)

    def ended(self) -> list[list[str]]:
        """Return the rows, and what was begun of the last."""
        return [*self.rows, [*self._row, " ".join(" ".join(self._block or ()).split())]]

    def _cells(self, text: str | None, strings: Mapping[str, str]) -> None:
        cells = [] if text is None else text.split(self._tab)
        if cells and cells[-1].strip() == "T{":
            self._block = []
            cells.pop()
        self._row += [" ".join(plain(cell, strings).split()) for cell in cells]
        if self._block is None:
            self.rows.append(self._row)
            self._row = []
