"""The three rules over licences: their order, what decides, and lists of the user's own. Whole trees are in test_license_trees.py."""

from pathlib import Path
from typing import Literal

import pyarrow as pa
import pytest

from starmill.core import schema
from starmill.core.errors import InputError, NotThere
from starmill.transforms.decide.licenses import JudgeLicenses, KeepLicensed, stack_v2, starmill

REFERENCE = "LicenseRef-scancode-unknown-license-reference"
SOME = frozenset({"MIT", "Apache-2.0"})


def row(path: str, expression: str, how: str = "text") -> dict[str, object]:
    return {"path": path, "expression": expression, "how": how, "score": 100.0, "start_line": 1, "end_line": 2}


def block(*licenses: str) -> pa.RecordBatch:
    columns = {
        "path": pa.array([f"/{n}/a" for n in range(len(licenses))]),
        "gha_license_id": pa.nulls(len(licenses), pa.string()),
        "detected_licenses": pa.array([[one] for one in licenses], pa.list_(pa.string())),
        "license_findings": pa.array([[row("/LICENSE", one)] for one in licenses], pa.list_(schema.LICENSE_FINDING)),
    }
    return pa.record_batch(columns)


def test_copyleft_goes_and_says_so() -> None:
    found = JudgeLicenses()(block("MIT", "GPL-2.0-only"))
    assert found.kept.column("license_type").to_pylist() == ["permissive"]
    assert found.reasons == ("non_permissive",) and found.details == ("GPL-2.0-only, text in /LICENSE:1, 100 %",)


def test_the_types_to_keep_are_an_option() -> None:
    found = KeepLicensed(keep=("non_permissive",)).step()(block("MIT", "GPL-2.0-only"))
    assert found.kept.column("path").to_pylist() == ["/1/a"] and found.reasons == ("permissive",)


def test_a_list_of_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("GPL-2.0-only\n")
    found = KeepLicensed(list=str(tmp_path / "mine.txt")).step()(block("MIT", "GPL-2.0-only"))
    assert found.kept.column("path").to_pylist() == ["/1/a"]
    with pytest.raises(NotThere, match=r"curate\.licenses\.list.*none\.txt"):
        KeepLicensed(list=str(tmp_path / "none.txt")).step()
    (tmp_path / "bad.txt").write_text("The MIT License\n")
    with pytest.raises(InputError, match=r"bad\.txt.*'The MIT License' is no identifier"):
        KeepLicensed(list=str(tmp_path / "bad.txt")).step()


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
def test_the_papers_order_of_decisions(gha: str | None, detected: set[str], expected: str) -> None:
    assert stack_v2([], gha, detected, SOME).type == expected


def test_a_notice_adds_to_what_is_above_and_a_text_ends_the_look() -> None:
    above = row("/COPYING", "GPL-2.0-only")
    assert starmill([row("/a/README", "MIT", "notice"), above], None, set(), SOME).type == "non_permissive"
    assert starmill([row("/a/LICENSE", "MIT"), above], None, set(), SOME).type == "permissive"
    assert (
        starmill([row("/a/LICENSE", "MIT"), row("/a/GPL", "GPL-2.0-only"), above], None, set(), SOME).type == "non_permissive"
    )
    assert starmill([row("/a/x", "GPL-2.0-only", "mention")], None, set(), SOME) == ("no_license", "nothing found")


@pytest.mark.parametrize("rule", ["starmill", "stack-v2", "strict"])
def test_a_verdict_is_of_its_row_alone(rule: Literal["starmill", "stack-v2", "strict"]) -> None:
    """Row by row the same is said as of a whole block: neighbours differ in score and line alone, have no findings, or null."""
    found = [
        [row("/LICENSE", "MIT")],
        [row("/LICENSE", "MIT") | {"score": 80.0, "start_line": 7}],
        [],
        None,
        [row("/LICENSE", "MIT"), row("/COPYING", "GPL-2.0-only")],
        [row("/COPYING", "GPL-2.0-only"), row("/LICENSE", "MIT")],
        [row("/LICENSE", "MIT")],
    ]
    columns = {
        "path": pa.array([f"/{n}" for n in range(len(found))]),
        "gha_license_id": pa.array([None] * 6 + ["MIT"]),
        "detected_licenses": pa.array(
            [["MIT"], ["MIT"], [], None, ["GPL-2.0-only", "MIT"], ["MIT"], []], pa.list_(pa.string())
        ),
        "license_findings": pa.array(found, pa.list_(schema.LICENSE_FINDING)),
    }
    rows = pa.record_batch(columns)
    judge = JudgeLicenses(keep=("permissive", "no_license", "non_permissive"), rule=rule)
    for part in (rows, rows.slice(1, 4), rows.slice(0, 0)):
        alone = [judge(part.slice(n, 1)).kept for n in range(part.num_rows)]
        for name in ("license_type", "license_rule"):
            one_by_one = [one.column(name)[0].as_py() for one in alone]
            assert judge(part).kept.column(name).to_pylist() == one_by_one


def test_what_says_nothing_of_terms_does_not_hide_what_is_above() -> None:
    nothing = "LicenseRef-scancode-warranty-disclaimer"
    for how in ("text", "declared"):
        found = [row("/a/README", nothing, how), row("/COPYING", "GPL-2.0-only")]
        assert starmill(found, None, set(), SOME).type == "non_permissive"
    assert starmill([row("/a/README", nothing)], None, set(), SOME).type == "no_license"
    assert starmill([row("/a/README", nothing)], "GPL-3.0", set(), SOME).type == "non_permissive"


def test_an_expression_that_does_not_parse_is_nothing_that_a_manifest_names() -> None:
    found = [row("/package.json", "MIT", "declared"), row("/LICENSE", "GPL-2.0-only AND")]
    assert starmill(found, None, set(), SOME).type == "non_permissive"
