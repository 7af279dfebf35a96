"""What is decoded of an event of GHArchive: the fields that rows are made of, of the timeline and of GitHub's API, and no others.

One look at a line is enough where its type is known; two are needed where it is not, and lines of usual types are decoded many at once.
"""

from typing import Union

import msgspec

NULL = msgspec.Raw(b"null")


class User(msgspec.Struct, gc=False):
    """Who did or wrote something."""

    login: str | None = None


class License(msgspec.Struct, gc=False):
    """A licence of a repository."""

    spdx_id: str | None = None


class Named(msgspec.Struct, gc=False):
    """The repository of an event: `name` is the owner's and its own, or its own alone beside `owner`."""

    id: int | None = None
    name: str | None = None
    owner: str | User | None = None


class Repository(msgspec.Struct, gc=False):
    """A repository as a pull request or a fork states it."""

    id: int | None = None
    full_name: str | None = None
    default_branch: str | None = None
    master_branch: str | None = None
    license: License | None = None
    created_at: str | int | None = None
    language: str | None = None


class Base(msgspec.Struct, gc=False):
    """The side of a pull request that it is to be merged into."""

    sha: str | None = None
    repo: Repository | None = None


class Head(msgspec.Struct, gc=False):
    """The other side."""

    sha: str | None = None


class Thread(msgspec.Struct, gc=False):
    """An issue or a pull request."""

    number: int | None = None
    title: str | None = None
    body: str | None = None
    user: User | None = None
    created_at: str | None = None
    pull_request: msgspec.Raw = NULL  # anything but null: the issue is a pull request
    merged: bool | None = None
    base: Base | None = None
    head: Head | None = None


class Comment(msgspec.Struct, gc=False):
    """A comment or a review."""

    id: int | None = None
    body: str | None = None
    user: User | None = None
    state: str | None = None
    path: str | None = None
    diff_hunk: str | None = None
    line: int | None = None
    original_line: int | None = None
    pull_request_review_id: int | None = None
    in_reply_to_id: int | None = None
    html_url: str | None = None


class Payload(msgspec.Struct, gc=False):
    """What an event says of what happened."""

    action: str | None = None
    number: int | None = None
    issue: int | Thread | None = None
    pull_request: Thread | None = None
    comment: Comment | None = None
    review: Comment | None = None
    forkee: int | Repository | None = None


class Envelope(msgspec.Struct, kw_only=True, gc=False):
    """What all events have."""

    created_at: str
    id: str | int | None = None
    actor: str | User | None = None
    repo: Named | None = None
    repository: Named | None = None
    url: str | None = None


class Unusual(Envelope, kw_only=True, gc=False):
    """An event of any type."""

    type: str
    payload: msgspec.Raw = msgspec.Raw(b"{}")


class Kept(Envelope, kw_only=True, tag_field="type", gc=False):
    """An event that rows are made of."""

    payload: Payload = msgspec.field(default_factory=Payload)


class Skipped(msgspec.Struct, tag_field="type", gc=False):
    """An event of which nothing is kept."""


WANTED = frozenset(
    "IssuesEvent IssueCommentEvent PullRequestEvent PullRequestReviewEvent PullRequestReviewCommentEvent WatchEvent ForkEvent".split()
)
# The usual ones of which nothing is kept. Whoever is not in this list takes longer, and all events of its block with it.
OTHERS = (
    "PushEvent CreateEvent DeleteEvent GollumEvent MemberEvent PublicEvent CommitCommentEvent ReleaseEvent "
    "DiscussionEvent PullRequestReviewThreadEvent SponsorshipEvent WorkflowRunEvent "
    "DownloadEvent FollowEvent ForkApplyEvent GistEvent TeamAddEvent"  # of the timeline
).split()
KINDS = {
    kind: msgspec.defstruct(kind, [], bases=(base,), tag=kind, gc=False)
    for base, kinds in ((Kept, WANTED), (Skipped, OTHERS))
    for kind in kinds
}
NAMES = {cls: kind for kind, cls in KINDS.items() if kind in WANTED}
# One look at a line where its type is known; two, where not.
USUAL = msgspec.json.Decoder(Union[tuple(KINDS.values())])  # noqa: UP007
ENVELOPE, PAYLOAD = msgspec.json.Decoder(Unusual), msgspec.json.Decoder(Payload)
