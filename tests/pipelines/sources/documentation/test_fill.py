"""Text as troff fills it: spaces and line's ends are one, items end with their level, tables go row by row."""

from starmill.pipelines.sources.documentation.fill import Filling, Table


def test_text_is_filled_until_something_ends_it() -> None:
    page = Filling(1000)
    page.section(1, [])
    page.say("A  heading")
    page.say("one ")
    page.say(" two\t", goes_on=True)  # an indented line begins anew
    page.say("three")
    page.say("")
    page.is_term = True
    page.say("-a")
    page.say("text")
    page.deeper()
    page.is_term = True
    page.say("•")
    page.say("inner")
    page.higher()
    page.higher()
    page.higher()  # one more than there are
    page.say("out")
    page.paragraph()
    page.code = []
    page.say("  a\tb")
    page.section(0, [])
    wanted = "# A heading\n\none\ntwo three\n\n-a\n:   text\n\n    - inner\n\nout\n\n```\n  a     b\n```\n"
    assert page.to.text() == wanted


def test_a_table_has_its_cells_between_tabs_or_in_blocks() -> None:
    table = Table()
    for line in (
        "center tab(|);",
        "l l",
        "l l.",
        "a|\\fBb\\fR",
        "_",
        ".sp",
        "c|T{",
        "d",
        ".B e",
        "f",
        "T}|g",
        ".T&",
        "l.",
        "h",
        "i|T{",
        "j",
    ):
        table.line(line, {})
    assert table.ended() == [["a", "b"], ["c", "d f", "g"], ["h"], ["i", "j"]]
