"""Rows to posts, and bodies to text: golden texts, the words that a browser's parser sees, and bodies that take no square of their size."""

import random
import re

import pytest
from bs4 import BeautifulSoup
from tedious_texts import is_linear

from starmill.pipelines.sources.stackexchange.posts import Post, html_text, post, text
from starmill.pipelines.sources.tags import Malformed

GOLDEN = {
    "a line that is broken\nby hand": "<p>a line\nthat  is <b>broken</b><br/>by hand</p>\n",
    "`a < b` and a&b": "<p><code>a &lt; b</code> and a&amp;b</p>",
    "# Head\n\nText": "<h1>Head</h1><p>Text</p>",
    "- one\n- two `x`\n\n  ```\n  code\n  ```": (
        "<ul>\n<li>one</li>\n<li><p>two <code>x</code></p><pre><code>code\n</code></pre></li>\n</ul>"
    ),
    "1. one\n2. two\n  - in\n3. three": "<ol><li>one<li>two<ul><li>in</li></ul></li><li>three</li></ol>",
    "> said\n\n> > twice\n\nnot": "<blockquote><p>said</p><blockquote>twice</blockquote></blockquote>not",
    "````\na\n```\n````": "<pre><code>a\n```\n</code></pre>",
    "```cpp\nx <y> z\n\n  w\n```": '<pre class="lang-cpp prettyprint-override"><code>x &lt;y&gt; z\n\n  w\n</code></pre>',
    "see here and": '<p>see <a href="http://a/?b=1&amp;c=>" rel=\'x\'>here</a> <img src="i.png" alt="no"> and<!-- hidden --></p>',
    "a | b |\n\nc | d |": "<table><tr><th>a</th><th>b</th></tr><tr><td>c</td><td>d</td></tr></table>",
    "```\nnever closed\n```": "<pre><code>never closed",
    "1 < 2 & 3 <4": "1 < 2 & 3 <4",
}


@pytest.mark.parametrize("wanted", GOLDEN)
def test_the_golden_text(wanted: str) -> None:
    assert text(GOLDEN[wanted]) == wanted


def test_no_word_is_lost_that_a_browser_shows() -> None:
    chance = random.Random(5)
    names = ["p", "b", "code", "pre", "ul", "li", "blockquote", "h2", "a", "ol", "div", "sup"]
    for _ in range(200):
        body = "".join(
            f"<{(name := chance.choice(names))} title='>'>word{k} &lt;&eacute;{k}</{name}>" for k in range(chance.randrange(12))
        )
        words = re.findall(r"word\d+|<é\d+", BeautifulSoup(body, "lxml").get_text(" "))
        assert re.findall(r"word\d+|<é\d+", text(body)) == words, body


def test_posts_of_rows() -> None:
    asked = b'row Id="4" PostTypeId="1" AcceptedAnswerId="7" Score="-3" Body="&lt;p&gt;&amp;lt;" OwnerUserId="8" Title="T" />'
    assert post(asked) == Post(4, 4, -3, 7, "8", "", "T", "<p>&lt;")
    answered = b'row Id="7" PostTypeId="2" ParentId="4" OwnerDisplayName="user1"/>'
    assert post(answered) == Post(7, 4, 0, 0, "user1", "user1", "", "")
    assert post(b'row Id="9" PostTypeId="5" Body=""/>') == "5"
    made = post(b'row Id="7" PostTypeId="2" ParentId="4" AcceptedAnswerId="9"/>')
    assert isinstance(made, Post) and not made.accepted and made.owner == "post 7"


@pytest.mark.parametrize(
    "row",
    [
        'Id="x" PostTypeId="1"',
        'PostTypeId="1"',
        'Id="4" PostTypeId="2"',
        'Id="0" PostTypeId="1"',
        'Id="-4" PostTypeId="1"',
        'Id="4" PostTypeId="1" Score="1.5"',
        'Id="99999999999" PostTypeId="1"',
        'Id="\u0664" PostTypeId="1"',
        'Id="4" PostTypeId="1" Body="&lol;"',
    ],
)
def test_malformed_rows(row: str) -> None:
    with pytest.raises(Malformed):
        post(f"row {row}/>".encode())


def test_numbers_of_thousands_of_digits_stay() -> None:
    assert html_text("&lt;&#" + "9" * 9000 + ";").startswith("<&#999")


FAMILIES = (
    "<",
    "<p>",
    "<pre>",
    "<blockquote>",
    "<ul><li>",
    "<ol><li>x",
    "`",
    "<pre>```",
    "&#9",
    "&amp",
    "<br>",
    "<a href='",
    "\n ",
    "<code>",
)


@pytest.mark.parametrize("of", FAMILIES)
def test_time_and_text_are_linear_in_a_body(of: str) -> None:
    assert len(text(of * (80_000 // len(of)))) < 40 * 80_000
    assert is_linear(lambda size: text(of * (size // len(of))))
