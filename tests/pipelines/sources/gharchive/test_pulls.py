"""Windows and hunks of a pull request's files: `patch` makes of a window what the head has there."""

import random
import subprocess
from pathlib import Path

import pytest

from starmill.core.linediff import lines
from starmill.pipelines.sources.gharchive.pulls import Hunk, Show, Window, fits, shown

CODE = "".join(f"def function_{n}(value):\n    return value + {n}\n\n" for n in range(40))


def edited(text: str, seed: int) -> str:
    draw, found = random.Random(seed), lines(text)
    for _ in range(draw.randrange(1, 5)):
        at = draw.randrange(len(found))
        found[at : at + draw.randrange(3)] = [f"changed = {draw.random()}\n"] * draw.randrange(3)
    return "".join(found)


@pytest.mark.parametrize("seed", range(12))
def test_patch_makes_the_heads_of_the_windows(seed: int, tmp_path: Path) -> None:
    heads = {f"head{n}": {"a.py": edited(CODE, 100 * seed + n)} for n in range(3)}
    found = shown(f"pull/{seed}", {"a.py": CODE}, heads, Show())
    [window] = found.windows
    assert window.text == "".join(lines(CODE)[window.start : window.end])
    for head, hunks in found.hunks.items():
        (tmp_path / "window").write_text(window.text)
        given = "--- window\n+++ window\n" + "".join(hunk.text for hunk in hunks)
        subprocess.run(["patch", "-s", "-F0", "window"], cwd=tmp_path, input=given.encode(), check=True)
        rest = "".join(lines(CODE)[: window.start]), "".join(lines(CODE)[window.end :])
        assert rest[0] + (tmp_path / "window").read_text() + rest[1] == heads[head]["a.py"]


def test_golden() -> None:
    old = "".join(f"line {n}\n" for n in range(1, 31))
    new = old.replace("line 10\n", "line ten\nand more\n").replace("line 12\n", "").replace("line 25\n", "last\n")
    found = shown(
        "pull/1",
        {"a.txt": old},
        {"h": {"a.txt": new}},
        Show(window_lines=0, min_context_lines=1, max_context_lines=1, whole_rate=0.0),
    )
    assert found.windows == (Window("a.txt", 9, 25, "".join(f"line {n}\n" for n in range(10, 26))),)
    assert found.hunks["h"] == (
        Hunk("a.txt", "@@ -1,4 +1,4 @@\n-line 10\n+line ten\n+and more\n line 11\n-line 12\n line 13\n"),
        Hunk("a.txt", "@@ -15,2 +15,2 @@\n line 24\n-line 25\n+last\n"),
    )
    whole = shown("pull/1", {"a.txt": old}, {"h": {"a.txt": new}}, Show(whole_rate=1.0))
    assert whole.windows[0].text == old, "with its last line"


def test_what_is_not_shown() -> None:
    long = "x = 1\n" * 3 + "y" * 1500 + "\n"
    for path, text, is_shown in [
        ("a.py", CODE, True),
        ("a.py", "", False),
        ("a.py", long, False),
        ("a.md", long, False),
        ("a.md", f"With\n{long}", True),
        ("a.MD", "l'eau est froide, together, thence\n", False),
        ("a.rst", long, True),
        ("a.py", "!" * 50 + "\n", False),
        ("a.py", "x\n" * 100_000, False),
    ]:
        assert fits(path, text, lines(text)) is is_shown, (path, text[:20])
    base = {"a.py": CODE, "yarn.lock.yaml": CODE, "b.yaml": "a: 1\n" * 9}
    heads = {"h": {path: text + "more\n" for path, text in base.items()}}
    names = [tuple(w.path for w in shown(f"pull/{n}", base, heads, Show()).windows) for n in range(400)]
    assert all("a.py" in of and "b.yaml" in of for of in names)
    assert 15 <= sum("yarn.lock.yaml" in of for of in names) <= 65, "a tenth of 400, within five deviations"
