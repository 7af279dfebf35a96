"""MediaWiki's markup as plain text: what a reader of the page would call its prose, in one pass, in time linear in it whatever it is.

Links and external links leave their labels, headings and lists stay, mathematics stays as LaTeX; templates, tables, references, files,
categories and comments go. Of a few templates that are part of a sentence the value stays. What is opened and never closed is text.
"""

import re
from collections import Counter
from collections.abc import Collection

from starmill.pipelines.sources.stackexchange.posts import html_text

TOKEN = re.compile(
    r"\[\[|\]\]|\{\{|\}\}|\n[ \t:*#]*+\{\||\n[ \t]*+\|\}(?!\})"
    r"|\[(?:https?://|ftp://|//|mailto:)[^\s\[\]<>\"]*+[ \t]*+|\]|<(/?)([A-Za-z][A-Za-z0-9]*+)([^<>]*+)>"
)
# Elements whose text is not markup: of the first it goes, of the others it stays.
GONE = frozenset(
    "ref gallery timeline imagemap graph score templatedata inputbox mapframe maplink hiero indicator section".split()
)
VERBATIM = frozenset("nowiki pre syntaxhighlight source code math chem ce".split())
MATHEMATICS = ("math", "chem", "ce")
FILES = frozenset(("file", "image", "category", "media"))  # the names of namespaces that every wiki knows
LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[a-z]+)*\Z")  # a page in another language
# Templates of the English Wikipedia that are words of their sentence: which of their values is shown.
SHOWN = {
    **dict.fromkeys(
        ("nowrap", "nobr", "nobold", "small", "em", "strong", "sup", "sub", "abbr", "var", "mvar", "math", "smallcaps"), (1,)
    ),
    **dict.fromkeys(("lang", "transl", "transliteration"), (2,)),
    **dict.fromkeys(("convert", "cvt"), (1, 2)),
}
DASHES = dict.fromkeys(("snd", "spnd", "spaced ndash", "ndash", "en dash"), " \u2013 ") | {
    "mdash": "\u2014",
    "nbsp": " ",
    "'": "'",
}
DEEP = 20  # levels of what is open, in which the text of a link is looked at; beyond, links are text
QUOTES, EMPTY, LINE = re.compile("'{2,}"), re.compile(r" ?\([\s;,:]*+\)"), re.compile(r"([*#:;]+)[ \t]*+(.*)", re.DOTALL)
PLACE = re.compile("\0([0-9]+)\0")  # of a text that is not touched
SWITCH = re.compile(r"__[A-Z]{3,20}__")
SPACES = re.compile(r"[ \t\u00a0]{2,}|\u00a0")


def text(wikitext: str, files: Collection[str] = FILES) -> str:
    """Return the text of a page; `files`: names of namespaces, in lower case, whose links show no text.

    >>> text("'''Ada''' (1815){{efn|x}} wrote [[program|programs]].<ref>A</ref>\\n== Life ==\\n* [[London]]\\n== Notes ==\\n{{x}}")
    'Ada (1815) wrote programs.\\n\\nLife\\n\\n- London'
    """
    source, at = "\n" + _without_comments(wikitext.replace("\r", "").replace("\0", "")), 0
    made, never = _Open(files), set[str]()
    while found := TOKEN.search(source, at):
        made.out.append(source[at : found.start()])
        token, at = found[0], found.end()
        if token == "]]" and made.stack and made.stack[-1][0] == "[":
            at -= 1
            token = "]"
        if found[2] is None:
            made.take(token)
            continue
        name = found[2].lower()
        verbatim = name in VERBATIM
        if not found[1] and (verbatim or name in GONE) and not found[3].endswith("/") and name not in never:
            end = re.compile(f"</{name}\\s*+>", re.IGNORECASE).search(source, at)
            if end is None:
                never.add(name)  # and is not looked for again
                continue
            inside = source[at : end.start()] if verbatim else ""
            made.out.append(made.keep(f"${inside.strip()}$" if name in MATHEMATICS else inside))
            at = end.end()
        elif name in ("br", "p", "tr", "li", "div", "blockquote"):
            made.out.append("\n")
    made.out.append(source[at:])
    return _plain("".join(made.out), made.kept)


class _Open:
    """What is open at a place of the text: marks, each with where its text begins in `out`, which is what was read so far."""

    def __init__(self, files: Collection[str]) -> None:
        self.out: list[str] = []
        self.stack: list[tuple[str, int]] = []
        self.kept: list[str] = []
        self._files, self._count = files, Counter[str]()

    def keep(self, verbatim: str) -> str:
        """Return what stands for a text that is not touched again."""
        self.kept.append(html_text(verbatim))
        return f"\0{len(self.kept) - 1}\0"

    def take(self, token: str) -> None:
        """Open or close something."""
        kind = token.strip() if token[0] == "\n" else "[" if token[0] == "[" and token != "[[" else token
        kind = "{|" if kind.endswith("{|") else kind
        if kind in ("[[", "[", "{{", "{|"):
            if len(self.stack) < DEEP or kind[0] == "{":
                self.stack.append((kind, len(self.out)))
                self._count[kind] += 1
            self.out.append(token)
            return
        opened = {"]]": "[[", "]": "[", "}}": "{{", "|}": "{|"}[kind]
        if not self._count[opened]:
            self.out.append(token)
            return
        while True:  # what was opened after it, and not closed, stays as it is written
            last, start = self.stack.pop()
            self._count[last] -= 1
            if last == opened:
                break
        if opened == "{|":
            made = "\n"
        elif opened == "{{":
            made = self._template(start) if len(self.stack) < DEEP else ""
        else:
            inside = "".join(self.out[start + 1 :])
            made = inside if opened == "[" else self._link(inside)
        del self.out[start:]
        self.out.append(made)

    def _template(self, start: int) -> str:
        first = self.out[start + 1] if len(self.out) > start + 1 else ""
        name = first.partition("|")[0].strip().lower() if len(first) < 10_000 else ""
        if name not in SHOWN:
            return DASHES.get(name, "")
        values = [value for value in "".join(self.out[start + 1 :]).split("|")[1:] if not re.match(r"[\w -]{1,30}=", value)]
        return " ".join(values[k - 1].strip() for k in SHOWN[name] if k <= len(values))

    def _link(self, inside: str) -> str:
        target, bar, _ = inside.partition("|")
        space = target.partition(":")[0].strip().lower() if ":" in target else ""
        if space in self._files or (space and not bar and LANGUAGE.match(space)):
            return ""
        return inside.rpartition("|")[2] if bar else target.strip().lstrip(":")


def _without_comments(source: str) -> str:
    kept, at = [], 0
    while (start := source.find("<!--", at)) >= 0 and (end := source.find("-->", start + 4)) >= 0:
        kept.append(source[at:start])
        at = end + 3
    return "".join([*kept, source[at:]])


def _quotes(run: re.Match[str]) -> str:
    return "'" * {2: 0, 3: 0, 4: 1, 5: 0}.get(len(run[0]), len(run[0]) - 5)


def _plain(source: str, kept: list[str]) -> str:
    """Return lines and paragraphs as plain text; a heading under which nothing is goes."""
    source = SPACES.sub(" ", html_text(EMPTY.sub("", SWITCH.sub("", QUOTES.sub(_quotes, source)))))
    blocks: list[str] = []
    headings: list[tuple[int, str]] = []  # that nothing stands under yet
    gap = item = True
    for line in map(str.strip, source.split("\n")):
        if line[:1] == "=" and line[-1:] == "=" and (said := line.strip("= \t")):
            level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")))
            headings = [*((above, title) for above, title in headings if above < level), (level, said)]
            gap = True
            continue
        was_item, item = item, False
        if found := LINE.match(line):
            depth = min(sum(mark in "*#" for mark in found[1]), DEEP)
            item = bool(depth)
            line = ("  " * (depth - 1) + "- " if depth else "") + found[2] if found[2] else ""
        if not line.strip("- \t"):
            gap = True
            continue
        blocks += ["\n\n" + said for _, said in headings]
        blocks.append(("\n\n" if gap or item != was_item else "\n") + line)
        headings, gap = [], False
    return PLACE.sub(lambda number: kept[int(number[1])], "".join(blocks)).strip()
