"""Elements of HTML and SVG as text: whatever is no `Html` is escaped, so that nothing from data can be markup by an oversight.

Characters that do not print (controls, marks of direction, lone surrogates) are shown as Python writes them, as on the terminal.
"""

import html
import json
from collections.abc import Mapping
from typing import Any

from starmill.core.terminal import escaped

VOID = frozenset(("input", "meta", "col"))  # of HTML, which have no end
UNITS = ("B", "kB", "MB", "GB", "TB")
EMPTY = frozenset(("rect", "path", "line"))  # of SVG


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


def text(value: object) -> Html:
    """Return a value as text of a page.

    >>> text("<b>\\u202e")
    '&lt;b&gt;\\\\u202e'
    >>> text(Html("<b>"))
    '<b>'
    """
    return value if isinstance(value, Html) else Html(html.escape(escaped(str(value), keep="\n\t")))


def element(name: str, attributes: Mapping[str, object] | None = None, *children: object) -> Html:
    """Return an element; an attribute whose value is None or False is left out, one that is True has no value.

    >>> element("a", {"href": "#x", "title": '"', "hidden": False}, "1 < 2")
    '<a href="#x" title="&quot;">1 &lt; 2</a>'
    """
    given = "".join(
        f" {key}" if value is True else f' {key}="{text(value)}"'
        for key, value in (attributes or {}).items()
        if value is not None and value is not False
    )
    if name in VOID or (name in EMPTY and not children):
        return Html(f"<{name}{given}>" if name in VOID else f"<{name}{given}/>")
    return Html(f"<{name}{given}>{joined(*children)}</{name}>")


def joined(*children: object) -> Html:
    """Return several things behind each other; None is nothing."""
    return Html("".join(text(child) for child in children if child is not None))


def of_class(name: str, classes: str, *children: object) -> Html:
    """Return an element with a class."""
    return element(name, {"class": classes}, *children)


def data(identity: str, value: Any) -> Html:
    """Return plain data as an element that a script reads; no text in it can end the element. ASCII alone.

    >>> data("d", ["</script>"])
    '<script type="application/json" id="d">["\\\\u003c/script\\\\u003e"]</script>'
    """
    written = json.dumps(value, separators=(",", ":"))
    for letter in "<>&":
        written = written.replace(letter, f"\\u{ord(letter):04x}")
    return element("script", {"type": "application/json", "id": identity}, Html(written))


def number(value: float) -> str:
    """Return a number for a person.

    >>> number(1234567), number(0.25), number(3.0)
    ('1,234,567', '0.25', '3')
    """
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def size(count: float) -> str:
    """Return bytes for a person.

    >>> size(999), size(1_500_000)
    ('999 B', '1.50 MB')
    """
    if count < 1000:
        return f"{count:.0f} B"
    power = 1
    while count >= 999.5 * 1000**power and power < len(UNITS) - 1:
        power += 1
    count /= 1000**power
    return f"{count:.{2 if count < 10 else 1 if count < 100 else 0}f} {UNITS[power]}"


def share(part: float, whole: float) -> str:
    """Return a share in percent.

    >>> share(1, 3), share(1, 100_000), share(0, 0)
    ('33.3 %', '< 0.01 %', '0 %')
    """
    of = 100 * part / whole if whole else 0.0
    if not of:
        return "0 %"
    return "< 0.01 %" if of < 0.01 else f"{of:.{2 if of < 1 else 1}f} %"
