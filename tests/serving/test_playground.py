"""The playground: its files, and the page in the machine's own Chromium: each mode by mouse and keyboard, both themes, a phone, axe."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import released_workspace
from servers import Running, Serve

from starmill.core import swhid
from starmill.serving import playground

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
in_browser = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None,
        reason="NOT RUN: the playground in a browser. No Chromium here: apt-get install chromium, then run again.",
    ),
]
DESKTOP, PHONE, NARROW = (1280, 900), (390, 844), (320, 640)


def test_the_page_and_its_files_are_given_under_a_policy(running: Running) -> None:
    page = running.client.get("/")
    assert page.status_code == 200 and page.headers["content-type"] == "text/html; charset=utf-8"
    wanted = {"/", *re.findall(r'(?:href|src)="(/[^"]+)"', page.text)}
    for script in [address for address in wanted if address.endswith(".js")]:
        wanted |= {f"/playground/{name}" for name in re.findall(r'from "\./([^"]+)"', running.client.get(script).text)}
    assert wanted == set(playground.files())
    for address in wanted:
        reply = running.client.get(address)
        assert reply.status_code == 200 and reply.headers["content-security-policy"].startswith("default-src 'self'")
        assert "unsafe" not in reply.headers["content-security-policy"] and "://" not in reply.text, address
    assert running.client.get("/playground/other.js").status_code == 404


def test_another_host_s_name_gets_no_page_and_a_key_keeps_the_model_alone(running: Running, serve: Serve) -> None:
    assert running.client.get("/", headers={"Host": "evil.example"}).status_code == 403
    kept = serve(key="s3cret").client
    assert kept.get("/").status_code == 200 and kept.get("/v1/models").status_code == 401


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM)
        yield started
        started.close()


class Visit:
    """The page in the browser, and what went wrong in it: errors, dialogs, requests to elsewhere."""

    def __init__(self, browser: Any, url: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
        self.context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, reduced_motion="reduce"
        )
        self.page, self.wrong, self.asked = self.context.new_page(), list[str](), list[tuple[str, Any]]()
        self.page.on("console", lambda said: self.wrong.append(f"{said.location.get('url')}: {said.text}"))
        self.page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", lambda asked: self._asked(asked, url))
        self.page.goto(url)
        self.page.locator("#model", has_text="tokens of context").wait_for()

    def _asked(self, asked: Any, url: str) -> None:
        if not asked.url.startswith((f"{url}/", "data:,")):
            self.wrong.append(asked.url)
        if asked.method == "POST":
            self.asked.append((asked.url.removeprefix(url), json.loads(asked.post_data)))

    def __enter__(self) -> "Visit":
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()
        if error[0] is None:
            assert self.wrong == []

    def set(self, **values: str) -> None:
        for name, value in values.items():
            self.page.locator(f"#{name}").fill(value)

    def mode(self, name: str) -> None:
        self.page.get_by_text(name, exact=True).click()

    def ended(self) -> str:
        self.page.locator("#done", has_text="s,").wait_for()
        return str(self.page.locator("#result").text_content())


def _greedy(running: Running, **body: Any) -> str:
    reply = running.client.post("/v1/completions", json={"temperature": 0, "max_tokens": 24, **body})
    return str(reply.json()["choices"][0]["text"])


class TestInABrowser:
    pytestmark = in_browser

    @pytest.mark.parametrize(
        ("size", "scheme", "mode"),
        [(DESKTOP, "light", "Complete"), (DESKTOP, "dark", "Fill in"), (PHONE, "light", "Edit"), (PHONE, "dark", "Chat")],
        ids=["desktop-light", "desktop-dark", "phone-light", "phone-dark"],
    )
    def test_axe_finds_nothing(self, browser: Any, running: Running, size: tuple[int, int], scheme: str, mode: str) -> None:
        from axe_playwright_python.sync_playwright import Axe

        with Visit(browser, running.url, size, scheme) as visit:
            visit.mode(mode)
            code = '# a comment\ndef total(numbers):\n    return sum(numbers, 12) + "text"\n'
            visit.set(given=code, most="12")
            visit.page.locator("#shade").check()
            visit.page.locator("#run").click()
            visit.ended()
            visit.page.locator(".new:visible").first.click()
            found = Axe().run(visit.page).response
            assert not found["violations"], [(v["id"], [n["target"] for n in v["nodes"]][:4]) for v in found["violations"]]
            assert {"color-contrast", "label"} <= {rule["id"] for rule in found["passes"]}

    @pytest.mark.parametrize("size", [PHONE, NARROW], ids=["phone", "narrow"])
    def test_a_phone_scrolls_in_one_direction(self, browser: Any, running: Running, size: tuple[int, int]) -> None:
        with Visit(browser, running.url, size) as visit:
            for mode in ("Complete", "Edit", "Chat"):
                visit.mode(mode)
                assert visit.page.evaluate("document.documentElement.scrollWidth") == size[0]

    @pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
    def test_it_completes_as_the_server_does(self, browser: Any, running: Running, stream: bool) -> None:
        with Visit(browser, running.url) as visit:
            visit.set(given="def f(é):\n", most="24", temperature="0")
            visit.page.locator("#stream").set_checked(stream)
            visit.page.locator("#given").press("Control+Enter")
            text = "def f(é):\n" + _greedy(running, prompt="def f(é):\n")
            assert visit.ended() == text
            assert visit.page.locator("#result .kept").first.inner_text() == "def"
            assert visit.page.locator("#result .new").all_text_contents() and visit.asked[0][1]["stream"] is stream
            visit.page.keyboard.press("Alt+Enter")
            assert visit.page.locator("#given").input_value() == text

    def test_stops_end_it_and_errors_are_told(self, browser: Any, running: Running) -> None:
        whole = _greedy(running, prompt="import os\n")
        stop = whole[8:10]
        with Visit(browser, running.url) as visit:
            written = stop.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t")
            visit.set(given="import os\n", most="24", temperature="0", stops=written)
            visit.page.locator("#run").click()
            assert visit.ended() == "import os\n" + whole[: whole.index(stop)]
            assert visit.asked[0][1]["stop"] == [stop]
            visit.set(given="x " * 9000)
            visit.page.locator("#run").click()
            visit.page.locator("#error", has_text="maximum context length is 4096 tokens").wait_for()
            assert [said for said in visit.wrong if "/v1/completions: " in said and "400" in said]
            visit.wrong = [said for said in visit.wrong if "/v1/completions: " not in said]

    def test_it_fills_the_place_of_the_cursor(self, browser: Any, running: Running) -> None:
        with Visit(browser, running.url) as visit:
            visit.mode("Fill in")
            visit.set(given="def f(x):\n    return x\n", most="8", temperature="0")
            visit.page.evaluate("document.querySelector('#given').setSelectionRange(10, 13)")
            visit.page.locator("#run").click()
            new = _greedy(running, prompt="def f(x):\n", suffix=" return x\n", max_tokens=8)
            assert visit.ended() == f"def f(x):\n{new} return x\n"
            assert "".join(visit.page.locator("#result .new").all_text_contents()) == new

    def test_probabilities_by_mouse_and_keyboard(self, browser: Any, running: Running) -> None:
        body = {"prompt": "import os\n", "temperature": 0, "max_tokens": 6, "logprobs": 4}
        said = running.client.post("/v1/completions", json=body).json()["choices"][0]["logprobs"]
        with Visit(browser, running.url) as visit:
            visit.set(given="import os\n", most="6", temperature="0")
            visit.page.locator("#run").click()
            visit.ended()
            token = visit.page.locator("#token div").first
            pointed = visit.page.locator("#result .new:visible").first
            word = said["tokens"][int(pointed.get_attribute("data-index"))]
            pointed.hover()
            first = token.inner_text()
            assert "%" in first and json.dumps(word, ensure_ascii=False) in first and "; else " in first
            assert visit.page.locator("#result .new.picked").count() == 1
            visit.page.locator("#result").focus()
            for key, moved in (("ArrowRight", 1), ("ArrowLeft", 0)):
                visit.page.keyboard.press(key)
                picked = visit.page.locator("#result .picked").get_attribute("data-index")
                assert int(picked) == int(pointed.get_attribute("data-index")) + moved and "%" in token.inner_text()

    def test_a_chat_goes_on_and_an_edit_says_what_it_edits(self, browser: Any, running: Running) -> None:
        with Visit(browser, running.url) as visit:
            visit.mode("Chat")
            for text in ("How?", "<script>alert(1)</script>"):
                visit.set(given=text, most="8")
                visit.page.locator("#run").click()
                visit.ended()
                visit.page.wait_for_function("document.querySelector('#given').value === ''")
            asked = [body["messages"] for address, body in visit.asked if address == "/v1/chat/completions"]
            assert [one["role"] for one in asked[1]] == ["user", "assistant", "user"]
            assert visit.page.locator("#talk pre").nth(1).text_content() == asked[1][1]["content"]
            assert visit.page.locator("#talk pre").nth(2).text_content() == "<script>alert(1)</script>"
            visit.page.get_by_role("button", name="New chat").click()
            assert visit.page.locator("#talk li").count() == 0
            visit.mode("Edit")
            visit.set(given="x = 1\n", instruction="Call it y", most="8")
            visit.page.locator("#run").click()
            visit.ended()
            (message,) = visit.asked[-1][1]["messages"]
            assert message["content"].startswith("Call it y\n\n```\nx = 1\n```\n")

    def test_escape_stops_and_the_server_s_row_is_free(self, browser: Any, running: Running) -> None:
        with Visit(browser, running.url) as visit:
            visit.set(given="x\n\n", most="4000", temperature="0")  # greedily this model does not end
            visit.page.locator("#given").press("Control+Enter")
            visit.page.locator("#result .new").first.wait_for()
            visit.page.keyboard.press("Escape")
            visit.page.locator("#done", has_text="stopped").wait_for()
            visit.page.wait_for_timeout(300)
            assert running.service.worker.open == 0

    def test_what_stands_in_the_training_data_is_underlined_and_named(
        self, browser: Any, running: Running, serve: Serve, tmp_path: Path
    ) -> None:
        given = "".join(f"𝒳 = import_{number}(y)\n" for number in range(12))
        asked = {"prompt": given, "max_tokens": 12, "temperature": 1, "seed": 2, "top_p": 0.95}
        answer = running.client.post("/v1/completions", json=asked).json()["choices"][0]["text"]
        row = released_workspace.row("one/lib", "a.py", given + answer)
        release = released_workspace.derive(released_workspace.build(tmp_path, [[row]]))
        with Visit(browser, serve(release=release).url) as visit:
            visit.set(given=given, most="12", temperature="1", seed="2")
            visit.page.locator("#run").click()
            pane = visit.page.locator("#spans")
            pane.get_by_text("one/lib: a.py, lines 1 to ").wait_for()
            assert f"MIT; {swhid.swhid('cnt', row['content_id'])}" in pane.inner_text()
            visit.ended()
            assert "".join(visit.page.locator("#result .known").all_text_contents()).endswith(answer.rstrip())

    def test_without_a_release_its_pane_stays_away_and_nobody_is_asked(self, browser: Any, running: Running) -> None:
        with Visit(browser, running.url) as visit:
            visit.set(most="3")
            visit.page.locator("#run").click()
            visit.ended()
            visit.page.wait_for_timeout(200)
            assert [address for address, _ in visit.asked].count("/attribute") == 0
            assert not visit.page.locator("#sources").is_visible()

    def test_a_key_is_asked_for_and_sent(self, browser: Any, serve: Serve) -> None:
        url = serve(key="s3cret").url
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        page.locator("#about:not(:empty)").wait_for()
        page.locator("#run").click()
        page.locator("#error", has_text="no key, or a wrong one").wait_for()
        page.get_by_label("Key").fill("s3cret")
        page.locator("#run").click()
        page.locator("#done", has_text="s,").wait_for()
        context.close()

    def test_the_theme_is_the_system_s_until_one_is_chosen(self, browser: Any, running: Running) -> None:
        def ground(visit: Visit) -> str:
            return str(visit.page.evaluate("getComputedStyle(document.body).backgroundColor"))

        with Visit(browser, running.url) as light, Visit(browser, running.url, scheme="dark") as dark:
            assert ground(light) != (night := ground(dark))
            dark.page.get_by_role("button", name="Theme").click()
            assert ground(dark) == ground(light)
            dark.page.reload()
            assert ground(dark) == ground(light) != night


def test_colours_take_time_in_proportion(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("NOT RUN: the tokenizer of colours by itself. No node here: apt-get install nodejs, then run again.")
    script = tmp_path / "hostile.mjs"
    place = (playground.PLACE / "syntax.js").as_uri()
    script.write_text(
        f"import {{ coloured, colouredBlocks }} from {json.dumps(place)};\n"
        'const found = coloured(\'def f(x): # "no\\n  return "a\\\\"b" + 0x1F\');\n'
        "for (const part of ['/*', '\"', \"'''\", '`', '\\\\', '#', 'a', '```\\n']) {\n"
        "  coloured(part.repeat(50000));\n  colouredBlocks(part.repeat(50000));\n}\n"
        "console.log(JSON.stringify(found));\n"
    )
    done = subprocess.run([node, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    text = 'def f(x): # "no\n  return "a\\"b" + 0x1F'
    assert [(text[a:b], kind) for a, b, kind in json.loads(done.stdout)] == [
        ("def", "kept"), ("f", "call"), ('# "no', "comment"), ("return", "kept"), ('"a\\"b"', "string"), ("0x1F", "number"),
    ]  # fmt: skip
