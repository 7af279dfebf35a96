"""What the columns of a table are to a record: roles, well-known names, the maps of known data sets; and what a row is.

A row of DATASETS is what a data set takes. Its names are those of the data set's card.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, NamedTuple, get_args

import msgspec

from starmill.core.swhid import is_content

# A column, or a field of a struct in it: `github_metadata.stars`.
ColumnName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[^\x00-\x1f\x7f\ud800-\udfff]{1,300}\Z", description="a column, or a field of one: `metadata.stars`"
    ),
]
# What a column may be. `content_id` (git's SHA-1 of the blob) and `blob_id` (SHA-1 of the bytes) are compared with the content;
# `reason` says why a row has none. The others are columns of schema.RECORDS: the repository's, and the `parent` of a rewritten text.
Fact = Literal[
    "directory_id",
    "revision_id",
    "snapshot_id",
    "branch_name",
    "visit_date",
    "revision_date",
    "committer_date",
    "github_id",
    "star_events_count",
    "fork_events_count",
    "gha_license_id",
    "gha_created_at",
    "gha_language",
    "parent",
]
Role = Literal["content", "path", "repo_name", "content_id", "blob_id", "reason"] | Fact

NUMBERS = frozenset(("github_id", "star_events_count", "fork_events_count"))
DATES = frozenset(("visit_date", "revision_date", "committer_date", "gha_created_at"))
NAMES = frozenset(("path", "repo_name"))  # labels, whatever their bytes
# What a role is called where neither the recipe nor a data set says; the first that the table has.
WELL_KNOWN: Mapping[str, tuple[str, ...]] = {
    "content": ("content", "text", "code"),
    "path": ("path", "file_path", "file_name", "filename", "max_stars_repo_path"),
    "repo_name": ("repo_name", "repository_name", "repo", "max_stars_repo_name"),
    "content_id": ("content_id",),
    "blob_id": ("blob_id",),
}


@dataclass(frozen=True)
class Dataset:
    """The columns of a known data set. `files`: the column with a list of a repository's files, where a row is a repository.

    `stored`: it has ids, and its contents lie in a store.
    """

    columns: Mapping[str, str]
    files: str = ""
    optional: Collection[str] = field(default=())  # roles whose column a part of the data set may lack
    mismatch: Literal["drop", "keep"] = "drop"
    stored: bool = False


# What both forms of The Stack v2 say of a repository, in columns that are called as the roles are.
_STACK_V2: tuple[Fact, ...] = tuple(name for name in get_args(Fact) if name != "parent")
_IDS_V2 = ("blob_id", "content_id", "path")

DATASETS: Mapping[str, Dataset] = {
    # bigcode/the-stack and -dedup. Its hexsha is left out: the content is text, decoded by rules that the card does not say.
    "stack-v1": Dataset(
        {
            "content": "content",
            "path": "max_stars_repo_path",
            "repo_name": "max_stars_repo_name",
            "revision_id": "max_stars_repo_head_hexsha",
            "star_events_count": "max_stars_count",
        },
        optional=("revision_id", "star_events_count"),
    ),
    # bigcode/the-stack-v2 and -dedup: a row a file. Encoding, language and licences of a row are not read: they are measured again.
    "stack-v2": Dataset(
        {name: name for name in (*_IDS_V2, "repo_name", *_STACK_V2)},
        optional=_STACK_V2,
        stored=True,
    ),
    # bigcode/the-stack-v2-train-full-ids and -smol-ids: a row a repository
    "stack-v2-train": Dataset(
        {name: f"files.{name}" for name in _IDS_V2} | {name: name for name in ("repo_name", *_STACK_V2)},
        files="files",
        optional=_STACK_V2,
        stored=True,
    ),
    # bigcode/starcoderdata
    "starcoderdata": Dataset(
        {
            "content": "content",
            "path": "max_stars_repo_path",
            "repo_name": "max_stars_repo_name",
            "star_events_count": "max_stars_count",
        },
        optional=("star_events_count",),
    ),
    # HuggingFaceCode/stack-v3-train. E-mails and keys in its contents are redacted, and so no id of such a file is that of its content.
    "stack-v3": Dataset(
        {
            "content": "files.content",
            "path": "files.file_path",
            "content_id": "files.content_id",
            "repo_name": "repo_path",
            "github_id": "repo_id",
            "revision_id": "commit_id",
            "branch_name": "github_metadata.branch",
            "star_events_count": "github_metadata.stars",
            "fork_events_count": "github_metadata.forks",
            "gha_created_at": "github_metadata.repo_created_at",
        },
        files="files",
        optional=("github_id", "revision_id", "branch_name", "star_events_count", "fork_events_count", "gha_created_at"),
        mismatch="keep",
    ),
    # bigcode/starcoder2data-extras: texts without a repository or a path
    "starcoder2data-extras": Dataset({"content": "content"}),
}
DatasetName = Literal["stack-v1", "stack-v2", "stack-v2-train", "stack-v3", "starcoderdata", "starcoder2data-extras"]


class WrongType(ValueError):
    """A value that its role cannot have; the message names both."""


def value(role: str, found: Any) -> Any:
    """Return a value as its role wants it: bytes for a name or content, else what its column of schema.RECORDS holds; None stays None.

    A date is a moment, ISO 8601 text, or seconds since 1970; one that a column cannot hold is None. Raises WrongType.

    >>> value("star_events_count", 7.0), value("path", "a.py"), value("gha_created_at", "2015-01-01T00:00:00Z")
    (7, b'a.py', datetime.datetime(2015, 1, 1, 0, 0))
    """
    if found is None:
        return None
    try:
        if role in NUMBERS:
            return _number(found)
        if role in DATES:
            return _date(found)
        data = found if isinstance(found, bytes) else found.encode("utf-8", "surrogatepass" if role in NAMES else "strict")
        if role == "parent" and not is_content(data.decode()):
            raise ValueError
        return data if role in NAMES or role == "content" else data.decode()
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise WrongType(f"{role}: {found!r:.200} is no {_word(role)}") from None


def _number(found: Any) -> int:
    if isinstance(found, bool) or int(found) != found or not -(2**63) <= found < 2**63:
        raise ValueError
    return int(found)


def _date(found: Any) -> datetime | None:
    if isinstance(found, bytes):
        found = found.decode()
    if isinstance(found, str):
        found = datetime.fromisoformat(found)
    elif isinstance(found, int | float) and not isinstance(found, bool):
        # Beyond what a 64-bit count of nanoseconds holds, it is no date; the column has null there.
        found = datetime.fromtimestamp(found, UTC) if abs(found) < 9_000_000_000 else datetime.max
    elif isinstance(found, date) and not isinstance(found, datetime):
        found = datetime(found.year, found.month, found.day)
    if not isinstance(found, datetime):
        raise TypeError
    plain = found.astimezone(UTC).replace(tzinfo=None) if found.tzinfo else found
    return plain if 1678 <= plain.year <= 2261 else None


def _word(role: str) -> str:
    words = {"parent": "SWHID of a content, swh:1:cnt:<40 hexadecimal digits>"}
    return "number of 64 bits" if role in NUMBERS else "date" if role in DATES else words.get(role, "text")


@dataclass(frozen=True)
class Columns:
    """Which columns are read: for each role the names that it may have, the first that is there counts.

    `required`: roles whose column must be there. `files`: the list of a repository's files, where a row is a repository. `stored`: the
    contents are fetched by their `blob_id`.
    """

    names: Mapping[str, Sequence[str]]
    required: frozenset[str]
    files: str = ""
    stored: bool = False

    def without(self, *roles: str) -> "Columns":
        """Return the same for other roles than these."""
        names = {role: names for role, names in self.names.items() if role not in roles}
        return Columns(names, self.required - {*roles}, self.files, self.stored)

    def inside(self, name: str) -> str:
        """Return the name of a field of a file, or nothing for what is the row's."""
        return name.removeprefix(f"{self.files}.") if self.files and name.startswith(f"{self.files}.") else ""


class Row(NamedTuple):
    """One row, by role: what it says itself, and of each of its files."""

    number: int
    values: dict[str, Any]
    files: Iterable[dict[str, Any]]


class Bad(NamedTuple):
    """What is no row. Without a `number` it stands for several."""

    number: int | None
    reason: str
    detail: str
    size: int = 0


class TooLarge(NamedTuple):
    """A content that is not taken out of its batch."""

    size: int


class MissingColumn(ValueError):
    """A table without a column that it must have."""
