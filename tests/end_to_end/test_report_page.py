"""The report in a real browser: every control by mouse and keyboard, both themes, a phone, paper; axe finds nothing, the console is silent.

The browser is the machine's own Chromium. A machine without one says so in a box.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import reported
from small_tree import starmill

from starmill.core.dataset import Workspace, part_path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="NOT RUN: the report in a browser. No Chromium here: apt-get install chromium, then run again."
    ),
]
DESKTOP, PHONE, NARROW = (1280, 900), (390, 844), (320, 640)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM)
        yield started
        started.close()


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return reported.build(tmp_path_factory.mktemp("report") / "work")


@pytest.fixture(scope="module")
def file(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("page")
    starmill("report", workspace.root, "--output", "page.html", cwd=place)
    return place / "page.html"


class Visit:
    """A page in the browser, and what went wrong in it: errors, dialogs, and requests beyond the file."""

    def __init__(
        self, browser: Any, file: Path, size: tuple[int, int] = DESKTOP, scheme: str = "light", script: bool = True
    ) -> None:
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=scheme,
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        self.page, self.wrong = self.context.new_page(), list[str]()
        self.page.on("console", lambda said: self.wrong.append(f"console: {said.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on(
            "request", lambda asked: self.wrong.append(asked.url) if asked.url not in (file.as_uri(), "data:,") else None
        )
        self.page.goto(file.as_uri())

    def __enter__(self) -> Any:
        return self.page

    def __exit__(self, *error: object) -> None:
        self.context.close()
        if error[0] is None:
            assert self.wrong == []


def opened(page: Any) -> Any:
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
    return page


@pytest.mark.parametrize(
    ("size", "scheme", "tab"),
    [(DESKTOP, "light", 0), (DESKTOP, "dark", 1), (PHONE, "light", 2), (PHONE, "dark", 3)],
    ids=["desktop-light", "desktop-dark", "phone-light", "phone-dark"],
)
def test_axe_finds_nothing(browser: Any, file: Path, size: tuple[int, int], scheme: str, tab: int) -> None:
    from axe_playwright_python.sync_playwright import Axe

    with Visit(browser, file, size, scheme) as page:
        page.get_by_role("tab").nth(tab).click()
        found = Axe().run(opened(page)).response
        assert not found["violations"], [(v["id"], [n["target"] for n in v["nodes"]][:4]) for v in found["violations"]]
        assert {"color-contrast", "label", "scrollable-region-focusable"} <= {rule["id"] for rule in found["passes"]}


@pytest.mark.parametrize("size", [PHONE, NARROW], ids=["phone", "narrow"])
def test_a_phone_scrolls_in_one_direction(browser: Any, file: Path, size: tuple[int, int]) -> None:
    with Visit(browser, file, size) as page:
        opened(page)
        assert page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_each_section_is_led_to_and_says_something(browser: Any, file: Path) -> None:
    with Visit(browser, file) as page:
        for link in page.locator("nav a").all():
            link.click()
            section = page.locator(link.get_attribute("href"))
            assert section.is_visible() and len(section.inner_text()) > 60
            assert 0 <= section.bounding_box()["y"] < DESKTOP[1]
        page.locator("nav a[aria-current]").wait_for()


def test_tabs_by_mouse_and_keyboard(browser: Any, file: Path) -> None:
    with Visit(browser, file) as page:
        tabs = page.get_by_role("tab")
        assert tabs.all_inner_texts() == ["Reasons", "Kinds", "Languages", "Licences"]

        def shown() -> list[str]:
            return [p.get_attribute("data-tab") for p in page.get_by_role("tabpanel").all() if p.is_visible()]

        assert shown() == ["Reasons"]
        tabs.nth(2).click()
        assert shown() == ["Languages"] and "HTML" in page.locator("#funnel").inner_text()
        for key, name in (
            ("ArrowRight", "Licences"),
            ("ArrowRight", "Reasons"),
            ("ArrowLeft", "Licences"),
            ("Home", "Reasons"),
            ("End", "Licences"),
        ):
            page.keyboard.press(key)
            assert shown() == [name] and page.evaluate("document.activeElement.textContent") == name
        page.get_by_text("bytes", exact=True).click()
        units = [u.get_attribute("data-unit") for u in page.locator("#funnel-tab-3 [data-unit]").all() if u.is_visible()]
        assert units == ["bytes"]


def test_a_moved_threshold_drops_what_the_columns_say(browser: Any, file: Path, workspace: Workspace) -> None:
    lines = [
        (m["max_line_length"], r["length_bytes"])
        for part in range(2)
        for r, m in zip(*(workspace.table(part_path(d, part)).to_pylist() for d in ("records", "measures")), strict=True)
        if r["kind"] == "code" and m["language"] not in ("HTML", "JSON", "Markdown", "Text", "XML")
    ]
    with Visit(browser, file) as page:
        figure = page.locator(".threshold", has_text="long_lines.max_line_chars")
        slider, told = figure.get_by_role("slider"), figure.locator(".drops")
        assert told.inner_text().startswith("long_lines.max_line_chars = 1,000 drops 3 of 10 records, 30.0 %")
        slider.focus()
        page.keyboard.press("Home")
        for _ in range(60):
            limit = float(told.inner_text().partition(" = ")[2].partition(" ")[0].replace(",", ""))
            gone = [size for length, size in lines if length > limit]
            assert f"drop{'s' if limit == 1000 else ''} {len(gone)} of {len(lines)} records" in told.inner_text()
            marked = figure.locator(".bin.beyond").count()
            assert (marked > 0) is bool(gone)
            before = told.inner_text()
            page.keyboard.press("ArrowRight")
            if told.inner_text() == before:
                break
        assert slider.get_attribute("aria-valuetext") == told.inner_text()
        figure.get_by_role("button", name="Reset").click()
        assert (
            told.inner_text().startswith("long_lines.max_line_chars = 1,000 drops 3")
            and not figure.get_by_role("button").is_visible()
        )


def test_reasons_are_filtered_and_opened(browser: Any, file: Path) -> None:
    with Visit(browser, file) as page:
        everything = page.locator("#reasons .reason")
        assert everything.count() == 9
        page.get_by_label("Filter").fill("curate line_too")
        assert [r.is_visible() for r in everything.all()].count(True) == 1
        assert page.locator("#reason-count").inner_text() == "1 of 9 reasons"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        mark = page.locator("#reasons mark:visible").first
        assert mark.inner_text().startswith("x = 'ab cd") and page.get_by_role("button", name="Close all").is_visible()
        page.get_by_role("button", name="Close all").click()
        page.get_by_label("Filter").fill("")
        assert page.locator("#reasons .reason[open]").count() == 0
        page.locator("#reasons summary", has_text="says_generated").click()
        assert page.locator("#reasons mark:visible").all_inner_texts() == ["auto-generated"]


def test_the_search_finds_paths_and_what_became_of_them(browser: Any, file: Path) -> None:
    with Visit(browser, file) as page:
        page.get_by_label("Repository or path").fill("one/lib twin")
        row = page.locator("#search-results li")
        row.filter(has_text="/twin.py").wait_for()
        assert row.all_inner_texts() == ["one/lib:/twin.py\ndedup: near: near_duplicate"]
        page.get_by_label("Repository or path").fill("kept.PY")
        row.filter(has_text="/kept.py").wait_for()
        assert row.all_inner_texts() == ["one/lib:/kept.py\nkept"]
        page.get_by_label("Repository or path").fill("script")
        row.filter(has_text="evil").wait_for()
        assert "\\u202eevil\\x1b[31m" in row.inner_text() and row.locator("script, img").count() == 0
        page.get_by_label("Repository or path").fill("nothing is called this")
        page.locator("#search-count", has_text="0 found").wait_for()
        assert row.count() == 0


def test_the_theme_is_the_system_s_until_one_is_chosen(browser: Any, file: Path) -> None:
    def ground(page: Any) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    with Visit(browser, file) as page:
        light = ground(page)
    with Visit(browser, file, scheme="dark") as page:
        dark = ground(page)
        switch = page.get_by_role("button", name="Theme")
        switch.click()
        assert ground(page) == light != dark and switch.inner_text() == "Theme: light"
        page.reload()
        assert ground(page) == light
        switch.click()
        assert ground(page) == dark and switch.inner_text() == "Theme: dark"
        switch.click()
        page.emulate_media(color_scheme="light")
        assert ground(page) == light and switch.inner_text() == "Theme: auto"


def test_the_first_key_leads_to_the_content(browser: Any, file: Path) -> None:
    with Visit(browser, file) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "To the content"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_without_a_script_everything_is_there(browser: Any, file: Path) -> None:
    with Visit(browser, file, script=False) as page:
        assert [p.is_visible() for p in page.locator("#funnel .panel").all()] == [True] * 4
        page.locator("#reasons summary").first.click()
        assert page.locator("#reasons .example").first.is_visible() and not page.locator("#theme").is_visible()


def test_paper_has_all_of_it_and_no_controls(browser: Any, file: Path, tmp_path: Path) -> None:
    with Visit(browser, file, scheme="dark") as page:
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not page.locator("nav").is_visible() and not page.get_by_role("slider").first.is_visible()
        assert page.locator("#reasons .example").first.is_visible() and page.locator("#funnel-tab-3").is_visible()
        closed = page.locator("details:not([open])").count()
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert closed == 0 and page.locator("details:not([open])").count() > 0
        assert page.pdf()[:5] == b"%PDF-"
