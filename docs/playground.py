"""Takes the picture of the playground: `python docs/playground.py MODEL`, where MODEL is a model's folder; it needs Chromium.

docs/playground.png shows SmolLM2-135M-Instruct, which its test fetches and `starmill convert` makes a folder of.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

TEXT = 'def mean(numbers):\n    """Return the mean of a list of numbers."""\n'


def picture(url: str, place: Path) -> None:
    """Write a PNG of the page at work."""
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        page = playwright.chromium.launch(executable_path=found).new_page(viewport={"width": 1280, "height": 900})
        page.goto(url)
        for name, value in {"given": TEXT, "most": "48", "temperature": "0", "stops": r"\n\n"}.items():
            page.locator(f"#{name}").fill(value)
        page.locator("#shade").check()
        page.locator("#run").click()
        page.locator("#done", has_text="s,").wait_for()
        page.locator("#result .new:visible").nth(3).hover()
        page.screenshot(path=place)


def main() -> None:
    """Serve the model of the command line at a free port, and take the picture."""
    command = [sys.executable, "-m", "starmill.cli", "serve", sys.argv[1], "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            said = process.stderr.readline()
            picture(said.partition(" answers at ")[2].partition("/v1")[0], Path(__file__).with_suffix(".png"))
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
