"""Hours of GHArchive for tests: events of every era as their files hold them, of people and repositories that do not exist."""

import gzip
import json
from pathlib import Path
from typing import Any

SHARED = Path(__file__).resolve().parents[3] / "shared/data/gharchive"
AUTHOR, OTHER = "ann", "bob-b"


def event(
    kind: str, payload: dict[str, Any], time: str, id_: int, login: str = AUTHOR, repo: tuple[int, str] = (7, "me/toy")
) -> dict:
    """An event of the API of 2015 and later."""
    return {
        "id": str(id_),
        "type": kind,
        "actor": {"id": 1, "login": login},
        "repo": {"id": repo[0], "name": repo[1]},
        "payload": payload,
        "public": True,
        "created_at": f"2015-01-01T{time}Z",
    }


def issue(
    number: int, title: str | None = "It crashes", body: str | None = "At start.", login: str = AUTHOR, **more: Any
) -> dict:
    """What an event says of an issue."""
    return {
        "number": number,
        "title": title,
        "body": body,
        "user": {"login": login},
        "created_at": "2015-01-01T00:00:00Z",
        **more,
    }


def opened(number: int, id_: int, time: str = "00:00:00", **of: Any) -> dict:
    """An issue that is opened."""
    return event("IssuesEvent", {"action": "opened", "issue": issue(number, **of)}, time, id_)


def comment(number: int, id_: int, text: str, login: str = OTHER, time: str = "00:10:00", **of: Any) -> dict:
    """A comment on an issue, which repeats the issue."""
    said = {"id": 1000 + id_, "body": text, "user": {"login": login}}
    return event("IssueCommentEvent", {"action": "created", "issue": issue(number, **of), "comment": said}, time, id_, login)


def timeline(kind: str, payload: dict[str, Any], url: str, **repository: Any) -> dict:
    """An event of the timeline before 2015."""
    of = {"name": "old", "owner": "me", **repository}
    said = {"repository": of, "actor_attributes": {"login": AUTHOR}, "created_at": "2012-06-14T15:01:46-07:00", "public": True}
    return {**said, "actor": AUTHOR, "payload": payload, "url": f"https://github.com/me/old/{url}", "type": kind}


def line(of: dict[str, Any]) -> bytes:
    """An event as its line."""
    return json.dumps(of, separators=(",", ":")).encode()


def hour(place: Path, *events: dict[str, Any] | bytes) -> Path:
    """Write an hour."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(gzip.compress(b"".join((of if isinstance(of, bytes) else line(of)) + b"\n" for of in events), 1, mtime=0))
    return place
