"""The parts of sections: heads and numbers of tables, marks, excerpts, tabs that are readable without a script."""

import xml.etree.ElementTree as ET

from starmill.reports.page.html import Html
from starmill.reports.page.tables import excerpt, folded, key, marked, section, spans, table, tabs, tile


def test_a_table_has_heads_for_columns_and_rows() -> None:
    made = ET.fromstring(table("Said", ["name", "", "n"], [["a<", Html("<svg></svg>"), "1"], ["b", "", "2"]], (2,)))
    assert [(h.tag, h.get("scope")) for h in made.find(".//thead/tr")] == [("th", "col"), ("td", None), ("th", "col")]
    assert [r[0].text for r in made.findall(".//tbody/tr")] == ["a<", "b"] and made.find(".//tbody/tr/th").get("scope") == "row"
    assert [c.get("class") for c in made.findall(".//tbody/tr/td")] == [None, "n", None, "n"]
    assert made.get("aria-label") == made.find(".//caption").text == "Said" and made.get("tabindex") == "0"


def test_marks_are_escaped() -> None:
    assert spans("/a<b>.py", [(1, 5)]) == "/<mark>a&lt;b&gt;</mark>.py" and spans("abc", []) == "abc"
    assert marked([["<", True]]) == "<mark>&lt;</mark>"


def test_an_excerpt_has_its_numbers() -> None:
    found = {"first": 9, "lines": [[["a", False]], [["b", True]]], "before": True, "after": False}
    made = ET.fromstring(excerpt(found, "Text of /a"))
    assert [s.text for s in made.iter("span") if s.get("class") == "no"] == ["9", "10"]
    assert [s.text.strip() for s in made.iter("span") if s.get("class") == "cut"] == ["⋯"] and made.find(".//mark").text == "b"
    assert excerpt(None, "") is None and excerpt({"first": 1, "lines": [], "before": False, "after": False}, "") is None


def test_sections_tabs_and_folds() -> None:
    made = ET.fromstring(
        section("x", "A & B", "about", tabs("t", "By", [("One", Html("<p></p>")), ("Two", Html("<p></p>"))], ["a", "b"]))
    )
    assert made.find("h2").get("id") == made.get("aria-labelledby") and made.find("h2").text == "A & B"
    panels = [p for p in made.iter("div") if p.get("class") == "panel"]
    assert [(p.get("id"), p.find("h3").text, p.get("hidden")) for p in panels] == [("t-0", "One", None), ("t-1", "Two", None)]
    assert folded("a", "b", open_=True, more={"class": "c"}) == '<details open class="c"><summary>a</summary>b</details>'
    assert (
        "more" not in tile("1", "record")
        and "<b>" not in tile("<b>", "<b>", "<b>")
        and key([("c0", "<x>")]).count("&lt;x&gt;") == 1
    )
