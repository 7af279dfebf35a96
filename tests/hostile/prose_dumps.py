"""Dumps of texts that are made of a tree of files: each file that is one is a text, whose number is its place among the sorted names."""

import functools
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import papers
import posts
import wikis

from starmill.pipelines.sources.arxiv import Arxiv
from starmill.pipelines.sources.sets.reader import Sets
from starmill.pipelines.sources.source import Source
from starmill.pipelines.sources.stackexchange.reader import StackExchange
from starmill.pipelines.sources.wikipedia.reader import Wikipedia

Made = tuple[Source, Path, set[bytes]]  # the source, where its input lies, and the paths of its records
# Why there is no record of what is no regular file.
LOST = {StackExchange: "no_question", Wikipedia: "no_text", Arxiv: "no_section", Sets: "no_content"}


def texts(root: Path) -> list[str | None]:
    """Return the texts of a tree's files, None for links, pipes and what is far too large."""
    top, names = os.fsencode(root), list[bytes]()
    for base, folders, files in os.walk(top):
        links = [name for name in folders if os.path.islink(os.path.join(base, name))]
        names += [os.path.relpath(os.path.join(base, name), top) for name in (*files, *links)]
    found = list[str | None]()
    for path in (Path(root, os.fsdecode(name)) for name in sorted(names)):
        is_text = path.is_file() and not path.is_symlink() and path.stat().st_size < 10 << 20
        found.append("?" + path.read_bytes().replace(b"\0", b"").decode("latin-1") if is_text else None)
    return found


def asked(root: Path) -> Made:
    """Return questions; what is no file is an answer to none."""
    found = texts(root / "toy")
    rows = [posts.answer(1000 + n, n) if text is None else posts.question(n, text) for n, text in enumerate(found, 1)]
    posts.write(root.parent / "sites/toy/Posts.xml", rows)
    source = StackExchange(folder=str(root.parent / "sites"), index=str(root.parent / "sorted/posts"))
    return source, root.parent / "sorted", {b"questions/%d" % n for n, _ in enumerate(found, 1)}


def written(root: Path) -> Made:
    """Return pages; what is no file is one without a text. XML has no title with a control character."""
    found = texts(root / "toy")
    pages = [wikis.page(f"page {n:04}", text) for n, text in enumerate(found, 1)]
    (root.parent / "wikis").mkdir(exist_ok=True)
    (root.parent / "wikis/toy.xml.bz2").write_bytes(wikis.multistream(pages, 2, host="toy"))
    return (
        Wikipedia(folder=str(root.parent / "wikis")),
        root.parent / "wikis",
        {b"page %04d" % n for n, _ in enumerate(found, 1)},
    )


def typeset(root: Path) -> Made:
    """Return papers; what is no file is one without a section."""
    found = texts(root / "toy")
    (root.parent / "papers/toy").mkdir(parents=True, exist_ok=True)
    for n, text in enumerate(found, 1):
        made = papers.paper("no section" if text is None else papers.tex(text))
        (root.parent / f"papers/toy/paper {n:04}.gz").write_bytes(made)
    return (
        Arxiv(folder=str(root.parent / "papers")),
        root.parent / "papers",
        {b"paper %04d" % n for n, _ in enumerate(found, 1)},
    )


def told(root: Path) -> Made:
    """Return rows of a small set, of which a text is the answer; what is no file is one without."""
    found = texts(root / "toy")
    (root.parent / "sums").mkdir(exist_ok=True)
    rows = [json.dumps({"question": "?", "answer": text}) + "\n" for text in found]
    (root.parent / "sums/toy.jsonl").write_text("".join(rows))
    source = Sets(dataset="gsm8k", place=str(root.parent / "sums"), repo_name="toy")
    return source, root.parent / "sums", {b"toy/%d" % n for n, _ in enumerate(found, 1)}


def makers(part: slice) -> list[Callable[[Path, object], tuple]]:
    """Return the functions that make these dumps, as the contracts of sources call them: of what is made they want a part."""

    def of(make: Callable[[Path], Made]) -> Callable[[Path, object], tuple]:
        @functools.wraps(make)
        def made(root: Path, _: object) -> tuple:
            return make(root)[part]

        return made

    return [of(make) for make in (asked, written, typeset, told)]


def given(tree: Mapping[str, str | None]) -> dict[type[Source], dict[str, str | None]]:
    """Return what these sources give of a tree that is known, by path: the reason why there is no record, or None."""
    reasons = [tree[name] for name in sorted(tree)]
    paths = {StackExchange: "/questions/{}", Wikipedia: "/page {:04}", Arxiv: "/paper {:04}", Sets: "/toy/{}"}
    return {
        cls: {path.format(n): LOST[cls] if reason == "symlink" else reason for n, reason in enumerate(reasons, 1)}
        for cls, path in paths.items()
    }
