"""User names: who is called with an @ in what people say to each other, replaced by the counter of the record's people.

StarCoder2 (paper, section 3.2) gives the people who take part in an issue or pull request the names username_0, username_1 and so on; the
sources of threads and questions do so, in the texts too (sources/gharchive/text.py: masked). Whom they mention takes no part, and
goes here: `@torvalds` becomes `@username_2` where username_1 is the last who took part, the same in the whole record, in any case.

What an @ begins in code stays: the texts of code blocks and in backticks, of hunks and files, annotations (`@Override`), scopes of
packages and teams (`@org/name`), decorators (`@app.route`), tags of documentation (` * @param x`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

F = TypeVar("F", bound=tuple[Any, ...])  # start, end, kind and more
# One of them matches in each text with a find (scan.py).
ANCHORS = (rb"@[0-9A-Za-z]",)
# GitHub's rule: letters, digits and single hyphens, 39 of them at most.
LOGIN = re.compile(r"[A-Za-z0-9](?:-?[A-Za-z0-9]){0,38}+(?![\w/@(=\[{<-]|\.\w|://)")
BEFORE = frozenset("`@/._-\\=%&+#$'\"")
FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^\n]*$", re.MULTILINE)
INDENTED = re.compile(r" {4}|\t| {0,3}\t")
TAG = re.compile(r"\s*(?:\*|/\*\*|//+|#)\s*\Z")
# What stands below an annotation that is alone on its line.
DECLARED = re.compile(
    r"\s*(?:@\w+|(?:public|private|protected|internal|static|final|abstract|async|class|interface|def|fun|func|fn|void|export|override)\b"
    r"|[\w<>\[\]]+\s\w+\s?[(=;])"
)
# The roles of segments in which people speak (sources/gharchive/threads.py, sources/stackexchange/posts.py).
SPOKEN = frozenset(("title", "body", "comment", "review", "code_comment", "question", "answer"))
TAKES_PART = re.compile(r"username_(\d{1,9})\b")


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) of each user name behind an @, in order.

    >>> text = "@Ann, see `@x`; thanks @bob-2!"
    >>> [text[a:b] for a, b in find(text)]
    ['Ann', 'bob-2']
    """
    at = text.find("@")
    blocks: Iterator[tuple[int, int]] | None = None
    start = end = 0  # of the block of code that the last @ was in or ahead of
    while at != -1:
        login = LOGIN.match(text, at + 1)
        if login and _is_called(text, at, login.end()):
            blocks = blocks or _code(text)
            while end <= at and (block := next(blocks, None)):
                start, end = block
            if not start <= at < end:
                yield login.span()
        at = text.find("@", login.end() if login else at + 1)


def spoken(finds: Iterable[F], segments: Sequence[Mapping[str, Any]] | None) -> list[F]:
    """Return finds without the user names in what nobody says: files, hunks, paths."""
    if not segments:
        return list(finds)
    bounds = [(s["start"], s["end"]) for s in segments if s["role"] in SPOKEN]
    return [f for f in finds if f[2] != "USERNAME" or any(start <= f[0] < end for start, end in bounds)]


class Counter:
    """The names of a record's people: the same for the same login, the next number for another.

    >>> count = Counter("see username_3", [{"name": "username_0"}])
    >>> count.name("Ann"), count.name("bob"), count.name("ANN")
    ('username_4', 'username_5', 'username_4')
    """

    def __init__(self, text: str, segments: Sequence[Mapping[str, Any]] | None) -> None:
        """Begin behind those who take part, by the names of the segments and in the text."""
        named = (TAKES_PART.fullmatch(s["name"] or "") for s in segments or ())
        taken = [int(found[1]) for found in (*named, *TAKES_PART.finditer(text)) if found]
        self._next = max(taken, default=-1) + 1
        self._names: dict[str, str] = {}

    def name(self, login: str) -> str:
        """Return the name for a login, whose case does not matter."""
        low = login.lower()
        if low not in self._names:
            self._names[low] = f"username_{self._next}"
            self._next += 1
        return self._names[low]


def _is_called(text: str, at: int, end: int) -> bool:
    """Say whether an @ calls somebody, by what stands around it on its line and on the next."""
    before = text[at - 1 : at]
    if before.isalnum() or before in BEFORE:
        return False
    head = text[max(0, at - 500) : at].rpartition("\n")[2]
    if INDENTED.match(head) or TAG.fullmatch(head) or head.count("`") % 2:
        return False
    tail, _, following = text[end : end + 200].partition("\n")
    return not (not head.strip() and not tail.strip() and DECLARED.match(following))


def _code(text: str) -> Iterator[tuple[int, int]]:
    """Yield the bounds of Markdown's fenced code; a block that is not closed goes to the end (CommonMark, 4.5)."""
    opened: re.Match[str] | None = None
    for fence in FENCE.finditer(text):
        if opened is None:
            opened = fence
        elif fence[1][0] == opened[1][0] and len(fence[1]) >= len(opened[1]) and fence[0].strip() == fence[1]:
            yield opened.start(), fence.end()
            opened = None
    if opened is not None:
        yield opened.start(), len(text)
