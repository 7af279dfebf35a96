"""The page: sections in their order, the style sheet and the script inside, and a policy by which the browser runs and loads nothing else.

The policy (https://www.w3.org/TR/CSP3/) names the one style sheet and the one script by their digests. So a text from a dump could not
act even if it came out as markup, and the page never asks a network for anything.
"""

import base64
import functools
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

from starmill.reports.page import examples, overview
from starmill.reports.page.html import Html, element, joined, of_class

SECTIONS = (
    ("overview", "Overview", overview.numbers),
    ("funnel", "Funnel", overview.funnel),
    ("reasons", "Reasons", examples.reasons),
    ("thresholds", "Thresholds", examples.thresholds),
    ("licences", "Licences", examples.licences),
    ("twins", "Near duplicates", examples.twins),
    ("redactions", "Redactions", examples.redactions),
    ("contamination", "Contamination", examples.contamination),
    ("mixture", "Mixture", overview.mixture),
    ("costs", "Time and storage", overview.costs),
    ("search", "Search", examples.search),
)


@functools.cache
def _shipped(name: str) -> str:
    return resources.files("starmill.reports.page").joinpath(f"data/{name}").read_text("utf-8")


def digest(content: str) -> str:
    """Return what a policy names an inline script or style by.

    >>> digest("")
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    """
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


def page(found: Mapping[str, Any]) -> str:
    """Return the page of what `gather.data` found. Equal data gives equal pages."""
    style, script = _shipped("page.css"), _shipped("page.js")
    own = f"script-src {digest(script)}; style-src {digest(style)}"
    policy = f"default-src 'none'; {own}; img-src data:; base-uri 'none'; form-action 'none'"
    name = str(found["workspace"]).rstrip("/").rpartition("/")[2] or "workspace"
    links = [element("li", None, element("a", {"href": f"#{identity}"}, title)) for identity, title, _ in SECTIONS]
    switch = element("button", {"type": "button", "id": "theme", "hidden": True}, "Theme: auto")
    head = element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"http-equiv": "Content-Security-Policy", "content": Html(policy)}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("meta", {"name": "referrer", "content": "no-referrer"}),
        Html('<link rel="icon" href="data:,">'),
        element("title", None, f"{name}: starmill report"),
        element("style", None, Html(style)),
    )
    body = element(
        "body",
        None,
        element("a", {"class": "skip", "href": "#main"}, "To the content"),
        of_class("header", "top", of_class("p", "brand", "starmill"), element("h1", None, name), switch),
        element("nav", {"aria-label": "Sections"}, element("ul", None, *links)),
        element("main", {"id": "main", "tabindex": "-1"}, *(made(found) for _, _, made in SECTIONS)),
        element("script", None, Html(script)),
    )
    return f"<!doctype html>\n{element('html', {'lang': 'en'}, joined(head, body))}\n"
