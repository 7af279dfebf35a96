"""StarCoder2's repository format (paper, section 5.1): a document is a repository, with or without its name and paths.

    <repo_name>R<file_sep>path1\\ncode1<file_sep>path2\\ncode2...     half of the repositories
    <file_sep>code1<file_sep>code2...                                 the others

And StarCoder's: a document is a file, and each of these stands before the code of a fifth of the files, whatever the others do.

    <reponame>R<filename>path<gh_stars>10-100\\ncode

Files come in a random order, or in one of transforms/render/order.py. Which half and which order are hashes of (seed, repository,
path), so they depend on nothing else.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import pyarrow as pa

from starmill.core import seeds
from starmill.core.document import CODE, Document, FileSpan, Piece, Special
from starmill.core.names import Seed, Share
from starmill.transforms.render.order import by_dependency
from starmill.transforms.render.pieces import document, joined, label, redacted

REPO_NAME, FILE_SEP = Special("<repo_name>"), Special("<file_sep>")
OF_A_FILE = ("<reponame>", "<filename>", "<gh_stars>")  # which StarCoder2's vocabulary has not
STARS = ((0, "0"), (10, "1-10"), (100, "10-100"), (1000, "100-1000"))  # up to so many; above: 1000+
COLUMNS = ("repo_name", "path", "content", "content_id", "language", "length_bytes", "redactions", "star_events_count")


@dataclass(frozen=True)
class Format:
    """The share of repositories that are written with their name and paths, the order of their files, and the seed.

    StarCoder2's order is `random`. `path` keeps folders together, `depth` begins with the files at the top. `dependency` puts a file behind
    those that it imports, where both are in the repository, and is else as random.
    """

    metadata_rate: Share = 0.5  # share of repositories with name and paths (StarCoder2)
    order: Literal["random", "path", "depth", "dependency"] = "random"  # of files; dependency: what is imported comes first
    unit: Literal["repository", "file"] = "repository"  # what a document of code is: StarCoder2's, or StarCoder's
    file_metadata_rate: Share = 0.2  # of files with repository, with path, with stars: each for itself (StarCoder)
    seed: Seed = 0  # of these choices and of the order of files

    def __post_init__(self) -> None:
        """Refuse what is no rate."""
        if not 0 <= self.metadata_rate <= 1:
            raise ValueError(f"metadata_rate={self.metadata_rate}: must be from 0 to 1")


def documents(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    """Yield a document for each run of rows with one repo_name (schema.DATASET), or for each row. Holds one repository in memory."""
    rows = (row for block in blocks for row in block.select(list(COLUMNS)).to_pylist())
    if options.unit == "file":
        yield from (_file(row, options) for row in rows)
        return
    for repo_name, files in groupby(rows, key=lambda row: str(row["repo_name"])):
        yield repository(repo_name, list(files), options)


def repository(repo_name: str, files: list[dict[str, Any]], options: Format) -> Document:
    """Return the document of one repository from rows with COLUMNS."""
    named = seeds.uniform(options.seed, "metadata", repo_name) < options.metadata_rate
    pieces: list[Piece] = [REPO_NAME, *joined(label(repo_name))] if named else []
    spans = []
    for file in ordered(repo_name, files, options):
        pieces.append(FILE_SEP)
        start = len(pieces)
        path = file["path"].lstrip("/")
        name = [*label(path), "\n"] if named else []  # in one piece with what follows
        pieces += joined([*name, *redacted(file["content"], file["redactions"] or [])])
        spans.append(FileSpan(path, file["content_id"], file["language"] or "", start, len(pieces)))
    sizes: dict[str, int] = {}
    for file in files:
        sizes[file["language"] or ""] = sizes.get(file["language"] or "", 0) + file["length_bytes"]
    language = min(sizes, key=lambda name: (-sizes[name], name), default="")
    return Document(CODE, repo_name, language, tuple(pieces), tuple(spans))


def sentinels(options: Format) -> tuple[str, ...]:
    """Return the special tokens of a format that StarCoder2's vocabulary has not."""
    return OF_A_FILE if options.unit == "file" else ()


def _file(file: dict[str, Any], options: Format) -> Document:
    repo_name, path = file["repo_name"], file["path"]
    stars = file["star_events_count"] or 0
    said = (label(repo_name), label(path.lstrip("/")), [next((name for most, name in STARS if stars <= most), "1000+")])
    pieces: list[Piece] = []
    for token, value in zip(OF_A_FILE, said, strict=True):
        if seeds.uniform(options.seed, f"file{token}", repo_name, path) < options.file_metadata_rate:
            pieces += [Special(token), *value]
    body = [*(["\n"] if pieces else []), *redacted(file["content"], file["redactions"] or [])]
    return document(file, CODE, [*pieces, *body], file["language"] or "")


def ordered(repo_name: str, files: Sequence[Mapping[str, Any]], options: Format) -> Sequence[Mapping[str, Any]]:
    """Return the files of a repository in the order of their document."""

    def drawn(file: Mapping[str, Any]) -> tuple[int, str]:
        return seeds.uint64(options.seed, "file_order", repo_name, file["path"]), file["path"]

    if options.order == "dependency":
        return by_dependency(files, drawn)
    keys = {"random": drawn, "path": lambda f: f["path"], "depth": lambda f: (f["path"].count("/"), f["path"])}
    return sorted(files, key=keys[options.order])


def text(document: Document) -> str:
    """Return a document as a person reads it, sentinels written out."""
    return "".join(p.token if isinstance(p, Special) else p for p in document.pieces)
