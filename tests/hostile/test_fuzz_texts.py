"""Fuzz targets of what reads texts of the web: hours of GHArchive, posts, wikis, papers, documentation, small sets."""

import bz2
import gzip
import io
from collections.abc import Callable
from pathlib import Path

import hours
import papers
import posts
import pytest
import wikis
from fuzz import Target, fuzz

from starmill.pipelines.sources.arxiv import Arxiv
from starmill.pipelines.sources.documentation.reader import Documentation
from starmill.pipelines.sources.gharchive.events import Row, add_all, rows
from starmill.pipelines.sources.gharchive.hours import NoEvents, blocks
from starmill.pipelines.sources.gharchive.reader import GHArchive
from starmill.pipelines.sources.sets.reader import Sets
from starmill.pipelines.sources.source import Limits, Source
from starmill.pipelines.sources.stackexchange.reader import StackExchange
from starmill.pipelines.sources.wikipedia.reader import Wikipedia

LIMITS = Limits(max_file_bytes=1 << 20, max_files=2000, max_names_bytes=1 << 20, max_inflated_bytes=64 << 20)


def reads(
    name: str, source: Callable[[Path], Source], squeeze: Callable[[bytes], bytes] = bytes
) -> Callable[[bytes, Path], object]:
    """Return what reads a dump of one damaged file: every record has its segments in a text, and what is lost says why."""

    def read(data: bytes, folder: Path) -> object:
        place = folder / "dump" / name
        place.parent.mkdir(parents=True)
        place.write_bytes(squeeze(data))
        of = source(folder)
        for planned in of.plan():
            snapshot, found = of.read(planned, LIMITS)
            for entry in found:
                assert (entry.data is None) == (entry.reason is not None)
                if entry.segments is not None:  # else ingest decodes it, as a file
                    size = len((entry.data or b"").decode())
                    assert all(0 <= s["start"] <= s["end"] <= size for s in entry.segments)
            snapshot.columns()
        return None

    return read


def at_once(data: bytes, folder: Path) -> object:
    """Read the lines of an hour at once, and each alone: the same rows, and the same is lost."""
    try:
        parts = [part for part in blocks(io.BytesIO(data)) if isinstance(part, bytes)]
    except NoEvents:
        return None
    for part in parts:
        lines = part.removesuffix(b"\n").split(b"\n")
        alone = [rows(line) if line else ([], []) for line in lines]
        found: list[Row] = []
        lost = add_all(part, len(lines), found)
        assert found == [row for made, _ in alone for row in made]
        assert [(n, said) for n, said, _ in lost] == [(n, said) for n, (_, told) in enumerate(alone, 1) for said in told]
    return None


EVENTS = [hours.opened(3, 1), hours.comment(3, 2, "Why?"), hours.event("PushEvent", {"size": 1}, "00:00:01", 3),
          hours.timeline("WatchEvent", {"action": "started"}, "")]  # fmt: skip
HOUR = b"\n".join(map(hours.line, EVENTS)) + b"\n"
SITE = posts.dump([posts.question(1, "<p>Why?</p>"), posts.answer(2, 1)])
WIKI = wikis.multistream(
    [wikis.page("Ada", "'''Ada''' {{convert|5|km}} [[a|b]] <ref>x</ref> {| \n| c \n|}\n== H ==\n* one")], 1, host="toy"
)
PAPER = papers.tex("Areas \\eg{} are \\textbf{wide}. % no\n\\begin{equation}x\\end{equation}")
MANUAL = b".TH TOY 1\n.SH NAME\ntoy \\- counts \\fBshapes\\fP\n.TP\n.B \\-a\nAll.\n.de XX\n..\n.nf\nx\n.fi\n"
MDOC = b".Dd May 1, 2020\n.Dt TOY 1\n.Os\n.Sh NAME\n.Nm toy\n.Nd counts\n.Bl -tag\n.It Fl a Ar file\nAll.\n.El\n"
PAGE = b"<nav>Home</nav><main><h1>a</h1><p>b <code>c</code></p><table><tr><td>d</td></tr></table><pre>e</pre></main>"
TARGETS = {
    "hour at once": Target(lambda _: [HOUR], at_once, 1000),
    "hour": Target(
        lambda _: [HOUR], reads("2015-01-01-0.json", lambda f: GHArchive(hours=str(f / "dump"), index=str(f / "i"))), 150
    ),
    "hour in gzip": Target(
        lambda _: [gzip.compress(HOUR, mtime=0) * 2],
        reads("0.json.gz", lambda f: GHArchive(hours=str(f / "dump"), index=str(f / "i"))),
    ),
    "posts": Target(
        lambda _: [SITE], reads("toy/Posts.xml", lambda f: StackExchange(folder=str(f / "dump"), index=str(f / "i")))
    ),
    "wiki": Target(
        lambda _: [bz2.decompress(WIKI)], reads("toy.xml.bz2", lambda f: Wikipedia(folder=str(f / "dump")), bz2.compress), 300
    ),
    "wiki in bzip2": Target(lambda _: [WIKI], reads("toy.xml.bz2", lambda f: Wikipedia(folder=str(f / "dump")))),
    "paper": Target(
        lambda _: [PAPER.encode()], reads("2301.00001.gz", lambda f: Arxiv(folder=str(f / "dump")), gzip.compress), 300
    ),
    "set": Target(
        lambda _: [b'{"question": "6 * 7?", "answer": "42"}\n' * 3],
        reads("train.jsonl", lambda f: Sets(dataset="gsm8k", place=str(f / "dump"))),
    ),
    **{
        name: Target(
            lambda _, example=example: [example],  # type: ignore[misc]
            reads(f"toy/{path}", lambda f: Documentation(folder=str(f / "dump"), packages="folders")),
            300,
        )
        for name, path, example in (("manual", "man/toy.1", MANUAL), ("mdoc", "man/toy.1", MDOC), ("page", "docs/a.html", PAGE))
    },
}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", TARGETS)
def test_fuzz(name: str, tmp_path: Path) -> None:
    fuzz(TARGETS[name], tmp_path)
