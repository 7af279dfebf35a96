"""The playground: a page that the server gives to browsers, with its style and scripts, which asks this server alone."""

from pathlib import Path

from starlette.responses import Response

PLACE = Path(__file__).parent / "data"
KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
# A browser that is told so runs no script but these files, and sends nothing elsewhere, whatever a model writes.
POLICY = "default-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def files() -> dict[str, Response]:
    """Return the page and what belongs to it, each by its address.

    >>> sorted(files())[:2]
    ['/', '/playground/playground.css']
    """
    found = sorted(file for file in PLACE.iterdir() if file.suffix in KINDS)
    return {
        "/" if file.suffix == ".html" else f"/playground/{file.name}": Response(
            file.read_bytes(), headers=HEADERS, media_type=KINDS[file.suffix]
        )
        for file in found
    }
