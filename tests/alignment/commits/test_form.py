"""Pairs of commits: `git apply` makes of the text before the one after, by the difference that is learned; fences hold any text."""

import random
import re
import subprocess
from pathlib import Path

import pytest
from tedious_texts import is_linear

from starmill.alignment.commits.form import difference, pair
from starmill.alignment.commits.rules import Commit


def of(before: str, after: str) -> Commit:
    return Commit("n", "Change it", "/a/b.txt", before, after, "")


def applied(folder: Path, before: str, patch: str) -> str:
    (folder / "a").mkdir(exist_ok=True)
    (folder / "a/b.txt").unlink(missing_ok=True)
    if before:
        (folder / "a/b.txt").write_text(before, newline="")
    command = ["git", "apply", "--unidiff-zero", "-"]
    clean = {
        "PATH": "/usr/bin:/bin",
        "GIT_CEILING_DIRECTORIES": str(folder.parent),
        "GIT_CONFIG_NOSYSTEM": "1",
        "HOME": "/nonexistent",
    }
    subprocess.run(command, cwd=folder, input=patch.encode(), check=True, env=clean)
    return (folder / "a/b.txt").read_bytes().decode()


@pytest.mark.parametrize("seed", range(12))
def test_git_applies_the_difference(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    before = [
        f"{draw.randrange(9)}\r\n" if draw.random() < 0.1 else f"{draw.randrange(40)}\n"
        for _ in range(draw.choice([0, 1, 5, 60]))
    ]
    after = [line for line in before if draw.random() > 0.2] + ["one more\n"] * draw.randrange(2)
    for _ in range(draw.randrange(1, 5)):
        after.insert(draw.randrange(len(after) + 1), f"new {draw.randrange(9)}\n")
    old, new = ("".join(lines) for lines in (before, after))
    if draw.random() < 0.4:
        old, new = old.rstrip("\n"), new.rstrip("\n") if draw.random() < 0.5 else new
    assert applied(tmp_path, old, difference(of(old, new))) == new


def test_a_fence_is_longer_than_those_in_it() -> None:
    asked, told = pair(of("```\nx\n```\n", "`````\n"), "text")
    assert asked == "Change it\n\n````\n```\nx\n```\n````" and told == "``````\n`````\n``````"
    assert pair(of("", "x"), "text") == ("Change it", "```\nx\n```")
    assert re.fullmatch(
        r"```diff\n--- a/a/b.txt\n\+\+\+ b/a/b.txt\n@@ -1,1 \+1,1 @@\n-x\n\+y\n```", pair(of("x\n", "y\n"), "diff")[1]
    )


def test_time_is_linear() -> None:
    assert is_linear(lambda size: pair(of("a\nb\n" * size, "b\na\n`" * size), "diff"), 20_000)
