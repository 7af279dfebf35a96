"""Events of GHArchive, of every era from 2011 on, as rows of the index: whose thread, when, and what of it a record is made of.

The timeline of 2011 to 2014 has no ids, actors that are texts, `repository` for `repo`, times of California, and no text of issues.
Since 2015 events are those of GitHub's API; since 2025-10-07 pull requests have no title or text.
"""

import functools
import hashlib
import json
import re
from datetime import UTC, datetime
from typing import Any, NamedTuple, Union

import msgspec

HEAD = re.compile(r'\{"(?:id":"|repository":|created_at":|type":"|actor":)')  # how an event begins
TRIES = 8  # to find an event in a damaged line: each may look at all of it
TIME = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)? ?(Z|[+-]\d\d:?\d\d)", re.ASCII)
NAME = re.compile(r"[\w.-]{1,100}/[\w.-]{1,200}", re.ASCII)
HEADER = re.compile(r"@@ -(\d{1,9})((?:,\d{1,9})?) \+(\d{1,9})((?:,\d{1,9})?) @@", re.ASCII)  # of a hunk
THREAD = re.compile(r"/(issues|pulls?)/(\d{1,18})(?:[#/]|\Z)", re.ASCII)


NULL = msgspec.Raw(b"null")


class BadEvent(ValueError):
    """An event that cannot be one; the message says why."""


class Facts(msgspec.Struct, array_like=True):
    """What an event says of a repository as a whole."""

    default_branch: str | None = None
    license: str | None = None
    created_at: str | None = None
    language: str | None = None


class Event(msgspec.Struct, array_like=True):
    """What the index keeps of an event. `what`: opened, closed, reopened, comment, review, hunk, seen, star, fork or facts.

    `title`, `body`, `author` and `opened_at` are the thread's, as the event states them.
    """

    what: str
    login: str = ""
    text: str = ""
    title: str | None = None
    body: str = ""
    author: str = ""
    opened_at: str = ""
    own: int = 0  # the id of the comment or of the review
    review: int = 0  # the review that a comment is part of
    reply: int = 0  # the comment that it answers
    path: str = ""
    line: int = 0
    hunk: str = ""
    state: str = ""  # of a review
    base: str = ""  # commits, where a pull request states them
    head: str = ""
    merged: bool | None = None
    facts: Facts | None = None


class Row(NamedTuple):
    """One row of the index: a repository by its id, or by its name where no id is known; `thread` is `issues/17`, or empty."""

    repo: str
    thread: str
    time: str  # UTC, 2015-01-01T00:00:06Z
    id: str
    name: str
    data: bytes


class _User(msgspec.Struct):
    login: str | None = None


class _License(msgspec.Struct):
    spdx_id: str | None = None


class _Repository(msgspec.Struct):
    id: int | None = None
    name: str | None = None
    owner: str | _User | None = None
    full_name: str | None = None
    default_branch: str | None = None
    master_branch: str | None = None
    license: _License | None = None
    created_at: str | int | None = None
    language: str | None = None


class _End(msgspec.Struct):
    sha: str | None = None
    repo: _Repository | None = None


class _Thread(msgspec.Struct):
    number: int | None = None
    title: str | None = None
    body: str | None = None
    user: _User | None = None
    created_at: str | None = None
    pull_request: msgspec.Raw = NULL  # anything but null: the issue is a pull request
    merged: bool | None = None
    base: _End | None = None
    head: _End | None = None


class _Comment(msgspec.Struct):
    id: int | None = None
    body: str | None = None
    user: _User | None = None
    state: str | None = None
    path: str | None = None
    diff_hunk: str | None = None
    line: int | None = None
    original_line: int | None = None
    pull_request_review_id: int | None = None
    in_reply_to_id: int | None = None
    html_url: str | None = None


class _Payload(msgspec.Struct):
    action: str | None = None
    number: int | None = None
    issue: int | _Thread | None = None
    pull_request: _Thread | None = None
    comment: _Comment | None = None
    review: _Comment | None = None
    forkee: int | _Repository | None = None


class _Envelope(msgspec.Struct, kw_only=True):
    created_at: str
    id: str | int | None = None
    actor: str | _User | None = None
    repo: _Repository | None = None
    repository: _Repository | None = None
    url: str | None = None


class _Any(_Envelope, kw_only=True):
    type: str
    payload: msgspec.Raw = msgspec.Raw(b"{}")


class _Wanted(_Envelope, kw_only=True, tag_field="type"):
    payload: _Payload = msgspec.field(default_factory=_Payload)


class _Other(msgspec.Struct, tag_field="type"):
    pass


WANTED = frozenset(
    "IssuesEvent IssueCommentEvent PullRequestEvent PullRequestReviewEvent PullRequestReviewCommentEvent WatchEvent ForkEvent".split()
)
# The usual ones of which nothing is kept. Whoever is not in this list takes a little longer.
OTHERS = "PushEvent CreateEvent DeleteEvent GollumEvent MemberEvent PublicEvent CommitCommentEvent ReleaseEvent".split()
KINDS = {
    kind: msgspec.defstruct(kind, [], bases=(base,), tag=kind)
    for base, kinds in ((_Wanted, WANTED), (_Other, OTHERS))
    for kind in kinds
}
NAMES = {cls: kind for kind, cls in KINDS.items() if kind in WANTED}
# One look at a line where its type is known; two, where not.
USUAL = msgspec.json.Decoder(Union[tuple(KINDS.values())])  # noqa: UP007
ENVELOPE, PAYLOAD = msgspec.json.Decoder(_Any), msgspec.json.Decoder(_Payload)
ENCODER, EVENT = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Event)
LENIENT = json.JSONDecoder(parse_constant=lambda _: None, parse_int=lambda digits: int(digits) if len(digits) < 19 else None)
MADE = {"opened": "opened", "closed": "closed", "reopened": "reopened", "merged": "closed"}


def rows(line: bytes) -> tuple[list[Row], list[str]]:
    r"""Return the rows of a line, and for each thing in it that is lost, why. Most lines are one event, and many give no row.

    >>> watch = b'{"id":"1","type":"WatchEvent","actor":{"login":"a"},"repo":{"id":7,"name":"o/r"},"created_at":"2015-01-01T00:00:06Z"}'
    >>> [(row.repo, row.name, row.time) for row in rows(watch)[0]]
    [('7', 'o/r', '2015-01-01T00:00:06Z')]
    >>> rows(watch[:40])
    ([], ['no whole event'])
    """
    try:
        event = USUAL.decode(line)
        kind = NAMES.get(type(event))
        return (_rows(kind, event, event.payload) if kind else []), []
    except (msgspec.ValidationError, RecursionError):  # of another type, or with a field that is not as it should be
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, BadEvent):
        return _mended(line)
    try:
        return _of(line), []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadEvent):
        return _mended(line)


def _of(line: bytes) -> list[Row]:
    event = ENVELOPE.decode(line)
    return _rows(event.type, event, PAYLOAD.decode(event.payload)) if event.type in WANTED else []


def _mended(line: bytes) -> tuple[list[Row], list[str]]:
    found: list[Row] = []
    objects, lost = _objects(line)
    for event in objects:
        try:
            # What stdlib's json takes and UTF-8 does not are lone surrogates.
            text = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
            found += _of(text)
        except (msgspec.DecodeError, RecursionError, BadEvent) as error:
            lost.append(str(error)[:200])
    return found, lost


def _objects(line: bytes) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the whole events in a line that is padded with NULs, glued to another, or has lost its head or its tail."""
    text = line.replace(b"\0", b"").decode("utf-8", "replace").strip()
    found: list[dict[str, Any]] = []
    at, tries, lost = 0, 0, False
    while at < len(text):
        try:
            value, at = LENIENT.raw_decode(text, at)
            if isinstance(value, dict):
                found.append(value)
            else:
                lost = True
            while at < len(text) and text[at] in " \t\r":
                at += 1
        except (ValueError, RecursionError):
            lost, tries = True, tries + 1
            begins = HEAD.search(text, at + 1)
            if not begins or tries > TRIES:
                break
            at = begins.start() if tries < TRIES else max(at + 1, max(m.start() for m in HEAD.finditer(text, at + 1)))
    return found, ["no whole event"] if lost or not found else []


def _rows(kind: str, event: _Envelope, payload: _Payload) -> list[Row]:
    name, key = _repository(event.repo or event.repository)
    time = instant(event.created_at)
    login = event.actor if isinstance(event.actor, str) else (event.actor and event.actor.login) or ""
    found: list[Row] = []

    def add(repo: str, thread: str, name: str, value: Event) -> None:
        data = ENCODER.encode(value)
        own = str(event.id) if event.id is not None else hashlib.sha256(data).hexdigest()[:24]
        found.append(Row(repo, thread, time, own, name, data))

    if kind == "WatchEvent":
        add(key, "", name, Event("star"))
    elif kind == "ForkEvent":
        add(key, "", name, Event("fork"))
        if isinstance(forkee := payload.forkee, _Repository) and forkee.id is not None and _is_name(forkee.full_name or ""):
            add(str(forkee.id), "", str(forkee.full_name), Event("facts", facts=_facts(forkee)))
    else:
        thread, stated = _thread(kind, event, payload)
        value = _event(kind, payload, login)
        if stated is not None:
            value.title, value.body = stated.title, stated.body or ""
            value.author, value.merged = (stated.user and stated.user.login) or "", stated.merged
            value.opened_at = instant(stated.created_at) if stated.created_at else ""
            value.base, value.head = ((end and end.sha) or "" for end in (stated.base, stated.head))
            base = stated.base and stated.base.repo
            if base and base.default_branch and str(base.id) == key:
                add(key, "", name, Event("facts", facts=_facts(base)))
        if payload.action == "merged":
            value.merged = True
        add(key, thread, name, value)
    return found


def _repository(found: _Repository | None) -> tuple[str, str]:
    if found is None or found.name is None:
        raise BadEvent("no repository")
    name = _name(found.name, found.owner if isinstance(found.owner, str) else "")
    return name, str(found.id) if found.id is not None else name


# Both are asked for the same again and again, some hundred thousand times an hour.
@functools.lru_cache(maxsize=1 << 16)
def _name(name: str, owner: str) -> str:
    name = name if "/" in name else f"{owner}/{name}"
    if not _is_name(name):
        raise BadEvent(f"repository {name[:100]!r} is no owner/name")
    return name


def _is_name(name: str) -> bool:
    """Say whether a text is owner/name, and as a path leads nowhere else."""
    return NAME.fullmatch(name) is not None and {".", "..", ".git"}.isdisjoint(name.lower().split("/"))


def _facts(of: _Repository) -> Facts:
    created = of.created_at if isinstance(of.created_at, str) and TIME.fullmatch(of.created_at) else None
    spdx = of.license.spdx_id if of.license else None
    return Facts(of.default_branch or of.master_branch, spdx, created and instant(created), of.language)


def _thread(kind: str, event: _Envelope, payload: _Payload) -> tuple[str, _Thread | None]:
    issue = payload.issue if isinstance(payload.issue, _Thread) else None
    stated = payload.pull_request or issue
    pull = kind.startswith("PullRequest") or bool(issue and bytes(issue.pull_request) != b"null")
    number = (stated and stated.number) or payload.number
    if not number:
        of = payload.comment or payload.review
        placed = [m for url in (event.url, of and of.html_url) if url and (m := THREAD.search(url))]
        if not placed:
            raise BadEvent("no number of its issue or pull request")
        pull, number = pull or placed[0][1] != "issues", int(placed[0][2])
    if number < 0:
        raise BadEvent(f"number {number} of its issue or pull request")
    return f"{'pull' if pull else 'issues'}/{number}", stated


def _event(kind: str, payload: _Payload, login: str) -> Event:
    if kind in ("IssuesEvent", "PullRequestEvent"):
        return Event(MADE.get(payload.action or "", "seen"), login)
    of = payload.review if kind == "PullRequestReviewEvent" else payload.comment
    if of is None or payload.action not in (None, "created", "submitted"):
        return Event("seen", login)
    value = Event("comment", (of.user and of.user.login) or login, of.body or "", own=of.id or 0)
    if kind == "PullRequestReviewEvent":
        value.what, value.state = "review", (of.state or "").lower()
    elif kind == "PullRequestReviewCommentEvent":
        value.what, value.path, value.hunk = "hunk", of.path or "", of.diff_hunk or ""
        value.line = of.line or of.original_line or commented(value.hunk)
        value.review, value.reply = of.pull_request_review_id or 0, of.in_reply_to_id or 0
    return value


def commented(hunk: str) -> int:
    r"""Return the line that a comment is about, which is the last of its hunk; 0 of a text without a header.

    Before 2020 events have `original_position` alone, which counts the lines of the diff of the whole file.

    >>> commented("@@ -11,7 +12,7 @@ f()\n x\n-y\n+z"), commented("@@ -11 +12,0 @@\n-y"), commented("y")
    (13, 11, 0)
    """
    header = HEADER.match(hunk)
    shown = [line for line in hunk.rstrip("\n").split("\n")[1:] if line[:1] in (" ", "+", "-")]
    if header is None or not shown:
        return 0
    number, signs = (header[1], " -") if shown[-1][0] == "-" else (header[3], " +")
    return int(number) + sum(line[0] in signs for line in shown) - 1


@functools.lru_cache(maxsize=1 << 16)
def instant(said: str) -> str:
    """Return a time as UTC. Raises BadEvent for what is none.

    >>> instant("2012/03/10 22:36:55 -0800"), instant("2012-06-14T15:01:46-07:00")
    ('2012-03-11T06:36:55Z', '2012-06-14T22:01:46Z')
    """
    match = TIME.fullmatch(said)
    if not match:
        raise BadEvent(f"time {said[:40]!r}")
    if match[7] == "Z" and len(said) == 20 and said[10] == "T" and said[4] == "-":
        return said
    *parts, zone = match.groups()
    try:
        when = datetime.fromisoformat(
            "{}-{}-{}T{}:{}:{}".format(*parts) + (zone if zone == "Z" or ":" in zone else f"{zone[:3]}:{zone[3:]}")
        )
        return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        raise BadEvent(f"time {said[:40]!r}") from None
