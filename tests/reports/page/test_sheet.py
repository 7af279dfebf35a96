"""A page that only shows: its policy names what it has, and a text stays a text."""

from starmill.reports.page.sheet import MOST, STYLE, block, digest, sheet, table


def test_a_page_runs_and_loads_nothing() -> None:
    page = sheet("a <title>", "heading", table(("x",), [("<script>alert(1)</script>",)]), block("</pre><b>"))
    assert digest(STYLE) in page and "default-src 'none'" in page and "script-src" not in page
    assert "<script" not in page and "&lt;script&gt;" in page and "&lt;/pre&gt;&lt;b&gt;" in page and "a &lt;title&gt;" in page


def test_a_long_text_is_cut_and_says_so() -> None:
    assert "... 5 characters more" in block("x" * (MOST + 5)) and "more" not in block("x" * MOST)
