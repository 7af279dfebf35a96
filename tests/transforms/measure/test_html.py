"""What a reader sees of a page."""

import pyarrow as pa
import pytest

from starmill.transforms.measure.html import VisibleText, visible_chars


@pytest.mark.parametrize(
    ("text", "chars"),
    [
        ("", 0),
        ("<p>" + "word " * 30 + "</p>", 149),
        ("<ul>\n" + "    <li>\n        one\n    </li>\n" * 9 + "</ul>\n", 35),  # indentation is not read
        ("<p>a&nbsp;&nbsp;&#160;\u2003 b</p>", 3),
        ("<script>" + "var x;" * 300 + "</script><style>p {}</style><!-- no --><p>" + "x" * 120 + "</p>", 120),
        ("<p title='unseen'>a &lt; b &eacute;</p>", 7),
        ("plain", 5),
    ],
)
def test_visible_chars(text: str, chars: int) -> None:
    assert visible_chars(text.encode()) == chars


def test_only_html_has_visible_text() -> None:
    block = pa.record_batch({"language": ["HTML", "Python", None, "HTML"], "content": ["<b>x</b>"] * 3 + [""]})
    found = VisibleText()(block)
    assert found.column("visible_text_chars").to_pylist() == [1, None, None, 0]
    assert found.schema.field("visible_text_chars") == VisibleText.adds.field(0)
    assert VisibleText()(block.slice(0, 0)).schema == found.schema
