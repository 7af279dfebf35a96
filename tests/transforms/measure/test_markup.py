"""The text of a page is what lexbor's tree shows, on any mixture of tags and on real pages; no page takes long."""

import html.entities
import random
import sysconfig
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from starmill.transforms.measure.html import visible_chars


def by_tree(page: str) -> int:
    tree = LexborHTMLParser(page)
    tree.strip_tags(["script", "style"])
    return len(" ".join(tree.root.text().split())) if tree.root is not None else 0


# Not among them: tables and SVG inside out, where a tree moves or drops text, and a ; that a tag cuts off its reference.
PIECES = (
    *("<", "</", ">", "/", "=", "'", '"', "-", "!", "&", "#", "a", "b c", "é", "\u00a0", "\n  ", "\f", "\u3000"),
    *(
        "<p>",
        "</p>",
        "<b>",
        "</b>",
        "<br/>",
        "<a href=x>",
        "<a href=x/>",
        "<p =a>",
        "<p a=>",
        "<p a= 'x>y'>",
        "<p a='x'b>",
        '<p a="">',
    ),
    *(
        "<div class='a>b'>",
        '<div title="a>b">',
        "</div>",
        "</div a='>'>",
        "</>",
        "</ x>",
        "<!DOCTYPE html>",
        "<?php $a->b ?>",
        "<![CDATA[x]]>",
    ),
    *("<!--", "-->", "--!>", "<!-->", "<!--->", "--", "<title>", "</title>", "<textarea>", "</textarea >", "<xmp>", "</xmp>"),
    *(
        "<iframe>",
        "</iframe>",
        "<noembed>",
        "</noembed>",
        "<noscript>",
        "</noscript>",
        "<template>",
        "</template>",
        "<title",
        "</title",
    ),
    *(
        "<script>",
        "</script>",
        "<SCRIPT>",
        "</SCRIPT\n>",
        "<script src='x'",
        "<style>",
        "</style>",
        "</STYLE/>",
        "<styles>",
        "<plaintext>",
    ),
    *(
        "&lt;",
        "&nbsp;",
        "&#65;",
        "&#x41;",
        "&#160;",
        "&#x85;",
        "&#32",
        "&copy",
        "&#",
        "&#x",
        "&notit;",
        "&nosuch;",
        "&#99999999999;",
    ),
)
soups = st.lists(st.sampled_from(PIECES), max_size=14) | st.lists(
    st.sampled_from(PIECES), min_size=2, max_size=7, unique=True
).flatmap(lambda some: st.lists(st.sampled_from(some), max_size=20))


@settings(max_examples=1000, deadline=None)
@given(soups.map("".join))
@example("<script><!--<script></script>--></script>a")
@example("<script><!--<script></script>a</script>b")
@example("<script><!--><script></script>a")
@example("<svg><path/><title>a</title><style/></svg><title>a<b></title>c")
@example("<svg><script/></svg>a<math><mi>b</mi></math>")
@example("<template>a<template>b</template>c</template>d</template>e")
def test_any_mixture(page: str) -> None:
    assert visible_chars(page.encode()) == by_tree(page)


def test_real_pages() -> None:
    roots = [Path(sysconfig.get_paths()[name]) for name in ("stdlib", "purelib")]
    pages = sorted(p for root in roots for p in root.rglob("*.htm*") if p.is_file())
    differing = 0
    for path in random.Random(0).sample(pages, min(len(pages), 200)):
        try:
            page = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        shown, expected = visible_chars(page.encode()), by_tree(page)
        assert abs(shown - expected) <= 4, (
            f"{path}: {shown} characters, by the tree {expected}"
        )  # spaces around a misplaced table
        differing += shown != expected
    assert differing <= 2


def test_names_of_characters_are_those_of_the_standard() -> None:
    for name, text in html.entities.html5.items():
        assert visible_chars(f"a&{name}b".encode()) == len(" ".join(f"a{text}b".split())), name


@pytest.mark.parametrize(
    ("unit", "shown"),
    [
        ("<div>hello\n", 6),  # a tree of three megabytes of these takes minutes
        ("<p><b id={}>x", 1),  # and of these, terabytes of memory
        ("<a a{}=1 ", 0),
        ("<b>\n<i>", 0),
        ("<table><td>x", 1),
        ("<!--", 0),
        ("<title>", 7),
        ("<style>", 0),
        ("<script><!--", 0),
        ("<svg><style>", 0),
        ("<svg><title>x", 1),
        ("</", 0),
        ("&#", 2),
        ("&#1", 1),
        ("&aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 33),
        ("&<b>#1111111111", 12),
        ("<x a='", 0),
        ("<", 1),
    ],
)
def test_no_page_is_read_again_and_again(unit: str, shown: int) -> None:
    count = 3_000_000 // len(unit)
    found = visible_chars("".join(unit.format(i) for i in range(count)).encode())
    assert abs(found - shown * count) <= 8
    assert visible_chars(b"&<b>#" + b"9" * 10_000) == 10_002, "no number is read that Python refuses to read"
