"""Posts of Stack Exchange's dumps: the rows of Posts.xml, and the HTML of their bodies as text in which code stays code."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from starmill.pipelines.sources.tags import TAG, Malformed, attributes, tag

QUESTION, ANSWER = "1", "2"  # PostTypeId; the others are pages about tags, and what moderators wrote
MAX_ID = 2**31 - 1
DEEP = 8  # levels of quotations and lists that are shown
SPACE, BREAK, FENCE = re.compile(r"[ \t\r\n\f]+"), re.compile(r" ?\0 ?"), re.compile(r"`{3,}")
LANGUAGE = re.compile(r"\blang-([A-Za-z0-9+#-]{1,20})")
# What a browser begins on a new line.
BLOCKS = frozenset("p div blockquote ul ol li h1 h2 h3 h4 h5 h6 hr table thead tbody tr dl dt dd pre".split())
HEADING = {f"h{level}": "#" * level + " " for level in range(1, 7)}


class Post(msgspec.Struct, array_like=True, frozen=True):
    """A question, or an answer to one; `owner` tells people of one dump apart, and `name` is shown of who has no account any more."""

    id: int
    question: int
    score: int
    accepted: int  # the id of an answer, or 0
    owner: str
    name: str
    title: str
    body: str  # HTML

    @property
    def is_question(self) -> bool:
        """Whether it is what the others answer."""
        return self.id == self.question


def post(row: bytes) -> Post | str:
    """Return the post of a row (tags.pieces), or the PostTypeId of one that is neither a question nor an answer. Raises Malformed."""
    said = attributes(tag(row).attributes)
    if (kind := said.get("PostTypeId", "")) not in (QUESTION, ANSWER):
        return kind[:20]
    own = _number(said, "Id")
    owner = said.get("OwnerUserId") or said.get("OwnerDisplayName") or f"post {own}"
    return Post(
        own,
        own if kind == QUESTION else _number(said, "ParentId"),
        _number(said, "Score", 0, -MAX_ID),
        _number(said, "AcceptedAnswerId", 0, 0) if kind == QUESTION else 0,
        owner[:100],
        said.get("OwnerDisplayName", "")[:100],
        said.get("Title", ""),
        said.get("Body", ""),
    )


def _number(said: Mapping[str, str], name: str, otherwise: int | None = None, least: int = 1) -> int:
    text = said.get(name, "")
    if not text and otherwise is not None:
        return otherwise
    if not re.fullmatch(r"-?[0-9]{1,10}", text) or not least <= int(text) <= MAX_ID:
        raise Malformed(f"{name}={text[:20]!r}: no number from {least} to {MAX_ID}")
    return int(text)


def text(body: str) -> str:
    r"""Return the text of a body in Markdown's manner; of links and images the words stay. In time linear in it, whatever it is.

    >>> text('<p><code>x</code> &amp; <a href="u">y</a>:</p>\n<pre class="lang-c"><code>a &lt; b\n  c\n</code></pre><ul><li>1</li></ul>')
    '`x` & y:\n\n```c\na < b\n  c\n```\n\n- 1'
    """
    first, *pieces = body.replace("\0", "").split("<")
    made = _Writer([first])
    for piece in pieces:
        if found := TAG.match(piece):
            made.take(found[1].lower(), found[2], found[3])
        elif not piece.startswith(("!", "?")):
            made.line.append("<" + piece)
    made.take("/pre", "", "")
    made.end()
    return "".join(made.written)


@dataclass
class _Writer:
    """A text while it is written."""

    line: list[str]
    written: list[str] = field(default_factory=list)
    quotes: int = 0
    lists: list[int] = field(default_factory=list)  # the number of the last item, or -1 where they have none
    mark: str = ""  # of the item or heading whose text is due
    fence: str | None = None  # what follows the fence of the code that is being read
    tight: bool = False  # whether the last block was an item's

    def take(self, name: str, written: str, text: str) -> None:
        """Go on behind a tag."""
        if self.fence is not None and name != "/pre":
            self.line.append("\n" + text if name == "br" else text)
            return
        plain = name.lstrip("/")
        if plain in BLOCKS:
            self.end()
            self.block(name, written)
        elif plain == "code":
            self.line.append("`")
        elif plain == "br":
            self.line.append("\0")
        elif plain in ("td", "th") and name[0] == "/":
            self.line.append(" | ")
        self.line.append(text)

    def block(self, name: str, written: str) -> None:
        """Begin or end an element that is no part of a line."""
        if name == "pre":
            found = LANGUAGE.search(written)
            self.fence = found[1] if found and found[1] not in ("default", "none") else ""
        elif name in ("blockquote", "/blockquote"):
            self.quotes = max(0, self.quotes + (1 if name[0] != "/" else -1))
        elif name in ("ul", "ol"):
            self.lists.append(-1 if name == "ul" else 0)
        elif name in ("/ul", "/ol") and self.lists:
            self.lists.pop()
            self.mark = ""
        elif name == "li":
            if self.lists and self.lists[-1] >= 0:
                self.lists[-1] += 1
            self.mark = f"{self.lists[-1]}. " if self.lists and self.lists[-1] > 0 else "- "
        else:
            self.mark = HEADING.get(name, self.mark if not name.startswith("/h") else "")

    def end(self) -> None:
        """Write what is due as a block."""
        text, language, self.fence = html_text("".join(self.line)), self.fence, None
        self.line.clear()
        if language is not None:
            if code := text.strip("\n"):
                longest = max((len(run) for run in FENCE.findall(code)), default=2)
                fence = "`" * min(longest + 1, 100)
                self.put(f"{fence}{language}\n{code.rstrip()}\n{fence}")
        elif text := BREAK.sub("\n", SPACE.sub(" ", text)).strip():
            self.put(text)

    def put(self, text: str) -> None:
        """Write a block, with the marks of what it lies in before each line."""
        before = "> " * min(self.quotes, DEEP) + "  " * (min(len(self.lists), DEEP) - 1 if self.lists else 0)
        item = self.mark.endswith((". ", "- "))
        rest = " " * len(self.mark) if item else "  " if self.lists else ""
        if self.written:
            self.written.append("\n" if item and self.tight else "\n\n")
        lines = text.split("\n")
        self.written.append(before + (self.mark or rest) + f"\n{before}{rest}".join(lines))
        self.mark, self.tight = "", bool(self.lists)


def html_text(written: str) -> str:
    """Return what HTML's entities mean; a number that is none stays.

    >>> html_text("a &lt; b &#" + "9" * 5000 + ";")[:8]
    'a < b &#'
    """
    try:
        return html.unescape(written)
    except ValueError:  # a number of thousands of digits
        return written.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
