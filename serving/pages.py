"""The pages of a release: a search, and what it has of an owner. They are whole as they come: no script, all text escaped."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import HTMLResponse, Response

from starmill.reports.owner import Repository, request
from starmill.reports.page.html import Html, element, joined, of_class
from starmill.serving.playground import HEADERS, POLICY

# The search's form asks this server; nothing else of the playground's policy is other here.
PAGE = HEADERS | {"Content-Security-Policy": POLICY.replace("form-action 'none'", "form-action 'self'")}


def search(asked: Mapping[str, str], found: Mapping[str, Any] | None, refused: str = "", status: int = 200) -> Response:
    """Return the page of a search: its form with what was asked, and what was found, or why it was refused."""
    fields = [
        element("div", {"class": "broad"}, *_field("q", "Text to find", asked, required=True, maxlength=1000)),
        element("div", None, *_field("language", "Language", asked, placeholder="any, such as Python")),
        element("div", None, *_field("licence", "Licence", asked, placeholder="any, such as MIT")),
        of_class("div", "ticks", _tick("regex", "Regular expression", asked), _tick("ignore_case", "Ignore case", asked)),
    ]
    ask = element("button", {"type": "submit", "class": "main"}, "Search")
    parts = [
        element(
            "form",
            {"method": "get", "action": "/search", "role": "search"},
            of_class("div", "grid", *fields),
            of_class("div", "buttons", ask),
        ),
        element("p", {"id": "error", "role": "alert"}, refused) if refused else None,
    ]
    if found is not None:
        files = found["files"]
        left = "" if found["whole"] else f"; {found['candidates'] - found['read']:,} more may have some"
        parts.append(
            element("p", {"class": "more", "role": "status"}, f"{len(files):,} files of {found['read']:,} that were read{left}")
        )
        parts += [_file(file) for file in files]
    return _page("Search", status, *parts)


def owner(name: str, found: list[Repository], release: str) -> Response:
    """Return the page of what a release, by its digest, has of an owner."""
    if not found:
        return _page(
            f"{name} in this release",
            200,
            element("section", None, element("p", None, "No repository of this owner is in it.")),
        )
    titles = ("Repository", "Files", "Bytes", "Licences")
    rows = [
        element(
            "tr",
            None,
            element("th", {"scope": "row"}, one.name),
            *(element("td", None, cell) for cell in (f"{one.files:,}", f"{one.bytes:,}", _licences(one))),
        )
        for one in found
    ]
    head = element("tr", None, *(element("th", {"scope": "col"}, title) for title in titles))
    table = element("table", None, element("thead", None, head), element("tbody", None, *rows))
    written = request(name, found, release)
    asks = element(
        "textarea", {"id": "request", "readonly": True, "rows": written.count("\n") + 2, "spellcheck": "false"}, "\n", written
    )
    return _page(
        f"{name} in this release",
        200,
        element(
            "section",
            None,
            of_class("div", "wide", element("div", {"tabindex": 0, "role": "region", "aria-label": "Repositories"}, table)),
        ),
        element(
            "section",
            None,
            element("h2", None, element("label", {"for": "request"}, "Request to be left out")),
            element("p", {"class": "more"}, "Copy this, change what you like, and send it to who publishes the release."),
            asks,
        ),
    )


def _licences(one: Repository) -> str:
    return ", ".join(f"{name or 'no licence found'} {count:,}" for name, count in one.licenses.items())


def _field(name: str, label: str, asked: Mapping[str, str], **more: object) -> tuple[Html, Html]:
    given = {"id": name, "name": name, "type": "text", "autocomplete": "off", "value": asked.get(name), **more}
    return element("label", {"for": name}, label), element("input", given)


def _tick(name: str, label: str, asked: Mapping[str, str]) -> Html:
    box = element("input", {"type": "checkbox", "name": name, "value": "1", "checked": asked.get(name) == "1"})
    return element("label", None, box, f" {label}")


def _file(file: Mapping[str, Any]) -> Html:
    licences = ", ".join(file["licenses"]) or file["license_type"] or "no licence found"
    name = f"{file['repo_name']} {file['path']}"
    shown = [_match(match, f"Line {match['line']['number']} of {name}") for match in file["matches"]]
    more = f"; {file['count']:,} matches" if file["count"] > len(shown) else ""
    about = element("p", {"class": "more"}, f"{file['language'] or 'no language'}; {licences}; {file['swhid']}{more}")
    return element("section", {"class": "found"}, element("h2", None, name), about, *shown)


def _match(match: Mapping[str, Any], label: str) -> Html:
    lines = [_numbered(line["number"], line["text"], cut=line["cut"]) for line in match["before"]]
    text, start, end = match["line"]["text"], match["start"], match["end"]
    marked = (text[:start], element("mark", None, text[start:end]), text[end:])
    lines.append(_numbered(match["line"]["number"], *marked, cut=match["line"]["cut"]))
    lines += [_numbered(line["number"], line["text"], cut=line["cut"]) for line in match["after"]]
    return element("pre", {"tabindex": 0, "role": "group", "aria-label": label}, *lines)


def _numbered(number: int, *text: object, cut: bool) -> Html:
    return joined(of_class("span", "number", f"{number:>6}  "), *text, "…\n" if cut else "\n")


def _page(title: str, status: int, *parts: object) -> Response:
    head = element(
        "head",
        None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("title", None, title),
        Html('<link rel="icon" href="data:,"><link rel="stylesheet" href="/playground/playground.css">'),
    )
    skip = element("a", {"class": "skip", "href": "#content"}, "To the content")
    links = element(
        "nav",
        {"aria-label": "Pages"},
        *(element("a", {"href": to}, f"{name} ") for to, name in (("/", "Playground"), ("/search", "Search"))),
    )
    body = element(
        "body",
        None,
        skip,
        element("header", None, element("h1", None, title), links),
        element("main", {"id": "content", "tabindex": -1}, *parts),
    )
    return HTMLResponse(f"<!doctype html>\n{element('html', {'lang': 'en'}, head, body)}\n", status, PAGE)
