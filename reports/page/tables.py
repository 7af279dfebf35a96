"""What several sections share: headings, tables that scroll sideways on a phone, tiles, excerpts of texts, groups of tabs."""

from collections.abc import Mapping, Sequence
from typing import Any

from starmill.reports.page.html import Html, element, joined, number, of_class, text


def section(identity: str, title: str, about: str, *children: object) -> Html:
    """Return a section that the navigation leads to."""
    head = element("h2", {"id": f"{identity}-title"}, title)
    return element(
        "section",
        {"id": identity, "aria-labelledby": f"{identity}-title"},
        head,
        of_class("p", "about", about) if about else None,
        *children,
    )


def table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[object]], numbers: Sequence[int] = (), hidden: bool = True
) -> Html:
    """Return a table; the columns in `numbers` are aligned to the right. A first cell is the head of its row."""

    def cells(row: Sequence[object]) -> Html:
        return joined(
            *(
                element(
                    "th" if i == 0 else "td", {"class": "n" if i in numbers else None, "scope": "row" if i == 0 else None}, cell
                )
                for i, cell in enumerate(row)
            )
        )

    heads = joined(*(_head(name, i in numbers) for i, name in enumerate(head)))
    body = joined(*(element("tr", None, cells(row)) for row in rows))
    said = element("caption", {"class": "unseen" if hidden else None}, caption)
    whole = element("table", None, said, element("thead", None, element("tr", None, heads)), element("tbody", None, body))
    return element("div", {"class": "scroll", "tabindex": "0", "role": "group", "aria-label": caption}, whole)


def _head(name: str, is_number: bool) -> Html:
    if not name:  # over a picture, which says nothing that the columns beside it do not
        return element("td", None, "")
    return element("th", {"scope": "col", "class": "n" if is_number else None}, name)


def tile(value: str, said: str, more: str = "") -> Html:
    """Return a large number with what it is."""
    return of_class(
        "div",
        "tile",
        of_class("div", "value", value),
        of_class("div", "said", said),
        of_class("div", "more", more) if more else None,
    )


def marked(pieces: Sequence[Sequence[Any]]) -> Html:
    """Return pieces [text, is marked] as text.

    >>> marked([["a<", False], ["b", True]])
    'a&lt;<mark>b</mark>'
    """
    return joined(*(element("mark", None, piece) if is_marked else text(piece) for piece, is_marked in pieces))


def spans(said: str, found: Sequence[Sequence[int]]) -> Html:
    """Return a text with spans marked."""
    pieces: list[list[Any]] = []
    at = 0
    for start, end in found:
        pieces += [[said[at:start], False], [said[start:end], True]]
        at = end
    return marked([piece for piece in [*pieces, [said[at:], False]] if piece[0]])


def excerpt(found: Mapping[str, Any] | None, said: str) -> Html | None:
    """Return the lines of an excerpt (evidence.py) with their numbers."""
    if found is None or not found["lines"]:
        return None
    lines = [
        joined(of_class("span", "no", str(found["first"] + i)), of_class("span", "line", marked(line), "\n"))
        for i, line in enumerate(found["lines"])
    ]
    above = of_class("span", "cut", "⋯\n") if found["before"] else None
    below = of_class("span", "cut", "⋯") if found["after"] else None
    return element("pre", {"tabindex": "0", "role": "group", "aria-label": said}, element("code", None, above, *lines, below))


def tabs(identity: str, label: str, panels: Sequence[tuple[str, Html]], switch: Sequence[str] = ()) -> Html:
    """Return panels of which the script shows one at a time; without it, as in print, all are there under their headings.

    `switch` names the units (`data-unit` inside of panels) of which it shows one.
    """
    made = [
        element(
            "div",
            {"class": "panel", "id": f"{identity}-{i}", "data-tab": name},
            element("h3", {"class": "tab-title"}, name),
            panel,
        )
        for i, (name, panel) in enumerate(panels)
    ]
    return element("div", {"class": "tabs", "data-label": label, "data-switch": " ".join(switch)}, *made)


def folded(said: object, *children: object, open_: bool = False, more: Mapping[str, object] | None = None) -> Html:
    """Return something that opens on demand."""
    return element("details", {"open": open_, **(more or {})}, element("summary", None, said), *children)


def key(categories: Sequence[tuple[str, str]]) -> Html:
    """Return the key of a picture: (class, name)."""
    return of_class(
        "ul", "key", *(element("li", None, of_class("span", f"dot {classes}"), name) for classes, name in categories)
    )


def plural(count: float, one: str, many: str = "") -> str:
    """Return a number with its noun.

    >>> plural(1, "file"), plural(2000, "file"), plural(2, "copy", "copies")
    ('1 file', '2,000 files', '2 copies')
    """
    return f"{number(count)} {one if count == 1 else many or one + 's'}"
