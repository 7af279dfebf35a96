"""Licences of a part: which files are asked, how what they say spreads, and what is remembered. What is made of it: decide/."""

import pyarrow as pa
import pytest

from starmill.core import recipe, schema
from starmill.core.errors import MachineError
from starmill.transforms.decide.terms import is_permissive, permissive_licenses
from starmill.transforms.measure import licenses
from starmill.transforms.measure.grants import Finding
from starmill.transforms.measure.licenses import MOST_FINDINGS, Licenses, SpreadLicenses, is_text, text_key, tier
from starmill.transforms.measure.matches import Found
from starmill.transforms.measure.scancode import DetectionTimeout

SPDX = "SPDX-License-" + "Identifier: "  # apart, so that no tool takes this file's licence from it


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


def test_a_folder_of_licences_has_texts_of_any_name() -> None:
    places = ("/LICENSES/Zlib.txt", "/a/licenses/GPL-3.0", "/LICENSES/a.py", "/LICENSES/a/Zlib.txt", "/Zlib.txt")
    assert [is_text(place) for place in places] == [True, True, False, False, False]


def test_a_licence_holds_below_its_folder_and_nowhere_else() -> None:
    folders = {"": "MIT", "/a/b": "GPL-2.0-only"}
    step = SpreadLicenses(
        {("r", place): frozenset({found}) for place, found in folders.items()} | {("s", "/a"): frozenset({"X"})},
        {("r", place): [Finding(f"{place}/LICENSE", found, "text")] for place, found in folders.items()},
        {("r", "/a/x.py"): Finding("/a/x.py", "ISC", "own")},
    )
    paths = ["/x.py", "/a/x.py", "/a/b/x.py", "/a/b/c/x.py", "/a/bc/x.py"]
    found = step(pa.record_batch({"repo_name": ["r"] * 5, "path": paths}))
    assert found.column("detected_licenses").to_pylist() == [["MIT"], ["MIT"], *[["GPL-2.0-only", "MIT"]] * 2, ["MIT"]]
    near = [[one["expression"] for one in row] for row in found.column("license_findings").to_pylist()]
    assert near == [["MIT"], ["ISC", "MIT"], ["GPL-2.0-only", "MIT"], ["GPL-2.0-only", "MIT"], ["MIT"]]
    assert found.schema.field("license_findings").type == pa.list_(schema.LICENSE_FINDING)


def test_a_file_has_a_bounded_number_of_findings_grants_first() -> None:
    mentions = [Finding(f"/a{n}", f"X-{n}", "mention") for n in range(500)]
    step = SpreadLicenses({}, {("r", ""): [*mentions, Finding("/LICENSE", "MIT", "text")]})
    row = step(pa.record_batch({"repo_name": ["r"], "path": ["/x"]})).column("license_findings")[0].as_py()
    assert len(row) == MOST_FINDINGS and row[0]["expression"] == "MIT"


def test_no_number_of_grants_hides_another_one() -> None:
    def rows(found: list[Finding], place: str = "") -> list[dict[str, object]]:
        step = SpreadLicenses({}, {("r", place): found, ("r", ""): [*([] if place else found), Finding("/z", "ISC", "text")]})
        given = step(pa.record_batch({"repo_name": ["r"], "path": [f"{place}/x"]})).column("license_findings")[0].as_py()
        assert len(given) <= MOST_FINDINGS
        return list(given)

    many = [Finding(f"/a/licenses/{n:03}", "MIT", "text") for n in range(500)]
    gone = Finding("/a/licenses/zz", "GPL-2.0-only", "text")
    assert [one["expression"] for one in rows([*many, gone], "/a")] == ["MIT", "GPL-2.0-only", "ISC"]
    others = [Finding(f"/a/{n:03}", f"X-{n}", "text") for n in range(500)]
    for place in ("", "/a"):  # more licences than a file may have: what is left out is no permission
        last = rows([*others, gone], place)[-1]
        assert (last["expression"], last["how"], last["path"]) == ("LicenseRef-starmill-skipped", "unread", "/a/063")
    mentioned = [Finding("/a/LICENSE", "MIT", "text"), *(Finding(f"/a/{n:03}", f"X-{n}", "mention") for n in range(500))]
    assert rows(mentioned, "/a")[-1]["path"] == "/z", "a licence of the folder above takes nothing from the nearer one"


class Memory(dict[str, list[str]]):
    """A cache that lasts as long as it is held."""

    put = dict.__setitem__


def part() -> pa.RecordBatch:
    rows = {
        "repo_name": ["r"] * 4,
        "path": ["/LICENSE", "/docs/README", "/x.py", "/setup.cfg"],
        "blob_id": ["1", "2", "3", "4"],
        "content": [f"{SPDX}MIT", "nothing about terms", f"# {SPDX}ISC", "[metadata]\nlicense = The MIT License\n"],
    }
    return pa.record_batch(rows)


def spread(options: Licenses, cache: Memory) -> SpreadLicenses:
    watch = options.watch(cache)
    watch.see(part().slice(0, 1))  # a tree's licences come from all of its blocks
    watch.see(part().slice(1))
    return watch.step()


def test_detection_is_remembered_by_text_and_tier() -> None:
    cache = Memory()
    found = spread(Licenses(), cache)
    assert found.folders == {("r", ""): {"MIT"}, ("r", "/docs"): frozenset()}
    assert {(one.path, one.expression, one.how) for one in found.findings["r", ""]} == {
        ("/LICENSE", "MIT", "tag"),
        ("/setup.cfg", "MIT", "declared"),
    }
    assert found.own == {("r", "/LICENSE"): Finding("/LICENSE", "MIT", "own"), ("r", "/x.py"): Finding("/x.py", "ISC", "own")}
    # A readme that mentions nothing is not even asked about, and neither is an identifier.
    assert set(cache) == {text_key(f"{SPDX}MIT", False), text_key("license: The MIT License", True)}
    cache.update({key: Found(("Zlib",)).lines() for key in cache})
    assert spread(Licenses(), cache).folders["r", ""] == {"Zlib"}


def test_a_record_that_is_left_out_is_a_licence_that_nobody_knows() -> None:
    watch = Licenses().watch(Memory())
    watch.see(part().slice(1, 2))
    watch.lose(part().slice(0, 1))
    step = watch.step()
    assert step.folders == {("r", ""): {"LicenseRef-starmill-skipped"}, ("r", "/docs"): frozenset()}
    assert step.findings == {("r", ""): [Finding("/LICENSE", "LicenseRef-starmill-skipped", "unread")]}
    watch.lose(part().slice(2, 1))
    assert len(watch.step().folders) == 2, "/x.py has no say in the first place"


def test_a_licence_file_without_a_text_is_one_that_nobody_knows() -> None:
    """Ingest has no text of it: too large, or in an encoding that nobody can tell. Its tree is not one without a licence."""
    lost = [
        ("r", "/COPYING", "too_large"),
        ("r", "/sub/License.txt", "undecodable"),
        ("s", "/LICENSE", "nul_bytes"),
        # A link leads to a file that is read, an empty one says nothing, and a picture is no terms.
        *(("t", "/LICENSE", reason) for reason in ("symlink", "empty", "not_a_regular_file", "hostile_path")),
        *(
            ("t", f"/{name}", "nul_bytes")
            for name in ("license.png", "mit-license.pdf", "copyright.gif", "README", "licenses.db")
        ),
    ]
    watch = Licenses().watch(Memory())
    watch.see(part().slice(1, 2))
    watch.miss(pa.RecordBatch.from_pylist([dict(zip(("repo_name", "path", "reason"), row, strict=True)) for row in lost]))
    step = watch.step()
    unknown = "LicenseRef-starmill-skipped"
    assert step.findings == {
        ("r", ""): [Finding("/COPYING", unknown, "unread")],
        ("r", "/sub"): [Finding("/sub/License.txt", unknown, "unread")],
        ("s", ""): [Finding("/LICENSE", unknown, "unread")],
    }
    assert is_permissive(unknown, permissive_licenses()) is False, "so that the tree is not trained on"


def test_a_declared_licence_that_takes_too_long_is_unknown_and_its_record_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same is known of its tree when a run finds the record on the list: how busy a machine was shows nowhere else."""
    left_out: list[str] = []

    class Slow:
        def detect(self, text: str, exact: bool, seconds: float) -> Found:
            raise DetectionTimeout

    monkeypatch.setattr(licenses, "detector", Slow)
    monkeypatch.setattr(licenses.skips, "give_up", lambda record: left_out.append(record.column("path")[0].as_py()))
    cache, record = Memory(), part().slice(3, 1)
    found, later = Licenses().watch(cache), Licenses().watch(cache)
    found.see(record)
    later.lose(record)
    assert left_out == ["/setup.cfg"] and not cache
    assert found.step() == later.step()
    assert found.findings == {("r", ""): [Finding("/setup.cfg", "LicenseRef-starmill-skipped", "unread")]}


def test_trouble_of_the_machine_is_no_licence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCANCODE_LICENSE_INDEX_CACHE", "/dev/null/none")
    cache = Memory()
    with pytest.raises(MachineError, match="ScanCode does not start"):
        spread(Licenses(), cache)
    assert not cache


def test_options_come_from_a_recipe() -> None:
    assert recipe.build(Licenses, {"max_license_bytes": 5}).max_license_bytes == 5
