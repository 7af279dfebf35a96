"""HTML pages as Markdown: headings, paragraphs, lists, definitions, tables and code stay; what leads around a site goes.

lxml tells of tags as it reads them, and builds no tree: time is linear in the bytes, since a page may nest only so deep (libxml2 looks
through all open tags at each end). It is given no network and no DTD, and knows no entities but those of HTML.
"""

import re
from dataclasses import dataclass, field

from lxml import etree

from starmill.pipelines.sources.documentation.markdown import ITEM, QUOTE, TERM, Markdown

PIECE = 1 << 16  # bytes, parsed at once
MAX_DEPTH = 512  # open tags; the deepest pages of real documentation have some 60
BLOCKS = frozenset(
    "address article aside blockquote body center details dialog dd div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6 "
    "header hgroup hr html li main nav ol p pre section summary table caption tbody thead tfoot tr ul".split()
)
# What is no text, or leads elsewhere; the second only outside of a page's main part.
NO_TEXT = frozenset(
    "script style template noscript head nav button select input textarea svg math object iframe canvas audio video".split()
)
AROUND = frozenset(("header", "footer", "aside", "form"))
ROLES = frozenset(("navigation", "search", "banner", "contentinfo", "menu", "toolbar"))
# Classes of links to headings, of line numbers, of the sides and tops of pages, as generators of documentation name them.
CLASSES = frozenset(
    "headerlink anchor doc-anchor linenos lineno linenodiv gutter sphinxsidebar related navbar nav-bar sidebar toctree-wrapper "
    "wy-nav-side rst-footer-buttons wy-breadcrumbs prev-next-area bd-sidebar toc topNav bottomNav subNav top-nav sub-nav "
    "sub-title-nav skip-nav skipNav copybtn viewcode-link viewcode-back md-sidebar md-header sr-only visually-hidden src rightside "
    "hideme rustdoc-breadcrumbs boring nav-panel navigation copiable-link".split()
)
LANGUAGE = re.compile(r"(?:^|\s)(?:highlight|language|lang|sourceCode|brush:)[-\s]\s*([A-Za-z][\w+#.-]*)")
NO_LANGUAGE = frozenset(("default", "none", "text", "plain", "plaintext", "notranslate", "source", "output"))
CODE = frozenset(("code", "tt", "kbd", "samp"))
MARK_OF_HEADING = re.compile(r"\s*[¶§#]\Z")
BREAK = "\0"  # stands for <br>; no page has it


class TooDeep(ValueError):
    """More tags within each other than MAX_DEPTH."""


def markdown(page: str, most: int) -> str:
    r"""Return what a page says, in at most so many bytes. Raises TooDeep, TooLong, or ValueError.

    >>> markdown("<nav>Home</nav><h1>area<a class=headerlink>¶</a></h1><ul><li>a <b>width</b><li>a <code>height</code></ul>", 1000)
    '# area\n\n- a width\n- a `height`\n'
    """
    target = _Page(most)
    parser = etree.HTMLParser(target=target, encoding="utf-8", no_network=True, huge_tree=False)
    data = page.replace(BREAK, "").encode("utf-8", "replace")
    try:
        for at in range(0, len(data), PIECE):
            parser.feed(data[at : at + PIECE])
        parser.close()
    except etree.XMLSyntaxError as error:  # of a page without any tag or text
        if target.tags:
            raise ValueError(str(error)) from None
    return target.text()


@dataclass
class _Table:
    depth: int
    rows: list[list[list[tuple[str, list[str]]]]] = field(default_factory=list)  # cells, each of blocks: (what it is, lines)
    is_layout: bool = False  # whether it holds code or headings, and so is a way to place things

    def add(self, what: str, lines: list[str]) -> None:
        if not self.rows:
            self.rows.append([])
        if not self.rows[-1]:
            self.rows[-1].append([])
        self.rows[-1][-1].append((what, lines))
        self.is_layout |= what != ""


class _Page:
    """What lxml tells of a page, as it becomes Markdown."""

    def __init__(self, most: int) -> None:
        self.tags = 0
        self._around, self._inside = Markdown(most), Markdown(most)  # what is in the main part of the page
        self._to = self._around
        self._depth = self._main = self._skipped = self._pre = self._code = 0  # where each began, or 0
        self._words: list[str] = []
        self._heading, self._is_term = 0, False
        self._lists: list[int] = []  # of each open list the number of its next item, or -1
        self._items: list[int] = []  # where each open item began
        self._languages: list[tuple[int, str]] = []
        self._table: _Table | None = None

    def text(self) -> str:
        """Return what the page says: its main part where it has one."""
        self._flush()
        return self._inside.text() or self._around.text()

    def start(self, tag: str, about: dict[str, str]) -> None:
        self.tags += 1
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TooDeep
        if self._skipped:
            return
        classes = about.get("class", "")
        if self._leads_around(tag, classes.split(), about):
            self._skipped = self._depth
            return
        if classes and (language := LANGUAGE.search(classes)):
            self._languages.append((self._depth, language[1]))
        if not self._main and (tag in ("main", "article") or about.get("role") == "main"):
            self._flush()
            self._main, self._to = self._depth, self._inside
        if self._pre:
            if tag == "br" or (tag in BLOCKS and self._words and not self._words[-1].endswith("\n")):  # a line may be a <div>
                self._words.append("\n")
            return
        if tag == "br":
            self._words.append(BREAK)
        elif tag in ("td", "th"):
            self._flush()
            if self._table:
                self._table.rows = self._table.rows or [[]]
                self._table.rows[-1].append([])
        elif tag in BLOCKS:
            self._flush()
            self._begin(tag)
        elif tag in CODE and not self._code:
            self._code = self._depth
            self._words.append("`")

    def end(self, tag: str) -> None:
        at, self._depth = self._depth, self._depth - 1
        if self._skipped:
            self._skipped = 0 if at == self._skipped else self._skipped
            return
        if self._pre:
            if at != self._pre:
                return  # the language may be a class of a tag inside
            self._write_code()
            self._pre = 0
        elif at == self._code:
            self._code = 0
            if self._words[-1:] == ["`"]:
                self._words.pop()
            elif self._words:
                self._words.append("`")
        elif tag in BLOCKS or tag in ("td", "th"):
            self._flush()
            self._finish(tag, at)
        if at == self._main:
            self._flush()
            self._main, self._to = 0, self._around
        while self._languages and self._languages[-1][0] >= at:
            self._languages.pop()

    def data(self, text: str) -> None:
        if not self._skipped:
            self._words.append(text)

    def comment(self, text: str) -> None:
        """Pass over a comment."""

    def pi(self, target: str, text: str | None = None) -> None:
        """Pass over an instruction."""

    def doctype(self, *said: str | None) -> None:
        """Pass over the type of the document."""

    def close(self) -> None:
        """End the page."""

    def _leads_around(self, tag: str, classes: list[str], about: dict[str, str]) -> bool:
        if tag in NO_TEXT or (tag in AROUND and not self._main) or about.get("role") in ROLES:
            return True
        return "hidden" in about or not CLASSES.isdisjoint(classes)

    def _begin(self, tag: str) -> None:
        if tag == "pre":
            self._pre = self._depth
        elif len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self._heading = int(tag[1])
        elif tag in ("ul", "ol"):
            self._lists.append(1 if tag == "ol" else -1)
        elif tag == "dt":
            self._is_term = True
        elif tag == "table" and not self._table:
            self._table = _Table(self._depth)
        elif tag == "tr" and self._table:
            self._table.rows.append([])
        elif tag in ("li", "dd", "blockquote") and not self._table:
            number = self._lists[-1] if self._lists and tag == "li" else -1
            if number >= 0:
                self._lists[-1] += 1
            self._to.open(QUOTE if tag == "blockquote" else TERM if tag == "dd" else ITEM if number < 0 else f"{number}. ")
            self._items.append(self._depth)

    def _finish(self, tag: str, at: int) -> None:
        if self._items and self._items[-1] == at:
            self._items.pop()
            self._to.close()
        elif tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        elif tag == "dt":
            self._is_term = False
        elif len(tag) == 2 and tag[0] == "h":
            self._heading = 0
        elif self._table and at == self._table.depth:
            table, self._table = self._table, None
            self._write_table(table)

    def _flush(self) -> None:
        """Write the words that were read as a paragraph, or what else they are."""
        if not self._words:
            return
        lines = [" ".join(part.split()) for part in "".join(self._words).split(BREAK)]
        self._words = []
        lines = [line for line in lines if line and line != "``"]
        if not lines:
            return
        if self._table:
            self._table.add("heading" if self._heading else "", lines)
        elif self._heading:
            self._to.heading(self._heading, MARK_OF_HEADING.sub("", " ".join(lines)))
        else:
            self._to.paragraph(lines, self._is_term)

    def _write_code(self) -> None:
        lines = "".join(self._words).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._words = []
        if self._table:
            self._table.add("```" + self._language(), lines)
        else:
            self._to.code(lines, self._language())

    def _language(self) -> str:
        return next((name for _, name in reversed(self._languages[-8:]) if name.lower() not in NO_LANGUAGE), "")

    def _write_table(self, table: _Table) -> None:
        if table.is_layout or all(sum(map(bool, row)) < 2 for row in table.rows):
            for what, lines in (block for row in table.rows for cell in row for block in cell):
                if what.startswith("`"):
                    self._to.code(lines, what.lstrip("`"))
                elif what:
                    self._to.heading(3, MARK_OF_HEADING.sub("", " ".join(lines)))
                else:
                    self._to.paragraph(lines)
        else:
            self._to.table([[" ".join(" ".join(lines) for _, lines in cell) for cell in row] for row in table.rows])
