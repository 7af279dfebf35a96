"""Pages of a dump against lxml's parser, and where streams of bzip2 begin."""

import bz2
import io
import random

import lxml.etree
import pytest
from samples import sample
from wikis import dump, head, multistream, page

from starmill.pipelines.sources.tags import Malformed
from starmill.pipelines.sources.wikipedia.pages import Page, Pages, Slice, is_multistream, start


def test_pages_are_those_of_a_parser() -> None:
    chance = random.Random(4)
    texts = ["".join(chance.choices("a<>&\"'\n\t[]{|é漢\U0001f600", k=chance.randrange(50))) for _ in range(200)]
    data = dump(page(f"T & {k}", text, space=k % 3, redirect=k % 5 == 0, before="old") for k, text in enumerate(texts))
    root = lxml.etree.fromstring(data.replace(b'xmlns="', b'x="'))
    for at in (1, 5, 9999):
        found = Pages(data[k : k + at] for k in range(0, len(data), at))
        pages = [(p.title, p.space, p.is_redirect, p.wikitext()) for p in found]
        wanted = [
            (p.findtext("title"), p.findtext("ns"), p.find("redirect") is not None, p.findall("revision/text")[-1].text or "")
            for p in root.findall("page")
        ]
        assert pages == wanted and len(pages) == 200
        assert (found.is_wiki, found.is_whole, found.inside, found.declarations) == (True, True, False, 0)
        assert found.site.host == "toy.org" and {"fichier", "cat\u00e9gorie", "file"} <= found.site.files


def test_a_real_dump() -> None:
    data = sample("small-sets/mediawiki-dump.xml").read_bytes()
    found = Pages([data])
    assert [(p.title, p.space, p.wikitext()) for p in found] == [
        ("Foo", "0", "Revision 2 text"),
        ("Bar", "1", "Revision 3 text"),
    ]
    assert found.site.host == "en.wikipedia.org"


def one(data: bytes) -> tuple[list[Page], Pages]:
    found = Pages([data])
    return [*found], found


def test_damage_costs_a_page() -> None:
    whole = dump([page("A", "a"), page("B", "b"), page("C", "c")])
    for old, new, reason in (
        (b"<title>B", b"<title>&lol;", "an entity that XML does not know"),
        (b"<title>B</title>", b"", "it has no title"),
        (b"<ns>", b"<!ENTITY a 'b'><ns>", "a declaration or comment is in it"),
    ):
        pages, found = one(whole.replace(old, new, 1))
        assert any(p.detail and p.detail.startswith(reason) for p in pages) and len(pages) == 3 and found.is_whole
        assert any(not p.reason for p in pages)
    pages, _ = one(whole.replace(b"</page>", b"", 1))
    assert [p.title for p in pages] == ["A", "B", "C"] and pages[0].detail == "it has no end"
    pages, found = one(whole[: whole.index(b"<title>C")])
    assert [p.title for p in pages] == ["A", "B"] and found.inside and not found.is_whole
    [bad] = one(dump([page("A", "a").replace(b">a<", b">\xff<")]))[0]
    with pytest.raises(Malformed, match="not UTF-8"):
        bad.wikitext()


def test_no_declaration_is_used() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY lol "lol"><!ENTITY more "&lol;&lol;">]>'
    [bad], found = one(bomb + dump([page("A", "a").replace(b">a<", b">&more;<")]))
    assert found.declarations == 3
    with pytest.raises(Malformed, match="an entity that XML does not know"):
        bad.wikitext()


def test_streams_and_slices() -> None:
    packed = multistream([page(f"{k}", "text " * 50) for k in range(10)], 3)
    file = io.BytesIO(packed)
    starts, at = [], 0
    while (found := start(file, at, len(packed))) is not None:
        starts.append(found)
        at = found + 1
    assert starts[0] == 0 and len(starts) == 6 and is_multistream(file)
    parts = [Slice(file, first, last) for first, last in zip(starts, [*starts[1:], len(packed)], strict=True)]
    texts = [bz2.decompress(part.read()) for part in parts]
    assert texts[0] == head() and texts[-1] == b"</mediawiki>\n" and b"".join(texts) == bz2.decompress(packed)
    assert start(file, 1, starts[1]) is None and start(file, 1, starts[1] + 1) == starts[1]
    assert parts[1].seek(-3, io.SEEK_END) == parts[1].tell() and len(parts[1].read(9)) == 3
    assert not is_multistream(io.BytesIO(bz2.compress(b"one"))) and not is_multistream(io.BytesIO(b"<mediawiki>"))
    far = io.BytesIO(bytes((1 << 18) - 4) + packed)
    assert start(far, 0, 1 << 30) == (1 << 18) - 4, "over the end of what is read at once"


def test_namespaces_without_end_are_not_all_kept() -> None:
    """Each made a new set of all before it."""
    data = b"<mediawiki>" + b"".join(b'<namespace key="6">a%d</namespace>' % n for n in range(100_000))
    pages = Pages([data])
    assert not list(pages) and pages.is_wiki
    assert len(pages.site.files) == 64
