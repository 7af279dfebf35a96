"""Pages of a wiki as they lie in a dump: written by lxml, in one stream of bzip2 or in many."""

import bz2
from collections.abc import Iterable
from xml.sax.saxutils import escape

import lxml.etree

HEAD = (
    '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" version="0.10" xml:lang="en">\n  <siteinfo>\n'
    "    <dbname>{wiki}</dbname>\n    <base>https://{host}/wiki/Main_Page</base>\n    <namespaces>\n"
    '      <namespace key="0" case="first-letter" />\n      <namespace key="6">Fichier</namespace>\n'
    '      <namespace key="14">Cat\u00e9gorie</namespace>\n    </namespaces>\n  </siteinfo>\n'
)


def page(title: str, text: str | None, space: int = 0, redirect: bool = False, before: str | None = None) -> bytes:
    """Return a page; `before`: the text of an earlier revision."""
    element = lxml.etree.Element("page")
    for name, value in (("title", title), ("ns", str(space)), ("id", "7")):
        lxml.etree.SubElement(element, name).text = value
    if redirect:
        lxml.etree.SubElement(element, "redirect", title="Other")
    for found in (before, text):
        revision = lxml.etree.SubElement(element, "revision")
        lxml.etree.SubElement(revision, "comment").text = "<text>no text</text>"
        if found is not None:
            lxml.etree.SubElement(revision, "text", bytes=str(len(found))).text = found or None
    return b"  " + lxml.etree.tostring(element, encoding="utf-8") + b"\n"


def head(host: str = "toy.org", wiki: str = "toywiki") -> bytes:
    """Return what stands before the first page."""
    return HEAD.format(host=escape(host), wiki=wiki).encode()


def dump(pages: Iterable[bytes], **of: str) -> bytes:
    """Return a dump of one stream."""
    return head(**of) + b"".join(pages) + b"</mediawiki>\n"


def multistream(pages: list[bytes], each: int, **of: str) -> bytes:
    """Return a dump of many streams of so many pages."""
    groups = [b"".join(pages[at : at + each]) for at in range(0, len(pages), each)]
    return b"".join(map(bz2.compress, (head(**of), *groups, b"</mediawiki>\n")))
