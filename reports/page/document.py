"""The page: sections in their order, the style sheet and the script inside.

The page's policy (sheet.py) names the one style sheet and the one script by their digests. So a text from a dump could not
act even if it came out as markup, and the page never asks a network for anything.
"""

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any

from starmill.reports.page import examples, overview
from starmill.reports.page.html import Html, element, of_class
from starmill.reports.page.sheet import frame

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


def page(found: Mapping[str, Any]) -> str:
    """Return the page of what `gather.data` found. Equal data gives equal pages."""
    style, script = _shipped("page.css"), _shipped("page.js")
    name = str(found["workspace"]).rstrip("/").rpartition("/")[2] or "workspace"
    links = [element("li", None, element("a", {"href": f"#{identity}"}, title)) for identity, title, _ in SECTIONS]
    switch = element("button", {"type": "button", "id": "theme", "hidden": True}, "Theme: auto")
    body = element(
        "body",
        None,
        element("a", {"class": "skip", "href": "#main"}, "To the content"),
        of_class("header", "top", of_class("p", "brand", "starmill"), element("h1", None, name), switch),
        element("nav", {"aria-label": "Sections"}, element("ul", None, *links)),
        element("main", {"id": "main", "tabindex": "-1"}, *(made(found) for _, _, made in SECTIONS)),
        element("script", None, Html(script)),
    )
    return frame(f"{name}: starmill report", style, body, script)
