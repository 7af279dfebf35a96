"""Manual pages in man(7) as Markdown: sections, paragraphs, terms, lists, code and simple tables.

groff is not run on what comes from a dump, since a page is a program. So macros that a page defines for itself are left out, and
of conditions only those are known that tell troff from nroff.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from starmill.pipelines.sources.documentation_markdown import ITEM, TERM, Markdown
from starmill.pipelines.sources.documentation_roff import MAX_STRING, STRINGS, plain, uncommented

REQUEST = re.compile(r"[.'][ \t]*([^\s\\]*)[ \t]*(.*)", re.DOTALL)
ARGUMENT = re.compile(r'[ \t]*(?:"((?:[^"]|"")*)"?|((?:\\[ ]|\S)+))')
CONDITION = re.compile(r"\s*(!?)\s*(?:([nt]|[oev](?=[\s.\\']))|'([^']*)'([^']*)'|(\S*))\s*")
IS_PAGE = re.compile(r"^[.'][ \t]*(?:TH|SH|Dd|Sh|so)\b", re.MULTILINE)
FONTS = {
    "B": " ",
    "I": " ",
    "SM": " ",
    "SB": " ",
    "R": " ",
    "CW": " ",
    **dict.fromkeys(("BI", "BR", "IB", "IR", "RB", "RI"), ""),
}
BULLETS = frozenset("•-*o+·")
NUMBER = re.compile(r"\d{1,3}[.)]")
MAX_STRINGS = 1000  # that a page may define
MAX_CONDITIONS = 16  # before one command
DEFINITIONS = frozenset(("de", "de1", "dei", "am", "am1", "ami", "ig", "EQ"))


def markdown(page: str, most: int) -> str | None:
    r"""Return a manual page as Markdown, in at most so many bytes, or None where it is no such page. Raises TooLong.

    >>> print(markdown('.TH TOY 1\n.SH OPTIONS\n.TP\n.BR \\-a ", " \\-\\-all\nShow\nall.\n', 1000))
    # TOY(1)
    <BLANKLINE>
    ## OPTIONS
    <BLANKLINE>
    -a, --all
    :   Show all.
    <BLANKLINE>
    """
    if not IS_PAGE.search(page):
        return None
    made = _Page(most)
    for line in commands(page.replace("\r\n", "\n").split("\n"), made.strings):
        made.line(line)
    return made.text()


def arguments(text: str) -> list[str]:
    r"""Return the arguments of a macro: words, or what stands in quotation marks.

    >>> arguments('-a ", " "say ""hi"" to"')
    ['-a', ', ', 'say "hi" to']
    """
    return [f[2] if f[1] is None else f[1].replace('""', '"') for f in ARGUMENT.finditer(text)]


def commands(lines: Iterable[str], strings: dict[str, str]) -> Iterator[str]:
    """Yield the lines that count: without comments and definitions, and of two alternatives that of nroff. Strings are kept."""
    until, depth, truth = "", 0, True  # the end of a definition; braces open in what does not hold; whether the last .ie did
    for line in _joined(lines):
        if until:
            until = "" if line[:1] == "." and line[1:].strip() == until else until
            continue
        if depth:
            depth = max(0, depth + line.count("\\{") - line.count("\\}"))
            continue
        for _ in range(MAX_CONDITIONS):
            found = REQUEST.match(line)
            name, rest = (found[1], found[2]) if found else ("", "")
            if name not in ("if", "ie", "el"):
                break
            holds = not truth
            if name != "el":
                condition = CONDITION.match(rest)
                holds, rest = _holds(condition), rest[condition.end() :] if condition else ""
                truth = holds if name == "ie" else truth
            if not holds:
                depth = max(0, rest.count("\\{") - rest.count("\\}"))
                line = "."
                break
            line = rest.strip().removeprefix("\\{").strip()
        if name in DEFINITIONS:
            words = rest.split(None, 2)
            until = "EN" if name == "EQ" else words[-1] if len(words) > (name != "ig") else "."
        elif name in ("ds", "ds1"):
            key, _, value = rest.partition(" ")
            if len(strings) < MAX_STRINGS:
                strings[key] = plain(value.lstrip(" \t").removeprefix('"').replace("\\\\", "\\"), strings)[:MAX_STRING]
        else:
            yield line


def _joined(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines without comments; one that ends in a backslash goes on in the next."""
    pieces: list[str] = []
    for line in map(uncommented, lines):
        pieces.append(line)
        if line.endswith("\\") and not line.endswith("\\\\"):
            pieces[-1] = line[:-1]
        else:
            yield "".join(pieces)
            pieces = []
    yield "".join(pieces)


def _holds(found: re.Match[str] | None) -> bool:
    if found is None:
        return False
    not_, letter, one, other, number = found.groups()
    if letter or one is not None:
        holds = letter in ("n", "o") if letter else one == other
    else:  # groff has the register .g; of others nothing is known
        holds = (("\\n(.g" in number or "\\n[.g]" in number) and "==0" not in number) or (number.isdigit() and number != "0")
    return holds != bool(not_)


class _Page:
    """A page as it becomes Markdown."""

    def __init__(self, most: int) -> None:
        self.strings: dict[str, str] = {**STRINGS}
        self._to = Markdown(most)
        self._pieces: list[str] = []  # of the line that is filled
        self._lines: list[str] = []  # of the paragraph
        self._code: list[str] | None = None
        self._table: _Table | None = None
        self._levels = [False]  # of indentation: whether an item is open there
        self._heading, self._is_term, self._goes_on = 0, False, False  # what the next text is
        self._link = ""

    def text(self) -> str:
        """Return the page."""
        self._end_table()
        self._section(0, [])
        return self._to.text()

    def line(self, line: str) -> None:
        """Take the next line."""
        found = REQUEST.match(line) if line[:1] in (".", "'") else None
        name, rest = (found[1], found[2]) if found else ("", "")
        if self._table and name not in ("TE", *FONTS):
            self._table.line(line, self.strings)
        elif not found:
            self._say(plain(line, self.strings), line.endswith("\\c"))
        elif name in FONTS:
            text = FONTS[name].join(plain(word, self.strings) for word in arguments(rest))
            if self._table:
                self._table.line(text, {})
            elif text:
                self._say(text, rest.endswith("\\c"))
        else:
            self._request(name, rest)

    def _request(self, name: str, rest: str) -> None:
        words = [plain(word, self.strings) for word in arguments(rest)]
        match name:
            case "TH":
                self._section(1, [f"{words[0]}({words[1]})" if len(words) > 1 else "".join(words)])
            case "SH" | "SS":
                self._section(2 if name == "SH" else 3, words)
            case "PP" | "P" | "LP" | "HP" | "Sp" | "YS" if self._code is None:
                self._paragraph()
                if name not in ("Sp", "YS"):
                    self._end_item()
            case "TP" | "TQ":
                self._end_code()
                self._paragraph()
                self._end_item()
                self._is_term = True
            case "IP":
                self._end_code()
                self._paragraph()
                if words and words[0].strip():
                    self._end_item()
                    self._is_term = True
                    self._say(words[0])
            case "RS" | "RE":
                self._paragraph()
                if name == "RS":
                    self._levels.append(False)
                else:
                    self._end_item()
                    if len(self._levels) > 1:
                        self._levels.pop()
            case "br":
                self._break()
            case "sp" | "PP" | "P" | "LP":
                if self._code is None:
                    self._paragraph()
                else:
                    self._code.append("")
            case "nf" | "EX" | "Vb" | "fi" | "EE" | "Ve":
                self._end_code()
                self._paragraph()
                self._code = [] if name in ("nf", "EX", "Vb") else None
            case "SY" | "OP":
                if name == "SY":
                    self._break()
                self._say(f"[{' '.join(words)}]" if name == "OP" else " ".join(words))
            case "UR" | "MT":
                self._link = "".join(words[:1])
            case "UE" | "ME":
                self._say(f"<{self._link}>{''.join(words[:1])}")
            case "URL" | "MTO":  # which Asciidoctor defines
                link, said, behind = [*words, "", "", ""][:3]
                self._say(f"{said} <{link}>{behind}")
            case "TS":
                self._end_code()
                self._paragraph()
                self._table = _Table()
            case "TE":
                self._end_table()

    def _say(self, text: str, goes_on: bool = False) -> None:
        """Add text; what `goes_on` is not followed by a space."""
        if self._code is not None:
            self._code.append(text)
        elif self._heading:
            level, self._heading = self._heading, 0
            self._to.heading(level, " ".join(text.split()))
        elif not text.strip():
            self._paragraph()
        else:
            if text[0] in " \t" and not self._is_term:
                self._break()
            self._pieces += [text] if self._goes_on else [" ", text]
            self._goes_on = goes_on
            if self._is_term and not goes_on:
                self._item()

    def _item(self) -> None:
        self._break()
        [term], self._lines, self._is_term = self._lines or [""], [], False
        number = NUMBER.fullmatch(term)
        if term not in BULLETS and not number:
            self._to.paragraph([term], is_term=True)
        self._to.open(f"{term} " if number else ITEM if term in BULLETS else TERM)
        self._levels[-1] = True

    def _end_item(self) -> None:
        self._is_term = False
        if self._levels[-1]:
            self._to.close()
        self._levels[-1] = False

    def _end_code(self) -> None:
        code, self._code = self._code, None
        self._to.code([line.expandtabs() for line in code or ()])

    def _break(self) -> None:
        if line := " ".join("".join(self._pieces).split()):
            self._lines.append(line)
        self._pieces, self._goes_on = [], False

    def _paragraph(self) -> None:
        self._break()
        self._to.paragraph(self._lines)
        self._lines = []

    def _section(self, level: int, words: list[str]) -> None:
        self._end_code()
        self._paragraph()
        while len(self._levels) > 1:
            self._end_item()
            self._levels.pop()
        self._end_item()
        self._heading = 0 if words else level
        self._to.heading(level, " ".join(" ".join(words).split()))

    def _end_table(self) -> None:
        table, self._table = self._table, None
        self._to.table(table.rows if table else ())


class _Table:
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

    def _cells(self, text: str | None, strings: Mapping[str, str]) -> None:
        cells = [] if text is None else text.split(self._tab)
        if cells and cells[-1].strip() == "T{":
            self._block = []
            cells.pop()
        self._row += [" ".join(plain(cell, strings).split()) for cell in cells]
        if self._block is None:
            self.rows.append(self._row)
            self._row = []
