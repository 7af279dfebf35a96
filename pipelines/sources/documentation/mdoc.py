"""Manual pages in mdoc(7), as BSD and OpenSSH have them, as Markdown: of a line's words, those that name macros are called."""

import re
from collections.abc import Iterable

from starmill.pipelines.sources.documentation.fill import Filling, Table
from starmill.pipelines.sources.documentation.man import arguments, commands
from starmill.pipelines.sources.documentation.roff import STRINGS, plain

MACRO = re.compile(r"\.[ \t]*([A-Z%][A-Za-z0-9]{0,2})(?:[ \t]+(.*))?")
AROUND = {"Op": "[]", "Dq": "“”", "Sq": "‘’", "Qq": '""', "Ql": "‘’", "Pq": "()", "Bq": "[]", "Brq": "{}", "Aq": "<>"}
OPEN = {"Oo": "[", "Do": "“", "So": "‘", "Qo": '"', "Po": "(", "Bo": "[", "Bro": "{", "Ao": "<", "Xo": ""}
CLOSE = {"Oc": "]", "Dc": "”", "Sc": "’", "Qc": '"', "Pc": ")", "Bc": "]", "Brc": "}", "Ac": ">", "Xc": ""}
SYSTEMS = {
    "Ux": "UNIX",
    "Bx": "BSD",
    "Fx": "FreeBSD",
    "Nx": "NetBSD",
    "Ox": "OpenBSD",
    "Dx": "DragonFly",
    "Bsx": "BSD/OS",
    "At": "AT&T UNIX",
}
FONTS = frozenset(
    "Ad An Ar Cm Dv Em Er Ev Fa Ft Ic Li Lk Ms Mt No Pa Sy Tn Va Vt Lb St Cd Bt Ud Hf Nm Fl Xr Fn In Ns Pf Ap Nd Ta".split()
)
CALLED = FONTS | AROUND.keys() | OPEN.keys() | CLOSE.keys() | SYSTEMS.keys()
BEHIND, BEFORE = frozenset(".,:;)]?!"), frozenset("([")
MARKED = frozenset(("-enum", "-bullet", "-dash", "-hyphen"))  # lists
UNMARKED = MARKED | {"-item", "-column"}  # lists whose items have no terms
STANDARDS = {
    "-ansiC": "ANSI X3.159-1989 (“ANSI C89”)",
    "-isoC": "ISO/IEC 9899:1990 (“ISO C90”)",
    "-isoC-99": "ISO/IEC 9899:1999 (“ISO C99”)",
    "-isoC-2011": "ISO/IEC 9899:2011 (“ISO C11”)",
    "-p1003.1": "IEEE Std 1003.1 (“POSIX.1”)",
    "-p1003.1-88": "IEEE Std 1003.1-1988 (“POSIX.1”)",
    "-p1003.1-90": "IEEE Std 1003.1-1990 (“POSIX.1”)",
    "-p1003.1-2001": "IEEE Std 1003.1-2001 (“POSIX.1”)",
    "-p1003.1-2008": "IEEE Std 1003.1-2008 (“POSIX.1”)",
    "-p1003.2": "IEEE Std 1003.2 (“POSIX.2”)",
}


def markdown(lines: Iterable[str], most: int) -> str:
    r"""Return a manual page as Markdown, in at most so many bytes. Raises TooLong.

    >>> page = '.Dt TOY 1\n.Sh NAME\n.Nm toy\n.Nd plays\n.Bl -tag\n.It Fl a Ns , Fl x Ar y\nPlay\n.Op Fl b .\n.El'
    >>> print(markdown(page.split("\n"), 1000))
    # TOY(1)
    <BLANKLINE>
    ## NAME
    <BLANKLINE>
    toy — plays
    <BLANKLINE>
    -a, -x y
    :   Play [-b].
    <BLANKLINE>
    """
    page = _Page(most)
    for line in commands(lines, page.strings):
        page.line(line)
    page.end_table()
    for name in ("Fc", "Re"):  # where it was forgotten
        page.line(f".{name}")
    page.section(0, [])
    return page.to.text()


class _Page(Filling):
    """A page as it becomes Markdown."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.strings: dict[str, str] = {**STRINGS}
        self._name = self._in = ""  # of the page, and of the section
        self._lists: list[str] = []  # how each open list marks its items
        self._numbers: list[int] = []
        self._arguments: list[str] | None = None  # of a function between Fo and Fc
        self._reference: list[str] | None = None  # between Rs and Re

    def line(self, line: str) -> None:
        """Take the next line."""
        found = MACRO.fullmatch(line) if line[:1] == "." else None
        if self.table or line.startswith(".TS"):
            self.table = self.table or Table()
            if line.startswith(".TE"):
                self.end_table()
            elif not line.startswith(".TS"):
                self.table.line(line, self.strings)
        elif found:
            self._macro(found[1], arguments(found[2] or ""))
        elif line[:1] not in (".", "'"):
            self.say(plain(line, self.strings), line.endswith("\\c"))

    def _macro(self, name: str, words: list[str]) -> None:
        match name:
            case "Dt":
                self.section(1, [f"{words[0]}({words[1]})" if len(words) > 1 else "".join(words)])
            case "Sh" | "Ss":
                self._lists, self._numbers = [], []
                self._in = " ".join(words) if name == "Sh" else self._in
                self.section(2 if name == "Sh" else 3, [self._inline(words)])
            case "Pp" | "Lp":
                self.paragraph() if self.code is None else self.code.append("")
            case "Bl":
                self.deeper()
                self._lists.append(next((w for w in words if w.startswith("-")), "-item"))
                self._numbers.append(0)
            case "El" if self._lists:
                self._lists.pop()
                self._numbers.pop()
                self.higher()
            case "It":
                self._item(words)
            case "Bd":
                self.end_code()
                self.paragraph()
                self.code = [] if {"-literal", "-unfilled"} & {*words} else None
            case "Ed":
                self.end_code()
                self.paragraph()
            case "Dl" | "D1":
                self.paragraph()
                self.to.code([self._inline(words)])
            case "Fo":
                self._arguments = []
                self._begin_line("Fn")
                self.say(f"{plain(''.join(words[:1]), self.strings)}(", goes_on=True)
            case "Fa" if self._arguments is not None:
                self._arguments += [plain(word, self.strings) for word in words if word not in BEHIND]
            case "Fc" if self._arguments is not None:
                arguments_, self._arguments = self._arguments, None
                self.say(f"{', '.join(arguments_)}){''.join(words)}")
            case "Rs":
                self._reference = []
            case "Re" if self._reference is not None:
                said, self._reference = ", ".join(self._reference), None
                if said:
                    self.say(f"{said}.")
            case "Ex":
                named = ", ".join(words[1:]) or self._name
                self.say(f"The {named} utility exits 0 on success, and >0 if an error occurs.")
            case "Rv":
                named = ", ".join(f"{word}()" for word in words[1:] or [self._name])
                self.say(f"The {named} function returns the value 0 if successful; otherwise the value -1 is returned and")
                self.say("the global variable errno is set to indicate the error.")
            case "Fd":
                self._begin_line(name)
                self.say(plain(" ".join(words), self.strings))
            case _ if name.startswith("%"):
                text = self._inline(words)
                if self._reference is None:
                    self.say(text)
                else:
                    self._reference.append(text)
            case "br" | "sp":
                self.end_line()
            case _ if name in CALLED:
                self._begin_line(name)
                text = self._inline([name, *words])
                if text:
                    self.say(text, goes_on=words[-1:] == ["Ns"] or (name in OPEN and not words))

    def say(self, text: str, goes_on: bool = False) -> None:
        """Add text; a mark that ends a phrase goes to what it ends."""
        if text[:1] in BEHIND | {"’", "”", "}", ">"} and len(text.strip(".,:;)]?!’”}>")) == 0 and self.code is None:
            self._goes_on = True
        super().say(text, goes_on)

    def _begin_line(self, name: str) -> None:
        if self._in == "SYNOPSIS" and name in ("Nm", "Ft", "Fn", "Fd", "In", "Vt", "Cd"):
            self.end_line()

    def _item(self, words: list[str]) -> None:
        self.end_code()
        self.paragraph()
        self.end_item()
        kind = self._lists[-1] if self._lists else "-item"
        said = " | ".join(self._inline(cell) for cell in _cells(words))
        if kind == "-enum":
            self._numbers[-1] += 1
        if kind in MARKED:
            self.is_term = True
            self.say(f"{self._numbers[-1]}." if kind == "-enum" and self._numbers[-1] < 1000 else "-")
        self.is_term = bool(said) and kind not in UNMARKED
        if said:
            self.say(said, goes_on=words[-1:] == ["Xo"])

    def _inline(self, words: list[str]) -> str:
        """Return what the words of a line say, of which some are macros."""
        out: list[str] = []
        behind: list[str] = []  # what closes at the line's end
        glued, macro, place = True, "", 0
        end = len(words)
        while end and words[end - 1] in BEHIND and len(words[end - 1]) == 1:
            end -= 1
        while place < end:
            word = words[place]
            place += 1
            text = None
            if word in CALLED:
                macro = word
                rest = [plain(w, self.strings) for w in words[place : place + 3] if w not in CALLED and w not in BEHIND]
                if word == "Ns":
                    glued = True
                elif word == "Pf":
                    text, place = "".join(rest[:1]), place + 1
                elif word == "Ap":
                    out.append("'")
                    glued = True
                elif word in AROUND or word in OPEN:
                    out += ["" if glued else " ", (AROUND.get(word) or OPEN[word])[:1]]
                    glued = True
                    behind += [AROUND[word][1]] if word in AROUND else []
                elif word in CLOSE:
                    out.append(CLOSE[word])
                    glued = False
                elif word == "Xr":
                    text, place = f"{rest[0]}({rest[1]})" if len(rest) > 1 else "".join(rest), place + min(2, len(rest))
                elif word == "Nm" and not rest:
                    text = self._name
                elif word == "Nm":
                    self._name = self._name or rest[0]
                elif word == "Nd":
                    text = "—"
                elif word == "Fn" and rest:
                    stop = next((k for k in range(place + 1, end) if words[k] in CALLED), end)
                    text = f"{rest[0]}({', '.join(plain(w, self.strings) for w in words[place + 1 : stop])})"
                    place = stop
                elif word == "In" and rest:
                    text, place = f"{'#include ' if self._in == 'SYNOPSIS' else ''}<{rest[0]}>", place + 1
                elif word in SYSTEMS:
                    version = rest[:1] if rest and word != "Ux" and rest[0][:1].isdigit() else []
                    text = "".join([*version, SYSTEMS[word]]) if word == "Bx" else " ".join([SYSTEMS[word], *version])
                    place += len(version)
                elif word == "St" and rest:
                    text, place = STANDARDS.get(rest[0], rest[0]), place + 1
                elif word == "Lb" and rest:
                    text, place = f"library “{rest[0]}”", place + 1
                elif word == "Ar" and not rest:
                    text = "file ..."
                elif word == "Fl" and (not rest or (place < end and words[place] in CALLED)):
                    text = "-"
            elif word in BEHIND:
                out.append(word)
                glued = False
            else:
                text = plain(word, self.strings)
                if macro == "Fl" and text != "|":
                    text = f"-{text}"
            if text is not None:
                out += ["" if glued else " ", text]
                glued = text in BEFORE or word == "Pf" or (word == "Fl" and place < end and words[place] in ("Fl", "Cm", "Ns"))
        return "".join([*out, *reversed(behind), *words[end:]])


def _cells(words: list[str]) -> list[list[str]]:
    cells: list[list[str]] = [[]]
    for word in words:
        if word == "Ta":
            cells.append([])
        else:
            cells[-1].append(word)
    return cells
