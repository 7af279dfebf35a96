"""Manual pages in man(7) as Markdown: sections, paragraphs, terms, lists, code and simple tables.

groff is not run on what comes from a dump, since a page is a program. So macros that a page defines for itself are left out, and
of conditions only those are known that tell troff from nroff.
"""

import re
from collections.abc import Iterable, Iterator

from starmill.pipelines.sources.documentation.fill import Filling, Table
from starmill.pipelines.sources.documentation.roff import MAX_STRING, STRINGS, plain, uncommented

REQUEST = re.compile(r"[.'][ \t]*([^\s\\]*)[ \t]*(.*)", re.DOTALL)
ARGUMENT = re.compile(r'[ \t]*(?:"((?:[^"]|"")*)"?|((?:\\[ ]|[^ \t])+))')
CONDITION = re.compile(r"\s*(!?)\s*(?:([nt]|[oev](?=[\s.\\']))|'([^']*)'([^']*)'|(\S*))\s*")
FONTS = {
    "B": " ",
    "I": " ",
    "SM": " ",
    "SB": " ",
    "R": " ",
    "CW": " ",
    **dict.fromkeys(("BI", "BR", "IB", "IR", "RB", "RI"), ""),
}
MAX_STRINGS = 1000  # that a page may define
MAX_CONDITIONS = 16  # before one command
DEFINITIONS = frozenset(("de", "de1", "dei", "am", "am1", "ami", "ig", "EQ"))


def markdown(lines: Iterable[str], most: int) -> str:
    r"""Return a manual page as Markdown, in at most so many bytes. Raises TooLong.

    >>> print(markdown('.TH TOY 1\n.SH OPTIONS\n.TP\n.BR \\-a ", " \\-\\-all\nShow\nall.\n'.split("\n"), 1000))
    # TOY(1)
    <BLANKLINE>
    ## OPTIONS
    <BLANKLINE>
    -a, --all
    :   Show all.
    <BLANKLINE>
    """
    page = _Page(most)
    for line in commands(lines, page.strings):
        page.line(line)
    return page.text()


def arguments(text: str) -> list[str]:
    r"""Return the arguments of a macro: words, or what stands in quotation marks.

    >>> arguments('-a ", " "say ""hi"" to"')
    ['-a', ', ', 'say "hi" to']
    """
    return [f[2] if f[1] is None else f[1].replace('""', '"') for f in ARGUMENT.finditer(text.strip(" \t"))]


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


class _Page(Filling):
    """A page as it becomes Markdown."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.strings: dict[str, str] = {**STRINGS}
        self._link = ""

    def text(self) -> str:
        """Return the page."""
        self.end_table()
        self.section(0, [])
        return self.to.text()

    def line(self, line: str) -> None:
        """Take the next line."""
        found = REQUEST.match(line) if line[:1] in (".", "'") else None
        name, rest = (found[1], found[2]) if found else ("", "")
        if self.table and name not in ("TE", *FONTS):
            self.table.line(line, self.strings)
        elif not found:
            self.say(plain(line, self.strings), line.endswith("\\c"))
        elif name in FONTS:
            text = FONTS[name].join(plain(word, self.strings) for word in arguments(rest))
            if self.table:
                self.table.line(text, {})
            elif text:
                self.say(text, rest.endswith("\\c"))
        else:
            self._request(name, rest)

    def _request(self, name: str, rest: str) -> None:
        words = [plain(word, self.strings) for word in arguments(rest)]
        match name:
            case "TH":
                self.section(1, [f"{words[0]}({words[1]})" if len(words) > 1 else "".join(words)])
            case "SH" | "SS":
                self.section(2 if name == "SH" else 3, words)
            case "PP" | "P" | "LP" | "HP" | "Sp" | "YS" if self.code is None:
                self.paragraph()
                if name not in ("Sp", "YS"):
                    self.end_item()
            case "TP" | "TQ":
                self.end_code()
                self.paragraph()
                self.end_item()
                self.is_term = True
            case "IP":
                self.end_code()
                self.paragraph()
                if words and words[0].strip():
                    self.end_item()
                    self.is_term = True
                    self.say(words[0])
            case "RS":
                self.deeper()
            case "RE":
                self.higher()
            case "br":
                self.end_line()
            case "sp" | "PP" | "P" | "LP":
                if self.code is None:
                    self.paragraph()
                else:
                    self.code.append("")
            case "nf" | "EX" | "Vb" | "fi" | "EE" | "Ve":
                self.end_code()
                self.paragraph()
                self.code = [] if name in ("nf", "EX", "Vb") else None
            case "SY" | "OP":
                if name == "SY":
                    self.end_line()
                self.say(f"[{' '.join(words)}]" if name == "OP" else " ".join(words))
            case "UR" | "MT":
                self._link = "".join(words[:1])
            case "UE" | "ME":
                self.say(f"<{self._link}>{''.join(words[:1])}")
            case "URL" | "MTO":  # which Asciidoctor defines
                link, said, behind = [*words, "", "", ""][:3]
                self.say(f"{said} <{link}>{behind}")
            case "TS":
                self.end_code()
                self.paragraph()
                self.table = Table()
            case "TE":
                self.end_table()
