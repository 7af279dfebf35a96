"""A page that only shows: a title, sections of text and tables, one style sheet; no script, and nothing is loaded.

`frame` is what every page of ours begins with: a policy (https://www.w3.org/TR/CSP3/) by which the browser runs and loads nothing else.
"""

import base64
import hashlib

from starmill.reports.page.html import Html, element, joined, of_class

MOST = 20_000  # characters of a text
STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse}td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #8884}
pre{background:#8881;padding:.6rem;overflow:auto;white-space:pre-wrap}
details{border-bottom:1px solid #8884;padding:.2rem 0}summary{cursor:pointer}
.passed{color:#187a2f}.failed{color:#b3261e}.note{opacity:.75}
@media(prefers-color-scheme:dark){.passed{color:#6fd38a}.failed{color:#ff8a80}}
"""


def digest(content: str) -> str:
    """Return what a policy names an inline script or style by.

    >>> digest("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def frame(title: str, style: str, body: Html, script: str | None = None) -> str:
    """Return a whole page; `script` is one that the body has."""
    own = f"style-src {digest(style)}" if script is None else f"script-src {digest(script)}; style-src {digest(style)}"
    policy = f"default-src 'none'; {own}; img-src data:; base-uri 'none'; form-action 'none'"
    head = element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": Html(policy)}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("meta", {"name": "referrer", "content": "no-referrer"}),
        Html('<link rel="icon" href="data:,">'),
        element("title", None, title),
        element("style", None, Html(style)),
    )
    return f"<!doctype html>\n{element('html', {'lang': 'en'}, joined(head, body))}\n"


def sheet(title: str, heading: str, *children: object) -> str:
    """Return a page of a heading and what follows it."""
    return frame(title, STYLE, element("body", None, element("main", None, element("h1", None, heading), *children)))


def table(titles: tuple[str, ...], rows: list[tuple[object, ...]]) -> Html:
    """Return a table."""
    head = element("tr", None, *(element("th", {"scope": "col"}, title) for title in titles))
    return element("table", None, head, *(element("tr", None, *(element("td", None, cell) for cell in row)) for row in rows))


def block(text: str) -> Html:
    """Return a text as it stands, its first MOST characters."""
    more = f"\n... {len(text) - MOST:,} characters more" if len(text) > MOST else ""
    return element("pre", None, text[:MOST] + more)


def note(text: str) -> Html:
    """Return a line beside the matter."""
    return of_class("p", "note", text)
