"""Licences: which files count, how they spread, and The Stack v2's order of decisions."""

import pyarrow as pa
import pytest

from starmill.core import recipe
from starmill.core.errors import MachineError
from starmill.transforms.measure.licenses import (
    Licenses,
    SpreadLicenses,
    decide,
    permissive_licenses,
    tier,
)
from starmill.transforms.measure.scancode import detector

REFERENCE = "LicenseRef-scancode-unknown-license-reference"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LICENSE", "full"),
        ("LICENSE.md", "full"),
        ("lgpl-3.0.txt", "full"),
        ("MIT.txt", "full"),
        ("COPYING3", "full"),
        ("EPL-2.0", "full"),
        ("my_license", "full"),
        ("UNLICENSE", "full"),
        ("readme.rst", "exact"),
        ("NOTICE", "exact"),
        ("gpl.c", None),
        ("about.py", None),
        ("mitchell", None),
        ("normal.txt", None),
    ],
)
def test_candidates(name: str, expected: str | None) -> None:
    assert tier(f"/some/where/{name}") == expected


@pytest.mark.parametrize(
    ("gha", "detected", "expected"),
    [
        ("MIT", {"GPL-3.0-only"}, "permissive"),  # a: the repository's word comes first
        ("GPL-3.0", {"MIT"}, "non_permissive"),  # b
        ("GPL-3.0", set(), "non_permissive"),
        (None, set(), "no_license"),  # c
        ("NOASSERTION", set(), "non_permissive"),
        (None, {"MIT"}, "permissive"),  # d
        ("NOASSERTION", {"MIT"}, "permissive"),
        (None, {"MIT", "GPL-2.0-only"}, "non_permissive"),
        (None, {"MIT", "LicenseRef-scancode-generic-cla"}, "permissive"),
        (None, {"LicenseRef-scancode-generic-cla"}, "no_license"),
        (None, {"MIT", REFERENCE}, "permissive"),
        (None, {REFERENCE}, "non_permissive"),
    ],
)
def test_the_order_of_decisions(gha: str | None, detected: set[str], expected: str) -> None:
    assert decide(gha, detected, frozenset({"MIT", "Apache-2.0"})) == expected


def test_the_list() -> None:
    allowed = permissive_licenses()
    assert {"MIT", "Apache-2.0", "BSD-3-Clause", "PSF-2.0", "CC0-1.0"} <= allowed
    assert not {"GPL-3.0-only", "LGPL-2.1-only", "MPL-2.0", "AGPL-3.0-only"} & allowed
    assert not any(line.startswith("#") or line != line.strip() for line in allowed)


def test_a_licence_holds_below_its_folder_and_nowhere_else() -> None:
    step = SpreadLicenses(
        {("r", ""): frozenset({"MIT"}), ("r", "/a/b"): frozenset({"GPL-2.0-only"}), ("s", "/a"): frozenset({"X"})}
    )
    paths = ["/x.py", "/a/x.py", "/a/b/x.py", "/a/b/c/x.py", "/a/bc/x.py"]
    block = pa.record_batch({"repo_name": ["r"] * 5, "path": paths, "gha_license_id": pa.nulls(5, pa.string())})
    found = step(block).column("detected_licenses").to_pylist()
    assert found == [["MIT"], ["MIT"], ["GPL-2.0-only", "MIT"], ["GPL-2.0-only", "MIT"], ["MIT"]]


class Memory(dict[str, list[str]]):
    """A cache that lasts as long as it is held."""

    put = dict.__setitem__


def part() -> pa.RecordBatch:
    spdx = "SPDX-License-Identifier: MIT"
    rows = {
        "repo_name": ["r", "r", "r"],
        "path": ["/LICENSE", "/docs/README", "/x.py"],
        "blob_id": ["1", "2", "3"],
        "content": [spdx, "nothing about terms", spdx],
    }
    return pa.record_batch(rows)


def spread(options: Licenses, cache: Memory) -> SpreadLicenses:
    watch = options.watch(cache)
    watch.see(part().slice(0, 1))  # a tree's licences come from all of its blocks
    watch.see(part().slice(1))
    return watch.step()


def test_detection_is_remembered_by_text_and_tier() -> None:
    cache = Memory()
    assert spread(Licenses(), cache).folders == {("r", ""): {"MIT"}, ("r", "/docs"): frozenset()}
    assert list(cache.values()) == [["MIT"]], "a readme that mentions nothing is not even asked about"
    cache.update({key: ["Zlib"] for key in cache})
    assert spread(Licenses(), cache).folders["r", ""] == {"Zlib"}


def test_a_record_that_is_left_out_is_a_licence_that_nobody_knows() -> None:
    watch = Licenses().watch(Memory())
    watch.see(part().slice(1))
    watch.lose(part().slice(0, 1))
    assert watch.step().folders == {("r", ""): {"LicenseRef-starmill-skipped"}, ("r", "/docs"): frozenset()}
    watch.lose(part().slice(2))
    assert len(watch.step().folders) == 2, "/x.py has no say in the first place"


def test_trouble_of_the_machine_is_no_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    detector().stop()
    monkeypatch.setenv("SCANCODE_LICENSE_INDEX_CACHE", "/dev/null/none")
    cache = Memory()
    with pytest.raises(MachineError, match="ScanCode does not start"):
        spread(Licenses(), cache)
    assert not cache


def test_options_come_from_a_recipe() -> None:
    assert recipe.build(Licenses, {"max_license_bytes": 5}).max_license_bytes == 5
