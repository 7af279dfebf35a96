"""What a file says of its own licence: heads, tables of REUSE, and dep5."""

import pytest
from tedious_texts import is_linear

from starmill.transforms.measure.reuse import Rule, own, rules

SPDX = "SPDX-License-" + "Identifier: "  # apart, so that no tool takes this file's licence from it


@pytest.mark.parametrize(
    ("head", "right"),
    [
        (f"// {SPDX}MIT", "MIT"),
        (f"/* {SPDX}GPL-2.0-only */", "GPL-2.0-only"),
        (f"<!-- {SPDX}CC0-1.0 -->", "CC0-1.0"),
        (f"#!/bin/sh\n# {SPDX}(MIT OR Apache-2.0)\n", "MIT OR Apache-2.0"),
        (f"; {SPDX}GPL-2.0-or-later WITH Classpath-exception-2.0", "GPL-2.0-or-later WITH Classpath-exception-2.0"),
        (f"REM {SPDX}ISC", "ISC"),
        (f" * {SPDX}MIT\n * {SPDX}ISC\n", "MIT AND ISC"),
        (f"# {SPDX}MIT\n# {SPDX}MIT\n", "MIT"),
        (f"# {SPDX}MIT, GPL-2.0-only\r\n", "MIT AND GPL-2.0-only"),
        (f"# {SPDX}MIT & GPL-3.0-only; and ISC", "MIT AND GPL-3.0-only AND ISC"),
        (f"# {SPDX}MIT/GPL-2.0-only OR ISC", "MIT AND (GPL-2.0-only OR ISC)"),
        (f"# {SPDX}MIT, see the file GPL", "MIT"),
        (f'print("{SPDX}MIT")', None),
        (f"    tag = {SPDX}MIT", None),
        (f"# {SPDX}", None),
        (f"# {SPDX}AND OR", None),
        ("x" * 9000 + f"\n# {SPDX}MIT", None),
    ],
)
def test_the_head_of_a_file(head: str, right: str | None) -> None:
    assert own(head) == right


def test_a_table_of_reuse() -> None:
    table = f'[[annotations]]\npath = ["img/**", "a/*.txt"]\n{SPDX[:-2]} = ["MIT", "ISC"]\n'
    found = rules("/sub/REUSE.toml", table)
    assert {rule.expression for rule in found} == {"MIT AND ISC"}
    held = {
        path: any(rule.holds(path) for rule in found)
        for path in ("/sub/img/x/y.png", "/sub/a/b.txt", "/sub/a/b/c.txt", "/img/x")
    }
    assert held == {"/sub/img/x/y.png": True, "/sub/a/b.txt": True, "/sub/a/b/c.txt": False, "/img/x": False}
    for broken in ("[[annotations", "annotations = 1", "[[annotations]]\npath = 7\n", ""):
        assert rules("/REUSE.toml", broken) == []


def test_a_pattern_is_no_longer_than_a_path() -> None:
    patterns = ["a" * 5000, "**/" * 100_000, "b"]
    table = f"[[annotations]]\npath = {patterns}\n{SPDX[:-2]} = 'MIT'\n"
    assert [rule.pattern for rule in rules("/REUSE.toml", table)] == ["b"]
    assert rules("/REUSE.toml", f"[[annotations]]\npath = 'b'\n{SPDX[:-2]} = '{'MIT AND ' * 1000}MIT'\n") == []


def test_dep5() -> None:
    text = "Format: x\n\nFiles: src/* doc\nCopyright: us\nLicense: GPL-2.0-only or MIT\n more\n\nFiles: *\nLicense: ISC\n"
    found = rules("/.reuse/dep5", text)
    assert [(rule.pattern, rule.expression) for rule in found] == [
        ("src/*", "GPL-2.0-only OR MIT"),
        ("doc", "GPL-2.0-only OR MIT"),
        ("*", "ISC"),
    ]
    assert found[0].holds("/src/a/b.c") and not found[0].holds("/lib/a.c")
    assert rules("/debian/copyright/dep5", text)[0].folder == "/debian/copyright"


def test_patterns_and_heads_take_linear_time() -> None:
    deep = Rule("/REUSE.toml", "", "**/" * 50 + "*a*a*a*b", "MIT")
    assert is_linear(lambda size: deep.holds("/" + "a/" * (size // 8)))
    assert is_linear(lambda size: deep.holds("/" + "a" * size))
    assert is_linear(lambda size: Rule("/REUSE.toml", "", "**/" * size + "x", "MIT").holds("/a/b/x"))
    assert Rule("/REUSE.toml", "", "**/" * 9 + "x", "MIT").holds("/a/b/x") and not Rule("/f", "", "**/**/x", "MIT").holds(
        "/a/b"
    )
    assert is_linear(lambda size: own(f"{SPDX}(" * (size // 26)))
    assert is_linear(lambda size: rules("/dep5", "Files: *\n" * (size // 9)))
