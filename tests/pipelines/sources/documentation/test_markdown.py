"""Markdown as markdown-it, a parser of CommonMark, reads it back."""

import pytest
from markdown_it import MarkdownIt

from starmill.pipelines.sources.documentation.markdown import ITEM, MAX_INDENT, QUOTE, TERM, Markdown, TooLong

GOLDEN = """\
# Toy

A toy
of wood.

- one
  - inner

    ```
    x = 1

      y = 2
    ```
- two

> said
>
> again

1. first
2. second

-a
-b
:   Both.

    More.

| name | size |
|---|---|
| a \\| b | 2 |
"""


def golden() -> str:
    made = Markdown(10_000)
    made.heading(1, "Toy")
    made.paragraph(["A toy", "of wood."])
    made.open(ITEM)
    made.paragraph(["one"])
    made.open(ITEM)
    made.paragraph(["inner"])
    made.code(["", "x = 1", "", "  y = 2  ", " "])
    made.close()
    made.close()
    made.open(ITEM)
    made.paragraph(["two"])
    made.close()
    made.open(QUOTE)
    made.paragraph(["said"])
    made.paragraph(["again"])
    made.close()
    for number, text in enumerate(("first", "second"), 1):
        made.open(f"{number}. ")
        made.paragraph([text])
        made.close()
    made.paragraph(["-a"], is_term=True)
    made.paragraph(["-b"], is_term=True)
    made.open(TERM)
    made.paragraph(["Both."])
    made.paragraph(["More."])
    made.close()
    made.table([["name", "size"], ["a | b", "2"], ["", ""]])
    made.paragraph([])
    made.heading(2, "")
    return made.text()


def test_the_golden_text() -> None:
    assert golden() == GOLDEN


def test_a_parser_finds_the_blocks_again() -> None:
    tokens = MarkdownIt().enable("table").parse(golden())
    opened = [t.type.removesuffix("_open") for t in tokens if t.nesting == 1]
    counts = {
        name: opened.count(name)
        for name in ("heading", "bullet_list", "ordered_list", "list_item", "blockquote", "table", "td")
    }
    assert counts == {"heading": 1, "bullet_list": 2, "ordered_list": 1, "list_item": 5, "blockquote": 1, "table": 1, "td": 2}
    [code] = [t for t in tokens if t.type == "fence"]
    assert code.content == "x = 1\n\n  y = 2\n" and code.level == 4


def test_code_with_fences_has_a_longer_fence() -> None:
    made = Markdown(1000)
    made.code(["````", "```"], "md")
    [code] = MarkdownIt().parse(made.text())
    assert (code.content, code.info) == ("````\n```\n", "md")


def test_indentation_and_length_have_limits() -> None:
    made = Markdown(1 << 20)
    for _ in range(10_000):
        made.open(ITEM)
        made.paragraph(["x"])
    for _ in range(10_000):
        made.close()
    made.close()
    made.paragraph(["out"])
    lines = made.text().split("\n")
    assert max(map(len, lines)) == MAX_INDENT + 1 and lines[-2] == "out"
    made = Markdown(10)
    made.paragraph(["123456789"])
    with pytest.raises(TooLong):
        made.paragraph([""" """, "é"])
