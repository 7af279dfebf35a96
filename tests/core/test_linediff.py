"""What two texts share: rebuilt from its changes, beside `diff`, and linear on texts at which difflib is quadratic."""

import itertools
import random
import subprocess
from pathlib import Path

import pytest

from starmill.core.linediff import Change, changes, lines


def rebuilt(old: list[str], new: list[str], found: list[Change]) -> list[str]:
    made, at = [], 0
    for change in found:
        assert at <= change.start <= change.end and change.new_start == len(made) + change.start - at
        made += old[at : change.start] + new[change.new_start : change.new_end]
        at = change.end
    return made + old[at:]


@pytest.mark.parametrize("seed", range(40))
def test_the_changes_make_the_new_of_the_old(seed: int) -> None:
    draw = random.Random(seed)
    old = [draw.choice("abcdefgh") * draw.choice((1, 1, 2)) for _ in range(draw.randrange(60))]
    new = [line for line in old if draw.random() > 0.2]
    for _ in range(draw.randrange(6)):
        new.insert(draw.randrange(len(new) + 1), draw.choice("abxyz"))
    draw.shuffle(new) if seed % 5 == 0 else None
    found = changes(old, new)
    assert rebuilt(old, new, found) == new
    assert all(one.end < other.start or one.new_end < other.new_start for one, other in itertools.pairwise(found))


def test_code_is_told_apart_as_diff_does(tmp_path: Path) -> None:
    """Of a module's functions, two swapped, one edited, one added: as many lines change as `diff --minimal` says, or few more."""
    functions = [f"def f{n}(x):\n    y = x + {n}\n    return y\n\n" for n in range(30)]
    edited = [*functions[:4], functions[5], functions[4], *functions[6:]]
    edited[10], edited[20] = edited[10].replace("x +", "x -"), edited[20] + "# more\n"
    old, new = "".join(functions), "".join(edited)
    (tmp_path / "old").write_text(old)
    (tmp_path / "new").write_text(new)
    said = subprocess.run(["diff", "--minimal", "old", "new"], cwd=tmp_path, capture_output=True, text=True).stdout
    least = sum(line[0] in "<>" for line in said.splitlines())
    found = changes(lines(old), lines(new))
    assert rebuilt(lines(old), lines(new), found) == lines(new)
    assert least <= sum(c.end - c.start + c.new_end - c.new_start for c in found) <= least + 4


@pytest.mark.parametrize("form", ["same line", "two lines", "reversed", "nested"])
def test_hostile_texts(form: str) -> None:
    """Two hundred thousand lines; difflib needs hours for the first."""
    n = 200_000
    old = {
        "same line": ["a"] * n,
        "two lines": ["a", "b"] * (n // 2),
        "reversed": [str(i) for i in range(n)],
        "nested": [str(i // 2) for i in range(n)],
    }[form]
    new = [*old[::-1], "c"]
    assert rebuilt(old, new, changes(old, new)) == new
