"""The events of one issue or pull request as one record: a text, and segments that say what is whose.

Roles of an issue: title, body, comment, and the marks closed and reopened. A pull request has also status, is_merged, base and head
(marks whose name counts the commits that were the base, or the head), review with review_state, and of each comment on code the mark
code, its path, line, hunk, event_id, the reply_to_review or reply_to_comment that it answers, and code_comment. The name of a segment is
the person's: username_0 is the author, the others follow in the order in which they come in. Of is_merged and review_state it is the
value once more, and the mark version says that the title is about versions: a rule reads segments, and no text. Where its files are known
it has base_file, and behind the mark diff of each head diff_hunk, both of the path that their name is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from starmill.pipelines.sources.gharchive.events import HEADER, Event
from starmill.pipelines.sources.gharchive.pulls import Files
from starmill.pipelines.sources.gharchive.text import clean, is_bot, masked, without_html_comments
from starmill.pipelines.sources.source import Entry

BOT = "bot"  # the name of a title that a bot gave
# In the order in which events of one second come.
ORDER = {"opened": 0, "closed": 2}
PULL = "pull/"
# StarCoder2 (section 2.3): of a pull request's texts.
VERSIONS = ("dependencies", "dependency", "depend", "release")  # a title with one of these is about versions
MAX_TITLE, MAX_TEXT, MIN_TEXT, MAX_HUNK, MAX_LINES = 500, 1000, 20, 10_000, 80
# Of a base and its heads: what is shown of the files.
FilesOf = Callable[[str, Sequence[str]], Files | None]


@dataclass(frozen=True)
class Texts:
    """How long a text may be: lines above `max_lines` leave the first ones and the `last_lines`."""

    max_lines: int
    last_lines: int

    @property
    def of_a_pull(self) -> "Texts":
        """How long one of a pull request may be, which has fewer lines than an issue's."""
        lines = min(self.max_lines, MAX_LINES)
        return Texts(lines, min(self.last_lines, lines - 1))


@dataclass
class Written:
    """A record while it is written."""

    text: list[str] = field(default_factory=list)
    segments: list[dict[str, Any]] = field(default_factory=list)
    length: int = 0

    def add(self, role: str, name: str | None, text: str) -> None:
        """Write a segment on a line of its own."""
        if self.segments:
            self.text.append("\n")
            self.length += 1
        self.mark(role, name, self.length + len(text))
        self.text.append(text)
        self.length += len(text)

    def mark(self, role: str, name: str | None, end: int | None = None) -> None:
        """Set a mark, or the bounds of a segment."""
        self.segments.append({"role": role, "name": name, "start": self.length, "end": self.length if end is None else end})


@dataclass(frozen=True)
class Said:
    """One event, its time and id; the index gives them in the order of the times."""

    time: str
    id: str
    event: Event


def _no_files(base: str, heads: Sequence[str]) -> None:
    return None


def entry(thread: str, events: Iterable[Said], texts: Texts, max_bytes: int, files_of: FilesOf = _no_files) -> Entry:
    """Return the record of a thread, or the reason why there is none. Holds `max_bytes` of it at most, but for one event.

    `files_of` gives what is shown of a pull request's files, where they are known.
    """
    path, kind = thread.encode(), "pull_request" if thread.startswith(PULL) else "issue"
    held: list[Said] = []
    size = 0
    stated: Event | None = None
    for said in events:
        event = said.event
        if stated is None and event.title is not None:
            stated = event
            size += len(event.body)
        elif stated is not None:
            event.title, event.body = None, ""  # each event repeats them
        size += len(event.text) + len(event.hunk) + 100
        if size < 4 * max_bytes:
            held.append(said)
    if size >= 4 * max_bytes:
        return Entry(path, None, "too_large", "in characters of its events", size=size, kind=kind)
    if stated is None:
        return Entry(path, None, "no_text", f"{len(held)} events, of which none states a title", size=size, kind=kind)
    held.sort(key=lambda s: (s.time, ORDER.get(s.event.what, 1), len(s.id), s.id))
    made = _pull(stated, held, texts.of_a_pull, files_of) if kind == "pull_request" else _issue(stated, held, texts)
    data = "".join(made.text).encode()
    if len(data) >= max_bytes:
        return Entry(path, None, "too_large", size=len(data), kind=kind)
    return Entry(path, data, kind=kind, segments=made.segments)


def _issue(stated: Event, events: list[Said], texts: Texts) -> Written:
    people = _people(stated, events)
    made = Written()

    def text(said: str) -> str:
        return masked(clean(said, texts.max_lines, texts.last_lines), people)

    by_bot = is_bot(stated.author)
    made.add("title", BOT if by_bot else people.get(stated.author.lower()), text(stated.title or "").replace("\n", " "))
    if not by_bot:
        made.add("body", people.get(stated.author.lower()), text(stated.body))
    for event in _human(events):
        name = people.get(event.login.lower())
        if event.what == "comment" and (said := text(event.text)):
            made.add("comment", name, said)
        elif event.what in ("closed", "reopened"):
            made.mark(event.what, name)
    return made


def _pull(stated: Event, events: list[Said], texts: Texts, files_of: FilesOf) -> Written:
    people = _people(stated, events)
    ends_of = [event for event in (stated, *(said.event for said in events)) if event.base and event.head]
    files = files_of(ends_of[0].base, [event.head for event in ends_of]) if ends_of else None
    starts = {window.path: window.start for window in files.windows} if files else {}
    made = Written()
    numbers: dict[int, str] = {}  # of comments and reviews, as a document tells them: no id of GitHub's
    ends: dict[str, dict[str, int]] = {"base": {}, "head": {}}
    last: dict[str, str] = {}

    def text(said: str, least: int = 0) -> str:
        if "qwiet" in said.lower():
            return ""
        if "codecov" in said.lower():
            return "[OMITTED]CodeCov"
        said = clean(without_html_comments(said), texts.max_lines, texts.last_lines)
        return masked(said[:MAX_TEXT], people) if len(said) >= least else ""

    def at(event: Event) -> None:
        for end, commit in (("base", event.base), ("head", event.head)):
            if commit and last.get(end) != commit:
                last[end] = commit
                made.mark(end, str(ends[end].setdefault(commit, len(ends[end]))))
                if files and end == "base" and len(ends["base"]) == 1:
                    for window in files.windows:
                        made.add("base_file", window.path, window.text)
                if files and end == "head" and (hunks := files.hunks.get(commit)):
                    made.mark("diff", None)
                    for hunk in hunks:
                        made.add("diff_hunk", hunk.path, hunk.text)

    def number(event: Event) -> None:
        if event.own:
            made.add("event_id", None, numbers.setdefault(event.own, str(len(numbers))))

    by_bot = is_bot(stated.author)
    title = masked(clean(stated.title or "", texts.max_lines, 0).replace("\n", " ")[:MAX_TITLE], people)
    made.add("title", BOT if by_bot else people.get(stated.author.lower()), title)
    if any(word in title.lower() for word in VERSIONS):
        made.mark("version", None)
    made.add("body", people.get(stated.author.lower()), "" if by_bot else text(stated.body, MIN_TEXT))
    made.add("status", None, "opened")
    at(stated)
    for event in _human(events):
        at(event)
        name = people.get(event.login.lower())
        if event.what == "comment" and (said := text(event.text, MIN_TEXT)):
            made.add("comment", name, said)
            number(event)
        elif event.what == "review":
            made.add("review", name, text(event.text))
            number(event)
            made.add("review_state", event.state, event.state)
        elif event.what == "hunk" and (said := text(event.text, MIN_TEXT)):
            made.mark("code", None)
            number(event)
            for role, other in (("reply_to_review", event.review), ("reply_to_comment", event.reply)):
                if other in numbers:
                    made.add(role, None, numbers[other])
            made.add("path", None, event.path.replace("\n", " "))
            hunk, line = in_window(event.hunk.replace("\r\n", "\n").replace("\0", ""), event.line, starts.get(event.path, 0))
            if line:
                made.add("line", None, str(line))
            if hunk:
                made.add("hunk", None, masked(hunk, people) if len(hunk) <= MAX_HUNK else "[OMITTED]")
            made.add("code_comment", name, said)
        elif event.what in ("closed", "reopened"):
            made.add("status", name, event.what)
            if event.what == "closed" and event.merged is not None:
                made.add("is_merged", str(event.merged), str(event.merged))
    return made


def in_window(hunk: str, line: int, start: int) -> tuple[str, int]:
    r"""Return the hunk of a comment, and its line, counted as those of the diffs are: from the first line of the window of their file.

    `start` are the lines above the window. What begins above it, or has no header, keeps GitHub's numbers.

    >>> in_window("@@ -12,3 +14 @@ def f():\n a", 14, 10), in_window("@@ -9 +9 @@\n a", 9, 10)
    (('@@ -2,3 +4 @@ def f():\n a', 4), ('@@ -9 +9 @@\n a', 9))
    """
    header = HEADER.match(hunk)
    if header is None or min(int(header[1]), int(header[3]), line or start + 1) <= start:
        return hunk, line
    old, new = int(header[1]) - start, int(header[3]) - start
    return f"@@ -{old}{header[2]} +{new}{header[4]} @@{hunk[header.end() :]}", line and line - start


def _human(events: list[Said]) -> Iterator[Event]:
    """Yield the events of people, once each; without what somebody wrote to a bot that answered next."""
    for this, after in zip(events, [*events[1:], None], strict=True):
        event, answer = this.event, after.event if after else None
        if is_bot(event.login):
            continue
        to_bot = answer is not None and answer.what == "comment" and is_bot(answer.login)
        if to_bot and event.what == "comment" and answer is not None:
            called = "@" + answer.login.lower().removesuffix("[bot]")
            if event.text.startswith("/") or called in event.text.lower():
                continue
        yield event


def _people(stated: Event, events: list[Said]) -> dict[str, str]:
    """Return the names of those who take part, by their logins in lower case: to be looked for in texts, and of segments."""
    logins = dict.fromkeys(
        login.lower()
        for login in (stated.author, *(said.event.login for said in events if said.event.what != "seen"))
        if login and not is_bot(login)
    )
    return {login: f"username_{number}" for number, login in enumerate(logins)}
