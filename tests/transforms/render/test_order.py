"""Files behind what they import: small repositories of ten languages, the standard library against `ast`, cycles, and hostile texts."""

import ast
import importlib.util
import random
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from starmill.transforms.render.code import Format, ordered
from starmill.transforms.render.order import PATTERNS, by_dependency

STDLIB = Path(sysconfig.get_path("stdlib"))
# By language: files, each of which imports the one before it, and nothing else of the repository.
CHAINS = {
    "Python": {
        "a/leaf.py": "x = 1\n",
        "a/b/__init__.py": "from ..leaf import x\n",
        "src/c.py": "import os, sys\nfrom a.b import (x)\n",
        "d.py": "    import c\n",
        "e.py": "import os, d as known; print()\n",
        "f.py": "from . import (  # both\n    none,\n    e as other,\n)\n",
    },
    "JavaScript": {
        "lib/leaf.js": "export const x = 1",
        "lib/index.js": "export {x} from './leaf.js'",
        "app.mjs": "const x = require('./lib')",
        "main.js": 'import "./app.mjs"',
    },
    "TypeScript": {"b.ts": "", "deep/a.tsx": "import {\n  x,\n} from '../b.js'", "c.ts": "await import('./deep/a')"},
    "C": {"include/p/leaf.h": "", "src/own.h": '#include "p/leaf.h"', "src/own.c": ' # include "own.h"'},
    "C++": {"x/leaf.hpp": "", "x/y/z.cpp": '#include "../leaf.hpp"\n#include <vector>'},
    "Java": {
        "com/acme/util/Leaf.java": "package com.acme.util;\nclass Leaf {}",
        "com/acme/Mid.java": "package com.acme;\nimport java.util.List;\nimport static com.acme.util.Leaf.X;",
        "Top.java": "import com.acme.*;",
    },
    "Kotlin": {"Leaf.kt": "package p.q\n", "Top.kt": "package p\nimport p.q.Leaf"},
    "C#": {
        "Leaf.cs": "namespace Acme.Core {}",
        "Mid.cs": "namespace Acme;\nusing Acme.Core;",
        "Top.cs": "using System;\nusing Acme;\nnamespace Top {}",
        "Use.cs": "using Other = Top.Thing;",
    },
    "Go": {
        "internal/leaf/leaf.go": "package leaf",
        "pkg/mid.go": 'package pkg\nimport (\n\t"fmt"\n\tx "example.com/me/internal/leaf"\n)',
        "cmd/main.go": 'package main\nimport "example.com/me/pkg"',
    },
    "PHP": {
        "src/Leaf.php": "<?php\nnamespace App\\Core;\n",
        "src/Mid.php": "<?php\nnamespace App;\nuse App\\Core\\Leaf;",
        "src/Two.php": "<?php\nnamespace App\\Two;\nuse App\\{None\\Known, Mid};",
        "index.php": "<?php require_once __DIR__ . '/src/Two.php';",
    },
    "Ruby": {"lib/p/leaf.rb": "", "lib/p.rb": "require 'p/leaf'", "bin/run.rb": "require_relative '../lib/p'"},
    "Rust": {
        "src/a/leaf.rs": "pub struct X;",
        "src/a/mod.rs": "pub mod leaf;",
        "src/b.rs": "use super::a::Y;",
        "src/c.rs": "use std::fmt;\nuse crate::b::Z;",
        "src/d.rs": "use crate::{\n    none::{self, X as Y},\n    a::{leaf::X, none}, c::{Z, W},\n};",
        "src/main.rs": "mod d;\nfn main() {}",
    },
}


def rows(language: str, files: dict[str, str]) -> list[dict[str, Any]]:
    return [{"path": f"/{path}", "content": text, "language": language} for path, text in files.items()]


@pytest.mark.parametrize("language", CHAINS)
def test_what_is_imported_comes_first(language: str) -> None:
    files = rows(language, CHAINS[language])
    for seed in range(8):
        drawn = {file["path"]: n for n, file in enumerate(random.Random(seed).sample(files, len(files)))}
        made = by_dependency(files, lambda file, drawn=drawn: drawn[file["path"]])
        assert [file["path"] for file in made] == [file["path"] for file in files]


@pytest.mark.parametrize("package", ["asyncio", "email", "json", "unittest", "importlib"])
def test_the_standard_library_agrees_with_its_syntax_trees(package: str) -> None:
    paths = {path.relative_to(STDLIB).as_posix(): path.read_text() for path in sorted((STDLIB / package).rglob("*.py"))}
    modules = {path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in paths}
    needs: dict[str, set[str]] = {}
    for module, path in modules.items():
        of = module if path.endswith("__init__.py") else module.rpartition(".")[0]
        needs[path] = set()
        for node in ast.walk(ast.parse(paths[path])):
            if isinstance(node, ast.ImportFrom):
                name = (
                    importlib.util.resolve_name("." * node.level + (node.module or ""), of) if node.level else str(node.module)
                )
                for named in (f"{name}.{alias.name}" for alias in node.names):
                    needs[path] |= {modules[n] for n in (named, name) if n in modules and (n == named or named not in modules)}
            elif isinstance(node, ast.Import):
                needs[path] |= {modules[alias.name] for alias in node.names if alias.name in modules}
    place = {file["path"].lstrip("/"): n for n, file in enumerate(by_dependency(rows("Python", paths), lambda f: f["path"]))}
    assert sorted(place) == sorted(paths)

    def reached(path: str) -> set[str]:
        seen, left = set(), [path]
        while left:
            new = needs[left.pop()] - seen
            seen |= new
            left += new
        return seen

    edges = [(own, other) for own in paths for other in needs[own] if own not in reached(other)]  # none in a cycle
    assert len(edges) > 2 and all(place[other] < place[own] for own, other in edges)


def test_a_cycle_is_cut_where_the_fewest_imports_wait() -> None:
    files = rows("Python", {"a.py": "import b\nimport c", "b.py": "import a\nimport c", "c.py": "import a", "d.py": "import d"})
    assert [file["path"] for file in by_dependency(files, lambda file: file["path"])] == ["/c.py", "/a.py", "/b.py", "/d.py"]


def test_orders_of_a_format() -> None:
    files = rows("Python", {"b/c/d.py": "", "a.py": "import b.z", "b/z.py": "", "b/a.py": ""})

    def paths(order: Any, seed: int = 0) -> list[str]:
        return [file["path"] for file in ordered("me/toy", files, Format(order=order, seed=seed))]

    assert paths("path") == ["/a.py", "/b/a.py", "/b/c/d.py", "/b/z.py"]
    assert paths("depth") == ["/a.py", "/b/a.py", "/b/z.py", "/b/c/d.py"]
    assert {tuple(paths("random", seed)) for seed in range(20)} > {tuple(paths("random"))}
    assert all((p := paths("dependency", seed)).index("/b/z.py") < p.index("/a.py") for seed in range(20))
    assert len({tuple(paths("dependency", seed)) for seed in range(20)}) > 3, "and else at random"


# TypeScript is read as JavaScript is, C++ as C, Kotlin as Java.
@pytest.mark.parametrize("language", {PATTERNS[language]: language for language in reversed(CHAINS)}.values())
def test_hostile_texts_are_linear(language: str) -> None:
    """A megabyte each; what is not linear in it takes hours."""
    for unit in (
        "from . import ",
        'import "',
        "import ('./",
        "require_once ",
        " " * 100 + "use ",
        "use crate::",
        "a.b ",
        "\\",
        '#include "',
        "super::",
    ):
        text = unit * (1_000_000 // len(unit))
        files = rows(language, {f"{'d/' * 40}{n}.x": text[:300_000] for n in range(3)} | {"y.x": text})
        assert len(by_dependency(files, lambda file: file["path"])) == 4


@pytest.mark.parametrize("language", ["Python", "Rust"])
def test_from_endless_folders_nothing_is_looked_for(language: str) -> None:
    """An import is looked for at a hundred paths; each would have four thousand characters."""
    said, end = {"Python": ("import b\n", "py"), "Rust": ("mod b;\n", "rs")}[language]
    for folder, order in (("a/" * 10, ["b", "lib"]), ("a/" * 2000, ["lib", "b"])):
        files = rows(language, {f"{folder}lib.{end}": said, f"{folder}b.{end}": ""})
        found = by_dependency(files, lambda file: not file["content"])
        assert [file["path"].removesuffix(f".{end}").rpartition("/")[2] for file in found] == order
