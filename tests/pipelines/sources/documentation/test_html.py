"""HTML as the generators of documentation write it; selectolax is the oracle of what a page says, and hostile pages end in time."""

import re

import pytest
from selectolax.lexbor import LexborHTMLParser
from tedious_texts import is_linear

from starmill.pipelines.sources.documentation.html import MAX_DEPTH, TooDeep, markdown
from starmill.pipelines.sources.documentation.markdown import TooLong

SPHINX = """<!DOCTYPE html><html><head><title>toy — docs</title><script>var a = "<p>no</p>";</script><style>p {}</style></head>
<body><div class="related" role="navigation"><ul><li><a href="genindex.html">index</a></li></ul></div>
<div class="document"><div class="body"
role="main">
<section id="toy"><h1>toy<a class="headerlink" href="#toy" title="Link">¶</a></h1>
<p>Plays with <em>wood</em>, <code class="docutils literal"><span class="pre">toy.play()</span></code> &amp;
<a href="x">more</a>.<br>Second line.</p>
<div class="highlight-python notranslate"><div class="highlight"><pre><span></span>
<span class="k">def</span> <span class="nf">play</span>():
    <span class="k">return</span> 1 &lt; 2
</pre></div></div>
<dl class="py function"><dt class="sig">toy.<span>play</span>(<em>n</em>)<a class="headerlink">¶</a></dt>
<dd><p>Play.</p><dl class="field-list"><dt>Returns:</dt><dd><p>a number</p></dd></dl></dd></dl>
<ul class="simple"><li><p>one</p><ul><li><p>inner</p></li></ul></li><li>two</li></ul>
<ol><li>first</li><li>second</li></ol>
<table><thead><tr><th>name</th><th>size</th></tr></thead><tbody><tr><td><p>a | b</p></td><td>2</td></tr></tbody></table>
<blockquote><p>said</p></blockquote>
<table class="highlighttable"><tr><td class="linenos"><pre>1</pre></td><td class="code"><pre>x = 1</pre></td></tr></table>
</section></div></div>
<div class="sphinxsidebar"><h3>Navigation</h3></div><div class="footer">&copy; 2024</div></body></html>"""
GOLDEN = """\
# toy

Plays with wood, `toy.play()` & more.
Second line.

```python
def play():
    return 1 < 2
```

toy.play(n)
:   Play.

    Returns:
    :   a number

- one
  - inner
- two

1. first
2. second

| name | size |
|---|---|
| a \\| b | 2 |

> said

```
x = 1
```
"""
# Of one method, as the javadoc of JDK 17 has it; of one function, as rustdoc; a page of old HTML, without ends of tags.
JAVADOC = """<html><body><header role="banner"><nav><a>Overview</a></nav></header><main role="main"><div class="header">
<h1 title="Class Ball">Class Ball</h1></div><section class="class-description">
<div class="type-signature"><span>public class </span>Ball</div>
<div class="block">A ball.</div><dl class="notes"><dt>Since:</dt><dd>1.0</dd></dl></section>
<section class="detail"><h3>kick</h3>
<div class="member-signature"><span>public</span>&nbsp;<span>void</span>&nbsp;
<span>kick</span>()</div></section></main><footer>(c)</footer></body>"""
RUSTDOC = """<body class="rustdoc fn"><nav class="sidebar"><a>toy</a></nav><main><section id="main-content">
<h1>Function <span class="fn">play</span>
<button>Copy</button></h1><span class="sub-heading"><a class="src" href="s">Source</a></span>
<pre class="rust item-decl"><code>pub fn play(n: <a>u8</a>) -&gt; u8</code></pre>
<div class="docblock"><p>Plays.</p>
<div class="example-wrap"><pre class="language-rust"><code>play(1);</code></pre></div></div></section></main>"""
OLD = "<TITLE>x</TITLE><H2>One</H2>First<P>Second<UL><LI>a<LI>b</UL><PRE>\n x\n</PRE>done<TABLE><TR><TD>left<TD>right<TR><TD>1<TD>2</TABLE>"
PAGES = {
    "sphinx": (SPHINX, GOLDEN),
    "javadoc": (JAVADOC, "# Class Ball\n\npublic class Ball\n\nA ball.\n\nSince:\n:   1.0\n\n### kick\n\npublic void kick()\n"),
    "rustdoc": (RUSTDOC, "# Function play\n\n```\npub fn play(n: u8) -> u8\n```\n\nPlays.\n\n```rust\nplay(1);\n```\n"),
    "old": (OLD, "## One\n\nFirst\n\nSecond\n\n- a\n- b\n\n```\n x\n```\n\ndone\n\n| left | right |\n|---|---|\n| 1 | 2 |\n"),
    "plain": ("no tags at all", "no tags at all\n"),
    "comment": ("<!-- <p>no</p> --><p>yes<!", "yes\n"),
    "entities": ("<p>&lt;b&gt; &eacute;&#233;&#xe9; &unknown; &amp;amp;</p>", "<b> ééé &unknown; &amp;\n"),
    "layout": ("<table><tr><td><h2>a</h2></td><td><pre>b</pre></td></tr></table>", "### a\n\n```\nb\n```\n"),
    "nothing": ("<script>x</script>", ""),
    "empty": ("", ""),
}


@pytest.mark.parametrize("name", PAGES)
def test_the_golden_text(name: str) -> None:
    page, wanted = PAGES[name]
    assert markdown(page, 100_000) == wanted == markdown(page, 100_000)


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def test_what_a_page_says_is_what_selectolax_finds() -> None:
    page = LexborHTMLParser(SPHINX.replace("<br>", " "))
    for css in (".headerlink", ".linenos"):
        for node in page.css(css):
            node.decompose()
    [main] = page.css("[role=main]")
    said = re.sub(r"^(```|\|---).*$|^\d+\. ", "", markdown(SPHINX, 10_000), flags=re.M)
    assert words(said) == words(main.text(separator=" ").replace("toy. play", "toy.play"))


def test_no_entity_or_file_is_read() -> None:
    page = (
        '<!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y "zz">]><p>&x;&y;</p><img src="file:///etc/passwd">'
    )
    assert "root:" not in markdown(page, 1000) and "zz;" not in markdown(page, 1000).replace("&y;", "")


def test_nesting_has_a_limit() -> None:
    assert markdown("<b>" * (MAX_DEPTH - 10) + "deep", 1000) == "deep\n"
    for tag in ("<div>", "<b>", "<ul><li>", "<table><tr><td>", "<svg>"):
        with pytest.raises(TooDeep):
            markdown(tag * 100_000 + "x", 1000)


def test_more_text_than_a_record_may_have_is_told() -> None:
    with pytest.raises(TooLong):
        markdown("<p>12345</p>" * 20, 100)


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        ("", "<"),
        ("", "<!--"),
        ("", "<a b='"),
        ("", "&#1"),
        ("<i>" * 500, "</p>"),
        ("<p ", "a "),
        ("<table>", "<tr><td>a<td>b"),
        ("<blockquote>" * 300, "<p>x</p>"),
        ("<pre>", "`<br>"),
        ("<div class=highlight-a>" * 400, "<pre>x</pre>"),
    ],
    ids=["less", "comments", "quotes", "numbers", "ends", "attributes", "rows", "quotations", "lines", "languages"],
)
def test_time_is_linear(head: str, piece: str) -> None:
    assert is_linear(lambda size: markdown(head + piece * (size // len(piece)), 10 << 20))
