"""Trees of people's licences, with what a careful reader makes of them: texts are ScanCode's own, everything around them is made here.

Each tree has a file `/src/a.py` about which the question is asked, unless it says another one.
"""

import functools
import hashlib
import json
import sysconfig
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest

from starmill.transforms.decide.licenses import RULES, KeepLicensed
from starmill.transforms.measure.licenses import Licenses

ALL = ("permissive", "no_license", "non_permissive")


class Memory(dict[str, list[str]]):
    """A cache that lasts as long as the process: a text is asked about once, however many trees have it."""

    put = dict.__setitem__


MEMORY = Memory()


@functools.lru_cache
def text(key: str) -> str:
    """The text of a licence, as ScanCode ships it, without its front matter."""
    import licensedcode

    whole = (Path(licensedcode.__file__).parent / "data" / "licenses" / f"{key}.LICENSE").read_text()
    return whole.split("---\n", 2)[2].strip() + "\n"


def judged(
    files: dict[str, str],
    rule: str,
    gha: str | None = None,
    path: str = "/src/a.py",
    parts: Literal["apart", "whole"] = "apart",
    repo_name: str = "r",
) -> tuple[str, str]:
    """The type of the file at `path`, and what decided."""
    files = {path: "x = 1\n"} | files
    rows = {
        "repo_name": [repo_name] * len(files),
        "path": list(files),
        "blob_id": [hashlib.sha1(content.encode()).hexdigest() for content in files.values()],
        "content": list(files.values()),
        "gha_license_id": pa.array([gha] * len(files), pa.string()),
    }
    block = pa.record_batch(rows)
    watch = Licenses().watch(MEMORY)
    watch.see(block)
    kept = KeepLicensed(keep=ALL, rule=rule, parts=parts).step()(watch.step()(block)).kept  # type: ignore[arg-type]
    where = kept.column("path").to_pylist().index(path)
    return kept.column("license_type")[where].as_py(), kept.column("license_rule")[where].as_py()


def package(**values: object) -> str:
    return json.dumps({"name": "a", **values})


MIT = text("mit")
GPL = text("gpl-3.0")
YES, NO, NONE = "permissive", "non_permissive", "no_license"
GNU = """This program is free software: you can redistribute it and/or modify it under the terms of the GNU General Public License as
published by the Free Software Foundation, either version 3 of the License, or (at your option) any later version.
"""
SPDX = "SPDX-License-" + "Identifier: "  # apart, so that no tool takes this file's licence from it
NO_SALE = "\nThe software may not be used for commercial purposes without written permission.\n"

TREES: dict[str, tuple[dict[str, str], str]] = {
    # A text of its own.
    "mit": ({"/LICENSE": MIT}, YES),
    "apache": ({"/LICENSE.txt": text("apache-2.0")}, YES),
    "bsd": ({"/COPYING": text("bsd-new")}, YES),
    "isc in markdown": ({"/LICENSE.md": "# ISC License\n\n" + text("isc")}, YES),
    "zlib": ({"/LICENSE": text("zlib")}, YES),
    "unlicense": ({"/UNLICENSE": text("unlicense")}, YES),
    "cc0": ({"/LICENSE": text("cc0-1.0")}, YES),
    "boost": ({"/LICENSE_1_0.txt": text("boost-1.0")}, YES),
    "python": ({"/LICENSE": text("python")}, YES),
    "gpl": ({"/COPYING": GPL}, NO),
    "lgpl beside gpl": ({"/COPYING": GPL, "/COPYING.LESSER": text("lgpl-3.0")}, NO),
    "agpl": ({"/LICENSE": text("agpl-3.0")}, NO),
    "mpl": ({"/LICENSE": text("mpl-2.0")}, NO),
    "sspl": ({"/LICENSE": text("mongodb-sspl-1.0")}, NO),
    "business source": ({"/LICENSE": text("bsl-1.1")}, NO),
    "elastic": ({"/LICENSE": text("elastic-license-v2")}, NO),
    "not for sale": ({"/LICENSE": text("cc-by-nc-4.0")}, NO),
    "nothing": ({}, NONE),
    "a name alone": ({"/LICENSE": "MIT License\n\nCopyright (c) 2020 The authors\n"}, YES),
    "a name of the other kind": ({"/LICENSE": "Licensed under the GNU General Public License v3.0\n"}, NO),
    "a copyright alone": ({"/COPYRIGHT": "Copyright (c) 2020 The authors\n"}, NONE),
    "terms of their own": ({"/LICENSE": "You may look at this program. " * 12}, NO),
    # Conditions that somebody added.
    "mit but not for sale": ({"/LICENSE": MIT + NO_SALE}, NO),
    "commons clause": (
        {"/LICENSE": text("apache-2.0") + '\n"Commons Clause" License Condition v1.0\n\n' + text("commons-clause")},
        NO,
    ),
    "research only": ({"/LICENSE": MIT.replace("without restriction", "for academic research use only")}, NO),
    "commerce that is allowed": (
        {"/LICENSE": text("zlib").replace("any purpose", "any purpose, commercial and non-commercial")},
        YES,
    ),
    # Words about another licence.
    "compatible with the gpl": ({"/LICENSE": "This licence is GPL-compatible.\n\n" + MIT}, YES),
    "unlike the gpl": ({"/README.md": "Unlike the GPL, this is free for all. License: MIT.\n"}, YES),
    "no longer under the gpl": ({"/README": "No longer under the GPL.\n", "/LICENSE": MIT}, YES),
    "a readme that names a tool": ({"/README.md": "Checks whether files have the GPL in their heads.\n"}, NONE),
    # Readmes.
    "readme says mit": ({"/README.md": "# a\n\n## License\n\nReleased under the MIT license.\n"}, YES),
    "readme says gpl": ({"/README.md": f"# a\n\n{GNU}"}, NO),
    "readme with an identifier": ({"/README.md": f"# a\n\n{SPDX}Apache-2.0 WITH LLVM-exception\n"}, YES),
    "readme against the text": ({"/README.md": f"# a\n\n{GNU}", "/LICENSE": MIT}, NO),
    "readme about another program": ({"/README.md": "The old library is GPL-licensed.\n", "/LICENSE": MIT}, YES),
    "notice of what is bundled": ({"/LICENSE": MIT, "/NOTICE": "Some files are of others.\n\n" + text("mpl-2.0")}, YES),
    "notice alone": ({"/NOTICE": GNU}, NO),
    # Choices and both.
    "a choice in the readme": ({"/README.md": f"# a\n\n{SPDX}MIT OR GPL-2.0-or-later\n"}, YES),
    "both in the readme": ({"/README.md": f"# a\n\n{SPDX}MIT AND GPL-2.0-or-later\n"}, NO),
    "two texts, a manifest that chooses": (
        {"/LICENSE-MIT": MIT, "/LICENSE-GPL": GPL, "/Cargo.toml": '[package]\nlicense = "MIT OR GPL-3.0-or-later"\n'},
        YES,
    ),
    "two texts, a manifest that wants both": (
        {"/LICENSE-MIT": MIT, "/LICENSE-GPL": GPL, "/Cargo.toml": '[package]\nlicense = "MIT AND GPL-3.0-or-later"\n'},
        NO,
    ),
    "two texts and no word": ({"/LICENSE-MIT": MIT, "/LICENSE-GPL": GPL}, NO),
    "two permissive texts": ({"/LICENSE-MIT": MIT, "/LICENSE-APACHE": text("apache-2.0")}, YES),
    "a text that the manifest hides": ({"/LICENSE": MIT + "\n\n" + GPL, "/package.json": package(license="MIT")}, NO),
    # Manifests.
    "npm": ({"/package.json": package(license="MIT")}, YES),
    "npm, copyleft": ({"/package.json": package(license="AGPL-3.0-only")}, NO),
    "npm, a choice": ({"/package.json": package(license="(MIT OR GPL-3.0-only)")}, YES),
    "npm, unlicensed": ({"/package.json": package(license="UNLICENSED")}, NO),
    "npm, old form": ({"/package.json": package(licenses=[{"type": "MIT"}, {"type": "GPL-2.0-only"}])}, YES),
    "npm, see a file": ({"/package.json": package(license="SEE LICENSE IN LICENSE"), "/LICENSE": GPL}, NO),
    "npm, broken": ({"/package.json": '{"license": "MIT"'}, NONE),
    "composer": ({"/composer.json": json.dumps({"license": ["LGPL-2.1-only", "GPL-3.0-or-later"]})}, NO),
    "cargo, old choice": ({"/Cargo.toml": '[package]\nlicense = "MIT/Apache-2.0"\n'}, YES),
    "pyproject": ({"/pyproject.toml": '[project]\nlicense = "BSD-3-Clause"\n'}, YES),
    "pyproject, words": ({"/pyproject.toml": '[project]\nlicense = {text = "GPLv3"}\n'}, NO),
    "poetry": ({"/pyproject.toml": '[tool.poetry]\nlicense = "Apache-2.0"\n'}, YES),
    "setup.cfg": ({"/setup.cfg": "[metadata]\nname = a\nlicense = MIT License\n"}, YES),
    "classifier": ({"/a-1.dist-info/METADATA": "Name: a\nClassifier: License :: OSI Approved :: MIT License\n\nText\n"}, YES),
    "classifier of the gpl": (
        {"/PKG-INFO": "Name: a\nClassifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)\n\n"},
        NO,
    ),
    "license expression": ({"/a-1.dist-info/METADATA": "Name: a\nLicense-Expression: MIT AND GPL-2.0-only\n\n"}, NO),
    "pom": (
        {"/pom.xml": "<project><licenses><license><name>Apache License, Version 2.0</name></license></licenses></project>"},
        YES,
    ),
    "gemspec": ({"/a.gemspec": "Gem::Specification.new do |s|\n  s.license = 'MIT'\nend\n"}, YES),
    "cabal": ({"/a.cabal": "name: a\nlicense: BSD-3-Clause\n"}, YES),
    "R": ({"/DESCRIPTION": "Package: a\nLicense: GPL-3\n"}, NO),
    # A file that speaks for itself.
    "own word for": ({"/COPYING": GPL, "/src/a.py": f"# {SPDX}MIT\nx = 1\n"}, YES),
    "own word against": ({"/LICENSE": MIT, "/src/a.py": f"# {SPDX}GPL-3.0-or-later\nx = 1\n"}, NO),
    "own choice": ({"/src/a.py": f"/* {SPDX}GPL-2.0-only OR MIT */\n"}, YES),
    "two own words": ({"/src/a.py": f"# {SPDX}MIT\n# {SPDX}GPL-2.0-only\n"}, NO),
    "a program about identifiers": ({"/LICENSE": MIT, "/src/a.py": f'print("{SPDX}GPL-2.0-only")\n'}, YES),
    "beside": ({"/src/a.py.license": f"{SPDX}CC0-1.0\n", "/COPYING": GPL}, YES),
    # REUSE.
    "reuse, texts alone": ({"/LICENSES/GPL-3.0-or-later.txt": GPL}, NO),
    "reuse, a text without a telling name": ({"/LICENSES/Zlib.txt": text("zlib")}, YES),
    "reuse, own word": ({"/LICENSES/GPL-3.0.txt": GPL, "/LICENSES/MIT.txt": MIT, "/src/a.py": f"# {SPDX}MIT\n"}, YES),
    "reuse, table": (
        {
            "/LICENSES/GPL-3.0.txt": GPL,
            "/REUSE.toml": f'version = 1\n[[annotations]]\npath = "src/**"\n{SPDX[:-2]} = "MIT"\n',
        },
        YES,
    ),
    "reuse, table about others": (
        {"/LICENSES/GPL-3.0.txt": GPL, "/REUSE.toml": f'[[annotations]]\npath = "docs/*"\n{SPDX[:-2]} = "MIT"\n'},
        NO,
    ),
    "dep5": ({"/.reuse/dep5": "Files: src/*\nCopyright: us\nLicense: GPL-2.0-only\n", "/LICENSE": MIT}, NO),
    # Folders.
    "vendored, permissive": ({"/COPYING": GPL, "/src/LICENSE": MIT}, YES),
    "vendored, copyleft": ({"/LICENSE": MIT, "/src/COPYING": GPL}, NO),
    "a neighbour's": ({"/LICENSE": MIT, "/vendor/COPYING": GPL}, YES),
    "licences of a wheel": ({"/licenses/LICENSE": MIT}, YES),
    "code called so": ({"/src/gpl.py": GPL, "/LICENSE": MIT}, YES),
}


@pytest.mark.parametrize("name", TREES)
def test_a_tree_is_judged_as_a_careful_reader_would(name: str) -> None:
    files, right = TREES[name]
    found, why = judged(files, "starmill")
    assert found == right, why


def test_the_standard_library_stays() -> None:
    """Its licence tells how it goes together with the GPL, and holds the licences of what it took over."""
    place = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    if not place.exists():
        pytest.skip("NOT RUN: this Python has no LICENSE.txt beside its standard library")
    kind, rule = judged({"/LICENSE.txt": place.read_text()}, "starmill")
    assert kind == "permissive" and rule.startswith("Python-2.0, ")


SAYS_MIT = {"/package.json": package(license="MIT")}
BUNDLED = f"{MIT}\n-----------\n\nFollowing applies to:\n./etc/roots.pem\n\n{text('mpl-2.0')}"
DOCS = """
Documentation License
=====================

The documentation portion of Nut (the rendered contents of the "docs" directory of a software distribution) is supplied under the "Creative
Commons Attribution-ShareAlike 4.0 International" (CC BY-SA 4.0) License as described by https://creativecommons.org/licenses/by-sa/4.0/
"""
DEBIAN = f"\n----\n\nName: nut runtime\nFiles: a.libs/libnut*.so\nAvailability: https://nut.example/\nLicense: GPL-3.0-or-later\n\n{GNU}"
# Beside a package.json of MIT: files, what a file elsewhere is, a path in the part that they name, where there is one.
PARTS: dict[str, tuple[dict[str, str], str, str | None]] = {
    "a file under a heading": ({"/LICENSE": BUNDLED}, YES, "/etc/roots.pem"),
    "documentation": ({"/LICENSE": MIT + DOCS}, YES, "/docs/conf.py"),
    "fields": ({"/LICENSE": MIT + DEBIAN}, YES, "/a.libs/libnut-1.so"),
    "a chapter": ({"/LICENSE": f"{MIT}\n## Third-party software\n\n{GPL}"}, YES, "/third_party/nut/a.c"),
    "a name between rules": ({"/LICENSE": f"{MIT}\n====\nNUT 1.2\n====\n\n{GPL}"}, YES, "/src/nut/a.c"),
    "a file of its own": ({"/LICENSE": MIT, "/LICENSE.nut": GPL}, YES, "/src/libnut-1.2/a.c"),
    "a file of others": ({"/LICENSE": MIT, "/LICENSE-3RD-PARTY.txt": GPL}, YES, "/vendor/nut/a.c"),
    "data not for sale": (
        {"/LICENSE": MIT, "/README.md": "# a\n\n- The code is under the MIT license.\n- The data are for non-commercial use only.\n"},
        YES,
        "/data/a.py",
    ),
    "data and code not for sale": (
        {"/LICENSE": MIT, "/README.md": "# a\n\nReleased under the MIT license. Data and code are for non-commercial use only.\n"},
        NO,
        None,
    ),
    "a condition among the parts": ({"/LICENSE": f"{MIT}\n## Third-party software\n\n{text('isc')}{NO_SALE}"}, NO, None),
    "commons clause under a heading": (
        {"/LICENSE": f"{MIT}\n# Commons Clause License Condition v1.0\n\n{text('commons-clause')}"}, NO, None,
    ),
    "a bare rule": ({"/LICENSE": f"{MIT}\n-----------\n\n{GPL}"}, NO, None),
    "a rule and the licence's name": ({"/LICENSE": f"{MIT}\n-----------\n\nGNU General Public License\n\n{GPL}"}, NO, None),
    "a heading before all": ({"/LICENSE": f"NUT\n===\n\n{GPL}"}, NO, None),
    "a licence's name alone": ({"/LICENSE": GPL}, NO, None),
    "all the rest": ({"/LICENSE": f"{MIT}\n## nut\n\n{text('isc')}\nEverything else is under this:\n\n{GPL}"}, NO, None),
    "the source code": ({"/LICENSE": f"{MIT}\n## Source code\n\n{GPL}"}, NO, None),
    "all files": ({"/LICENSE": f"{MIT}\n## nut\n\n{text('isc')}\nFiles: *\n\n{GPL}"}, NO, None),
    "a file named after a licence": ({"/LICENSE": MIT, "/LICENSE.GPLv3": GPL}, NO, None),
    "the lesser licence": ({"/LICENSE": MIT, "/COPYING.LESSER": text("lgpl-3.0")}, NO, None),
    "an edition": ({"/LICENSE": MIT, "/LICENSE.v2.txt": GPL}, NO, None),
    "named like the project": ({"/LICENSE": f"{MIT}\n## Widget\n\n{GPL}"}, NO, None),
    "a readme's word for the whole alone": ({"/README.md": "Released under the MIT license.\n", "/LICENSE.nut": GPL}, NO, None),
}  # fmt: skip


@pytest.mark.parametrize("name", PARTS)
def test_a_part_of_a_licence_file_holds_for_that_part(name: str) -> None:
    files, right, inside = PARTS[name]
    found, why = judged(SAYS_MIT | files, "starmill", repo_name="acme/widget")
    assert found == right, why
    if inside is not None:
        assert judged(SAYS_MIT | files, "starmill", path=inside)[0] == NO


def test_parts_are_told_apart_beside_a_permissive_manifest_alone() -> None:
    for name, (files, _, inside) in PARTS.items():
        if inside is None:
            continue
        gpl = {"/package.json": package(license="GPL-3.0-only")}
        assert judged(files, "starmill")[0] == judged(gpl | files, "starmill")[0] == NO, name
        assert judged(SAYS_MIT | files, "starmill", parts="whole")[0] == NO, name
        assert judged(SAYS_MIT | files, "strict")[0] == NO, name
        # Without the part all is as it was: other rules see no difference.
        for rule in ("strict", "stack-v2"):
            assert judged(SAYS_MIT | files, rule) == judged(SAYS_MIT | files, rule, parts="whole")


def test_there_are_enough_shapes() -> None:
    assert len(TREES) >= 60


@pytest.mark.parametrize(
    ("gha", "files", "right"),
    [
        ("MIT", {}, YES),
        ("GPL-3.0", {}, NO),
        ("NOASSERTION", {}, NO),
        ("NOASSERTION", {"/LICENSE": MIT}, YES),
        ("MIT", {"/src/COPYING": GPL}, NO),  # GitHub looks at the root alone
        ("GPL-3.0", {"/README.md": "Released under the MIT license.\n"}, NO),
        ("GPL-3.0", {"/src/LICENSE": MIT}, YES),  # vendored
        ("GPL-3.0", {"/src/README.md": "Released under the MIT license.\n"}, NO),
        ("GPL-3.0", {"/src/README.md": f"# a\n\n{SPDX}MIT\n"}, NO),  # a readme's word adds to what is above
    ],
)
def test_what_gharchive_says_holds_at_the_root(gha: str, files: dict[str, str], right: str) -> None:
    found, why = judged(files, "starmill", gha)
    assert found == right, why


def test_the_strict_rule_keeps_nothing_that_another_rule_drops_for_a_grant() -> None:
    for name, (files, right) in TREES.items():
        found, why = judged(files, "strict")
        own = any(SPDX in content for content in files.values())
        assert found != YES or right == YES or own, f"{name}: {why}"
    assert judged({"/COPYING": GPL, "/src/LICENSE": MIT}, "strict")[0] == NO


def test_the_papers_rule_counts_mentions_and_choices() -> None:
    assert judged(TREES["a choice in the readme"][0], "stack-v2")[0] == NO
    assert judged(TREES["mit"][0], "stack-v2")[0] == YES
    assert judged(TREES["own word against"][0], "stack-v2")[0] == YES
    assert {*RULES} == {"starmill", "stack-v2", "strict"}


def test_what_decided_is_said() -> None:
    assert judged({"/LICENSE": MIT}, "starmill")[1] == "MIT, text in /LICENSE:1, 100 %"
    assert judged({"/package.json": package(license="MIT")}, "starmill")[1] == "MIT, declared in /package.json, 100 %"
