"""A training document before tokenization: text and sentinels kept apart.

Keeping them apart is what makes a literal `<fim_prefix>` in a source file harmless: only a `Special` ever becomes a special
token, and text never does.
"""

from dataclasses import dataclass

CODE = "code"  # the kind of a document that is a repository's files


@dataclass(frozen=True, slots=True)
class Special:
    """A special token of the vocabulary, by its text (`<file_sep>`)."""

    token: str


Piece = str | Special


@dataclass(frozen=True, slots=True)
class FileSpan:
    """The pieces [start, end) of a document that come from one file: its path line, if any, and its code."""

    path: str
    content_id: str
    language: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Document:
    """One document: what ends with `<|endoftext|>` (which is not among the pieces). Its `kind` is CODE for repositories.

    >>> file = FileSpan("/a.py", "00" * 20, "Python", 1, 3)
    >>> document = Document(CODE, "me/project", "Python", (Special("<file_sep>"), "a.py", "x = 1"), (file,))
    >>> document.pieces[file.start : file.end]
    ('a.py', 'x = 1')
    """

    kind: str
    repo_name: str
    language: str
    pieces: tuple[Piece, ...]
    files: tuple[FileSpan, ...]
