"""Tags and attributes against lxml's parser, and texts that make a parser slow, large or generous."""

import random
from contextlib import suppress

import lxml.etree
import pytest
from tedious_texts import is_linear

from starmill.pipelines.sources.tags import Malformed, Tag, attributes, pieces, plain, tag

PARSER = lxml.etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


def test_rows_are_those_of_a_parser() -> None:
    chance = random.Random(3)
    root = lxml.etree.Element("posts")
    for _ in range(300):
        text = "".join(chance.choices("a<>&\"' \n\té漢\U0001f600;#x", k=chance.randrange(40)))
        lxml.etree.SubElement(root, "row", Body=text, Id=str(chance.randrange(9)))
    data = lxml.etree.tostring(root, encoding="utf-8", xml_declaration=True)
    for at in (1, 7, 4096):
        chunks = [data[k : k + at] for k in range(0, len(data), at)]
        found = [attributes(tag(piece).attributes) for piece, _ in pieces(chunks, 1 << 20) if piece and piece[:4] == b"row "]
        assert found == [dict(row.attrib) for row in lxml.etree.fromstring(data, PARSER)]


@pytest.mark.parametrize(
    "written",
    ["a &lt;b&gt; &amp;amp;lt; &#38;lt; &#x26;#65; &apos;&quot;", "&#65;&#x41;&#128512;&#x9;", "plain", "&amp;&amp;#0;"],
)
def test_entities_are_those_of_a_parser(written: str) -> None:
    assert plain(written) == lxml.etree.fromstring(f"<a>{written}</a>", PARSER).text


@pytest.mark.parametrize("written", ["&lol;", "a & b", "&#;", "&#xZZ;", "&" * 9, "&lt", "&#99999999999;"])
def test_what_xml_does_not_know_is_malformed(written: str) -> None:
    with pytest.raises(Malformed, match="an entity that XML does not know"):
        plain(written)


def test_characters_that_xml_does_not_have_are_left_out() -> None:
    assert plain("a&#0;b&#xD800;c&#x110000;d&#xFFFE;&#27;") == "abcd"


@pytest.mark.parametrize("piece", [b"row Id='1' ", b'row Id="1', b"!DOCTYPE a [", b"", b"row \xff>", b"=3>", b"row ' > ' "])
def test_what_is_no_tag(piece: bytes) -> None:
    with pytest.raises(Malformed):
        tag(piece)


def test_a_tag_with_its_text() -> None:
    assert tag(b"/text>\n") == Tag("/text", "", "\n")
    assert tag(b"a b='>' c=\">\">d>e") == Tag("a", " b='>' c=\">\"", "d>e")
    assert [*pieces([b"no tag"], 9)] == [] and [*pieces([b"x<a>", b"long<b"], 5)] == [(None, 6), (b"b", 1)]


@pytest.mark.parametrize("of", ['"', "'", "\"'", "a='", 'a="b" ', "=", "a=", "&", "&#", "&amp;", "a " * 3, "=\"'"])
def test_time_is_linear(of: str) -> None:
    def run(size: int) -> None:
        data = f"row {of * (size // len(of))}".encode()
        for end in (b"", b">", b'">'):
            with suppress(Malformed):
                attributes(tag(data + end).attributes)

    assert is_linear(run, 200_000)
