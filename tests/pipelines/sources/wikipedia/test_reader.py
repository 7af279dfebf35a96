"""Dumps of wikis to records: pieces, damage, and several dumps of one wiki."""

import bz2
import gzip
import random
from pathlib import Path

import pytest
from wikis import dump, multistream, page

from starmill.pipelines.sources import dumps
from starmill.pipelines.sources.source import Entry, Limits
from starmill.pipelines.sources.wikipedia import reader as wikipedia
from starmill.pipelines.sources.wikipedia.reader import Wikipedia

Said = tuple[str, str | None, str]


def records(place: Path, **limits: int) -> list[Entry]:
    source = Wikipedia(folder=str(place))
    return [entry for r in source.plan() for entry in source.read(r, Limits(**limits))[1]]


def said(entries: list[Entry]) -> list[Said]:
    return [(e.path.decode(), e.reason, (e.data or b"").decode()) for e in entries]


PAGES = [
    page("Ada", "'''Ada''' wrote [[a|programs]].[[Fichier:a.png]]", before="old"),
    page("Talk:Ada", "no article", space=1),
    page("Countess", "#REDIRECT [[Ada]]", redirect=True),
    page("AC/DC", "A band."),
    page("/dev/null", "A file."),
    page("None", None),
    page("Empty", ""),
    page("Only {{x}}", "{{y}}"),
]
WANTED: list[Said] = [
    ("Ada", None, "Ada wrote programs.\n"),
    ("AC/DC", None, "A band.\n"),
    ("%2Fdev%2Fnull", None, "A file.\n"),
    ("None", "no_text", ""),
    ("Empty", "no_text", ""),
    ("Only {{x}}", "no_text", ""),
    ("", "not_an_article", ""),
    ("", "not_an_article", ""),
]


@pytest.mark.parametrize("suffix", [".xml", ".xml.gz", ".xml.bz2", ".xml-p1p9.bz2"])
def test_articles(tmp_path: Path, suffix: str) -> None:
    pack = {"gz": gzip.compress, "bz2": bz2.compress}.get(suffix.rpartition(".")[2], bytes)
    (tmp_path / f"toy{suffix}").write_bytes(pack(dump(PAGES)))
    found = records(tmp_path)
    assert said(found) == WANTED
    assert {e.repo_name for e in found} == {b"toy.org", None} and {e.kind for e in found} == {"wikipedia"}
    assert [e.detail for e in found[-2:]] == ["1 redirects", "1 pages of other namespaces"]
    [planned] = Wikipedia(folder=str(tmp_path)).plan()
    assert planned.name == "toy" and Wikipedia(folder=str(tmp_path)).count(planned, Limits()).files == 6


def test_pieces_of_many_streams_are_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(1)
    pages = [page(f"Page {k}", chance.randbytes(chance.randrange(1, 3000)).hex(), space=int(k % 7 == 0)) for k in range(100)]
    (tmp_path / "toy.xml.bz2").write_bytes(multistream(pages, 4))
    whole = [s for s in said(records(tmp_path)) if s[0]]
    assert len(whole) == 85 and all(reason is None for _, reason, _ in whole)
    for size in (1000, 2500, 10_000, 77_777):
        monkeypatch.setattr(wikipedia, "PIECE_BYTES", size)
        source = Wikipedia(folder=str(tmp_path))
        planned = source.plan()
        assert [r.name for r in planned] == [f"toy/{k:05d}" for k in range(len(planned))] and len(planned) > 1
        found = records(tmp_path)
        assert [s for s in said(found) if s[0]] == whole, size
        assert {e.reason for e in found} == {None, "not_an_article"} and {e.repo_name for e in found} == {b"toy.org", None}
        assert sum(source.count(r, Limits()).files for r in planned) == 85


def test_a_dump_of_one_stream_is_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wikipedia, "PIECE_BYTES", 50)
    (tmp_path / "toy.xml.bz2").write_bytes(bz2.compress(dump(PAGES)))
    assert said(records(tmp_path)) == WANTED


def test_several_dumps_of_one_wiki(tmp_path: Path) -> None:
    (tmp_path / "toywiki-20240101-pages-articles1.xml-p1p9.bz2").write_bytes(bz2.compress(dump(PAGES)))
    for name in ("toywiki-20230101-pages-articles.xml", "toywiki-20240101-pages-articles2.xml", "b.txt", "notes.xml.7z"):
        (tmp_path / name).write_bytes(dump([page("Bob", "b")]))
    (tmp_path / "link.xml").symlink_to("b.txt")
    found = {r.name: r.left_out for r in Wikipedia(folder=str(tmp_path)).inventory()}
    assert found == {
        "b.txt": "not_a_dump",
        "notes.xml.7z": "not_a_dump",
        "link.xml": "symlink",
        "toywiki-20230101-pages-articles.xml": "another_dump_of_the_wiki",
        "toywiki-20240101-pages-articles1": "",
        "toywiki-20240101-pages-articles2": "",
    }
    assert [path for path, reason, _ in said(records(tmp_path)) if not reason] == ["Ada", "AC/DC", "%2Fdev%2Fnull", "Bob"]


DATA = dump(PAGES)
CUT = DATA[: DATA.index(b"<title>Empty")]
DAMAGED = {
    "cut": (CUT, ["truncated_dump"], 4),
    "cut between pages": (DATA.replace(b"</mediawiki>\n", b""), ["truncated_dump"], 6),
    "cut gzip": (gzip.compress(DATA)[:-9], ["truncated_dump"], 6),
    "cut bzip2": (bz2.compress(DATA)[:-9], ["truncated_dump"], 6),
    "wrong checksum": (gzip.compress(DATA)[:-8] + bytes(8), ["corrupt_dump"], 0),
    "wrong checksum of the second": (gzip.compress(CUT) + gzip.compress(DATA[len(CUT) :])[:-8] + bytes(8), ["corrupt_dump"], 4),
    "more behind": (bz2.compress(DATA) + b"<html>", ["trailing_data"], 6),
    "empty": (b"", ["not_a_wiki"], 0),
    "html": (b"<!doctype html><html>", ["not_a_wiki", "markup_declaration"], 0),
    "noise": (bytes(range(256)) * 999, ["not_a_wiki"], 0),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_told(tmp_path: Path, case: str) -> None:
    data, reasons, articles = DAMAGED[case]
    (tmp_path / "toy.xml").write_bytes(data)
    found = records(tmp_path)
    assert [e.reason for e in found if not e.path and e.reason != "not_an_article"] == reasons
    assert said(found)[:articles] == WANTED[:articles] and sum(bool(e.path) for e in found) == articles


def test_what_inflates_too_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dumps, "FREE_BYTES", 500_000)
    (tmp_path / "toy.xml.bz2").write_bytes(bz2.compress(dump([page(f"{k}", "a" * 9999) for k in range(90)])))
    found = records(tmp_path, max_inflation=1)
    assert found[-1].reason == "inflates_too_far" and 0 < sum(e.data is not None for e in found) < 90


def test_a_page_that_is_too_large_or_hostile(tmp_path: Path) -> None:
    pages = [
        page("A", "a" * 5000),
        page("B", "{{a|" * 5000 + "}}" * 5000 + "b"),
        page("C", "[[" * 300),
        page("..", "d"),
        page("E\n", "e"),
    ]
    (tmp_path / "toy.xml").write_bytes(dump([*pages, page("F", "f").replace(b">f<", b">&f;<")]))
    assert said(records(tmp_path, max_file_bytes=3000)) == [
        ("A", "too_large", ""),
        ("B", "too_large", ""),
        ("C", None, "[[" * 300 + "\n"),
        ("%2E%2E", None, "d\n"),
        ("E", None, "e\n"),
        ("F", "malformed_page", ""),
    ]


def test_entries_wait_for_a_checksum_as_far_as_memory_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wikipedia, "HOLD", 300_000)
    data = dump([page(f"{k}", random.Random(k).randbytes(50_000).hex()) for k in range(20)])
    (tmp_path / "toy.xml.gz").write_bytes(gzip.compress(data)[:-8] + bytes(8))
    *kept, last = said(records(tmp_path))
    assert [path for path, _, _ in kept] == [str(k) for k in range(len(kept))] and 10 < len(kept) < 18
    assert last[:2] == ("", "corrupt_dump")


def test_a_dump_that_lies_there_twice_is_read_once(tmp_path: Path) -> None:
    parts = ("toywiki-20240101-pages-articles1.xml-p1p9.bz2", "copy/toywiki-20240101-pages-articles1.xml-p1p9")
    for number, names in enumerate((parts, ("toywiki-20240101-pages-articles.xml", "toywiki-20240101-pages-articles.xml.bz2"))):
        (tmp_path / "copy").mkdir(exist_ok=True)
        for name in names:
            data = dump([page("Bob", "b")])
            (tmp_path / name).write_bytes(bz2.compress(data) if name.endswith("bz2") else data)
        left_out = [r.left_out for r in Wikipedia(folder=str(tmp_path)).inventory()]
        assert left_out.count("another_dump_of_the_wiki") == 2 * number + 1, "a whole dump and its parts have the same pages"
        assert len(records(tmp_path)) == 1
