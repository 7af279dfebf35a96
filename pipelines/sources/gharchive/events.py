"""Events of GHArchive, of every era from 2011 on, as rows of the index: whose thread, when, and what of it a record is made of.

The timeline of 2011 to 2014 has no ids, actors that are texts, `repository` for `repo`, times of California, and no text of issues.
Since 2015 events are those of GitHub's API; since 2025-10-07 pull requests have no title or text.
"""

import functools
import hashlib
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from starmill.pipelines.sources.gharchive.feed import (
    ENVELOPE,
    NAMES,
    NULL,
    PAYLOAD,
    USUAL,
    WANTED,
    Envelope,
    Named,
    Payload,
    Repository,
    Thread,
)

HEAD = re.compile(r'\{"(?:id":"|repository":|created_at":|type":"|actor":)')  # how an event begins
TRIES = 8  # to find an event in a damaged line: each may look at all of it
TIME = re.compile(r"(\d{4})[-/](\d\d)[-/](\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.\d+)? ?(Z|[+-]\d\d:?\d\d)", re.ASCII)
USUAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
# Owner/name, which as a path leads nowhere else.
NAME = re.compile(r"(?!(?:\.\.?|\.git)/)[\w.-]{1,100}/(?!(?:\.\.?|\.git)\Z)[\w.-]{1,200}", re.ASCII | re.IGNORECASE)
HEADER = re.compile(r"@@ -(\d{1,9})((?:,\d{1,9})?) \+(\d{1,9})((?:,\d{1,9})?) @@", re.ASCII)  # of a hunk
THREAD = re.compile(r"/(issues|pulls?)/(\d{1,18})(?:[#/]|\Z)", re.ASCII)


class BadEvent(ValueError):
    """An event that cannot be one; the message says why."""


class Facts(msgspec.Struct, array_like=True, gc=False):
    """What an event says of a repository as a whole."""

    default_branch: str | None = None
    license: str | None = None
    created_at: str | None = None
    language: str | None = None


class Event(msgspec.Struct, array_like=True, gc=False):
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


ENCODER, EVENT = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Event)
STAR, FORK = ENCODER.encode(Event("star")), ENCODER.encode(Event("fork"))
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
    found: list[Row] = []
    return found, [*add(line, found)]


def add_all(block: bytes, count: int, found: list[Row]) -> list[tuple[int, str, int]]:
    """Add the rows of a block of `count` lines; return the line (from 1), why and the bytes of the line for each thing that is lost.

    All lines are decoded at once, which spares copying each. Where one is no usual event, or is two of them, each is looked at alone.
    """
    before = len(found)
    try:
        events = USUAL.decode_lines(block)
        if len(events) == count:
            for event in events:
                if kind := NAMES.get(type(event)):
                    _rows(kind, event, event.payload, found)
            return []
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadEvent):
        pass
    del found[before:]
    lines = enumerate(block.split(b"\n"), 1)
    return [(n, detail, len(line)) for n, line in lines if line for detail in add(line, found)]


def add(line: bytes, found: list[Row]) -> Sequence[str]:
    """Add the rows of a line to those that were found; return for each thing in it that is lost, why."""
    try:
        event = USUAL.decode(line)
        if kind := NAMES.get(type(event)):
            _rows(kind, event, event.payload, found)
        return ()
    except (msgspec.ValidationError, RecursionError):  # of another type, or with a field that is not as it should be
        pass
    except (msgspec.DecodeError, UnicodeDecodeError, BadEvent):
        return _mended(line, found)
    try:
        _of(line, found)
        return ()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, BadEvent):
        return _mended(line, found)


def _of(line: bytes, found: list[Row]) -> None:
    event = ENVELOPE.decode(line)
    if event.type in WANTED:
        _rows(event.type, event, PAYLOAD.decode(event.payload), found)


def _mended(line: bytes, found: list[Row]) -> list[str]:
    objects, lost = _objects(line)
    for event in objects:
        try:
            # What stdlib's json takes and UTF-8 does not are lone surrogates.
            text = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace")
            _of(text, found)
        except (msgspec.DecodeError, RecursionError, BadEvent) as error:
            lost.append(str(error)[:200])
    return lost


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


def _rows(kind: str, event: Envelope, payload: Payload, found: list[Row]) -> None:
    name, key = _repository(event.repo or event.repository)
    time, own = instant(event.created_at), "" if event.id is None else str(event.id)
    if kind == "WatchEvent":
        found.append(_row(key, "", time, own, name, STAR))
    elif kind == "ForkEvent":
        made = [_row(key, "", time, own, name, FORK)]
        if (
            isinstance(forkee := payload.forkee, Repository)
            and forkee.id is not None
            and NAME.fullmatch(forkee.full_name or "")
        ):
            made.append(_row(str(forkee.id), "", time, own, str(forkee.full_name), _facts(forkee)))
        found += made  # an event is taken whole, or not at all
    else:
        thread, stated = _thread(kind, event, payload)
        login = event.actor if isinstance(event.actor, str) else (event.actor and event.actor.login) or ""
        value = _event(kind, payload, login)
        if stated is not None:
            value.title, value.body, value.merged = stated.title, stated.body or "", stated.merged
            if stated.user:
                value.author = stated.user.login or ""
            if stated.created_at:
                value.opened_at = instant(stated.created_at)
            if stated.head:
                value.head = stated.head.sha or ""
            if stated.base:
                value.base, base = stated.base.sha or "", stated.base.repo
                if base and base.default_branch and str(base.id) == key:
                    found.append(_row(key, "", time, own, name, _facts(base)))
        if payload.action == "merged":
            value.merged = True
        found.append(_row(key, thread, time, own, name, ENCODER.encode(value)))


def _row(repo: str, thread: str, time: str, own: str, name: str, data: bytes) -> Row:
    # What Row does with six arguments takes twice as long.
    return tuple.__new__(Row, (repo, thread, time, own or hashlib.sha256(data).hexdigest()[:24], name, data))


def _repository(found: Named | None) -> tuple[str, str]:
    if found is None or found.name is None:
        raise BadEvent("no repository")
    name = _name(found.name, found.owner if isinstance(found.owner, str) else "")
    return name, name if found.id is None else str(found.id)


@functools.lru_cache(maxsize=1 << 16)
def _name(name: str, owner: str) -> str:
    name = name if "/" in name else f"{owner}/{name}"
    if not NAME.fullmatch(name):
        raise BadEvent(f"repository {name[:100]!r} is no owner/name")
    return name


def _facts(of: Repository) -> bytes:
    created = of.created_at if isinstance(of.created_at, str) else None
    if created is not None and not USUAL_TIME.fullmatch(created):
        created = instant(created) if TIME.fullmatch(created) else None
    spdx = of.license.spdx_id if of.license else None
    facts = Facts(of.default_branch or of.master_branch, spdx, created, of.language)
    return ENCODER.encode(Event("facts", facts=facts))


def _thread(kind: str, event: Envelope, payload: Payload) -> tuple[str, Thread | None]:
    issue = payload.issue if isinstance(payload.issue, Thread) else None
    stated = payload.pull_request or issue
    pull = kind.startswith("PullRequest") or bool(
        issue and issue.pull_request is not NULL and bytes(issue.pull_request) != b"null"
    )
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


def _event(kind: str, payload: Payload, login: str) -> Event:
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
    header, last = HEADER.match(hunk), max(map(hunk.rfind, ("\n ", "\n+", "\n-")))
    if header is None or last < 0:
        return 0
    number, sign = (header[1], "\n-") if hunk[last + 1] == "-" else (header[3], "\n+")
    return int(number) + hunk.count("\n ") + hunk.count(sign) - 1


@functools.lru_cache(maxsize=1 << 16)  # events of one second follow each other
def instant(said: str) -> str:
    """Return a time as UTC. Raises BadEvent for what is none.

    >>> instant("2012/03/10 22:36:55 -0800"), instant("2012-06-14T15:01:46-07:00")
    ('2012-03-11T06:36:55Z', '2012-06-14T22:01:46Z')
    """
    return said if USUAL_TIME.fullmatch(said) else _in_utc(said)


def _in_utc(said: str) -> str:
    match = TIME.fullmatch(said)
    if not match:
        raise BadEvent(f"time {said[:40]!r}")
    *parts, zone = match.groups()
    try:
        when = datetime.fromisoformat(
            "{}-{}-{}T{}:{}:{}".format(*parts) + (zone if zone == "Z" or ":" in zone else f"{zone[:3]}:{zone[3:]}")
        )
        return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        raise BadEvent(f"time {said[:40]!r}") from None
