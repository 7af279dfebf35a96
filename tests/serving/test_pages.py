"""The search and the page of an owner: what the commands say, as JSON and as pages that run nothing of a release; axe in Chromium."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import released_workspace
from selectolax.lexbor import LexborHTMLParser as HTMLParser
from servers import Running, Serve
from test_playground import CHROMIUM, PHONE, in_browser

from starmill.cli.__main__ import main
from starmill.core.dataset import Workspace
from starmill.pipelines.run import attribution
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import index, trigrams

EVIL = "<script>alert(1)</script>\x1b[31m\u202e & \"'\n"
PAGE = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    rows = [
        released_workspace.row(
            "one/lib", "/a.py", f"import os\ndef needle(x):\n    return x\n{EVIL}{'x' * 900}\n", language="Python"
        ),
        released_workspace.row("one/<b>", f"/{EVIL.strip()}", "needle = 2\n", language="Go", detected_licenses=[]),
        released_workspace.row("two/lib", "/b.py", "x = 1\n" * 50),
    ]
    place = released_workspace.build(tmp_path_factory.mktemp("release"), [rows])
    for stage in (index, trigrams):
        attribution.make(place, stage, choose((), 1), quiet=True)
    return place


@pytest.fixture(scope="module")
def knowing(serve: Serve, release: Workspace) -> Running:
    return serve(release=release)


def test_it_says_what_the_command_says(knowing: Running, release: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", release.root, "needle.*", "--regex", "--language", "Python", "--json", "--raw"]) == 0
    wanted = json.loads(capsys.readouterr().out)
    asked = {"pattern": "needle.*", "regex": True, "languages": ["Python"]}
    posted = knowing.client.post("/search", json=asked).json()
    given = knowing.client.get("/search", params={"q": "needle.*", "regex": "1", "language": "Python"}).json()
    assert posted == given == wanted and len(wanted["files"]) == 1
    assert main(["owner", "one", release.root, "--json", "--raw"]) == 0
    wanted = json.loads(capsys.readouterr().out)
    found = knowing.client.get("/in/ONE").json()
    assert found["repositories"] == wanted and len(wanted) == 2
    assert main(["owner", "ONE", release.root, "--opt-out"]) == 0
    assert capsys.readouterr().out == f"{found['request']}\n" and "\nONE\n" in found["request"]


def test_a_request_is_a_list_that_a_recipe_reads(knowing: Running) -> None:
    lines = [line for line in knowing.client.get("/in/one").json()["request"].split("\n") if not line.startswith("#")]
    assert lines == ["one"]


@pytest.mark.parametrize(
    "address", ["/search", "/search?q=alert", "/search?q=needle&context=5", "/in/one", "/in/nobody", "/search?q=%3Cscript%3E"]
)
def test_nothing_of_a_release_or_an_address_is_markup(knowing: Running, address: str) -> None:
    reply = knowing.client.get(address, headers=PAGE)
    assert reply.status_code == 200 and reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'") and "form-action 'self'" in policy and "unsafe" not in policy
    tree = HTMLParser(reply.text)
    assert not tree.css("script") and not tree.css("b") and "\x1b" not in reply.text and "\u202e" not in reply.text
    if address.endswith("alert"):
        assert (
            tree.css_first("mark").text() == "alert"
            and "<script>alert(1)</script>\\x1b[31m\\u202e" in tree.css_first("pre").text()
        )
    if address.endswith("one"):
        assert "one/<b>" in tree.css_first("table").text() and "\none\n" in tree.css_first("textarea").text()


def test_what_is_refused(knowing: Running, serve: Serve, release: Workspace, running: Running, tmp_path: Path) -> None:
    for body in (
        {},
        {"pattern": ""},
        {"pattern": "x" * 1001},
        {"pattern": "(", "regex": True},
        {"pattern": "x*", "regex": True},
        {"pattern": "(a?){400}b", "regex": True},
        {"pattern": "x", "files": 51},
        {"pattern": "\ud800"},
    ):
        data = json.dumps(body).encode()
        reply = knowing.client.post("/search", content=data, headers={"Content-Type": "application/json"})
        assert reply.status_code == 400 and reply.json()["error"]["message"], body
    for address in ("/search", "/search?q=(&regex=1", "/search?q=x&files=0", "/search?q=x&regex=maybe", "/in/a%20b", "/in/%0A"):
        assert knowing.client.get(address).status_code == 400, address
    page = knowing.client.get("/search?q=%28&regex=1", headers=PAGE)
    assert page.status_code == 400 and "no regular expression" in HTMLParser(page.text).css_first("#error").text()
    assert running.client.get("/search").status_code == 404 == running.client.get("/in/one").status_code, "without a release"
    kept = serve(key="s3cret", release=release).client
    assert kept.get("/search?q=needle").status_code == 401 == kept.get("/in/one", headers=PAGE).status_code
    assert knowing.client.get("/search?q=needle", headers={"Host": "evil.example"}).status_code == 403


class TestInABrowser:
    pytestmark = in_browser

    @pytest.fixture(scope="class")
    def browser(self) -> Iterator[Any]:
        from playwright.sync_api import sync_playwright

        with sync_playwright() as playwright:
            started = playwright.chromium.launch(executable_path=CHROMIUM)
            yield started
            started.close()

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_axe_finds_nothing_and_the_form_works(self, browser: Any, knowing: Running, scheme: str) -> None:
        from axe_playwright_python.sync_playwright import Axe

        context = browser.new_context(viewport={"width": PHONE[0], "height": PHONE[1]}, color_scheme=scheme)
        page, wrong = context.new_page(), list[str]()
        page.on("console", lambda said: wrong.append(said.text))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.goto(f"{knowing.url}/search")
        page.get_by_label("Text to find").fill("NEEDLE")
        page.get_by_label("Ignore case").check()
        page.keyboard.press("Tab")
        page.get_by_role("button", name="Search").click()
        page.locator("mark").first.wait_for()
        assert page.locator(".found").count() == 2 and page.get_by_label("Ignore case").is_checked()
        for address in (None, "/search?q=%28&regex=1", "/in/one", "/in/nobody"):
            if address:
                page.goto(knowing.url + address)
            found = Axe().run(page).response
            assert not found["violations"], [(v["id"], [n["target"] for n in v["nodes"]][:4]) for v in found["violations"]]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
        assert [one for one in wrong if "400" not in one] == []
        context.close()
