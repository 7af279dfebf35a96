"""Which expressions of SPDX are permissive, and which lists are read."""

import pytest

from starmill.transforms.decide.terms import NEUTRAL, identifiers, is_permissive, listed, permissive_licenses

SOME = frozenset({"MIT", "Apache-2.0", "LLVM-exception"})
CLA = "LicenseRef-scancode-generic-cla"


@pytest.mark.parametrize(
    ("expression", "right"),
    [
        ("MIT", True),
        ("GPL-2.0-only", False),
        ("MIT OR GPL-2.0-only", True),
        ("MIT AND GPL-2.0-only", False),
        ("MIT AND Apache-2.0", True),
        ("(GPL-2.0-only OR MIT) AND Apache-2.0", True),
        ("(GPL-2.0-only AND MIT) OR Apache-2.0", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("Apache-2.0 WITH Classpath-exception-2.0", False),
        ("GPL-2.0-only WITH LLVM-exception", False),
        ("LLVM-exception OR GPL-2.0-only WITH LLVM-exception", True),
        (CLA, None),
        (f"MIT AND {CLA}", True),
        (f"GPL-2.0-only AND {CLA}", False),
        ("not an ( expression", False),
        ("", None),
    ],
)
def test_an_expression_is_evaluated(expression: str, right: bool | None) -> None:
    if expression:
        assert is_permissive(expression, SOME) is right
    assert CLA in NEUTRAL


def test_only_and_or_later_name_one_licence() -> None:
    assert identifiers("GPL-2.0-only OR GPL-3.0+ AND MIT") == {"GPL-2.0", "GPL-3.0", "MIT"}
    assert identifiers("((") == frozenset()


def test_the_list_that_ships() -> None:
    allowed = permissive_licenses()
    assert {"MIT", "Apache-2.0", "BSD-3-Clause", "PSF-2.0", "CC0-1.0", "LLVM-exception", "Swift-exception"} <= allowed
    assert not {"GPL-3.0-only", "LGPL-2.1-only", "MPL-2.0", "AGPL-3.0-only", "Classpath-exception-2.0"} & allowed


def test_the_list_is_scancodes_of_the_pinned_version() -> None:
    from starmill.transforms.measure import scancode_child

    scancode_child.shut_out_archives()
    from licensedcode.cache import get_licenses_db

    kinds = ("Permissive", "Public Domain")
    known = [one for one in get_licenses_db().values() if one.category in kinds]
    assert permissive_licenses() == {
        key for one in known for key in (one.spdx_license_key, *one.other_spdx_license_keys) if key
    }


def test_lists_of_others_are_read() -> None:
    assert listed("MIT\n# a remark\n\nISC  # another\n") == {"MIT", "ISC"}
    blue_oak = '[{"name": "Gold", "licenses": [{"id": "BlueOak-1.0.0"}]}, {"name": "Silver", "licenses": [{"id": "MIT"}]}]'
    assert listed(blue_oak) == listed(f'{{"ratings": {blue_oak}}}') == {"BlueOak-1.0.0", "MIT"}
    for wrong in ("MIT License", '{"a": 1}', '["MIT"]', "my-host"):
        with pytest.raises(ValueError, match=r"identifier|Blue Oak"):
            listed(wrong)
    with pytest.raises(ValueError, match=r"'Apache2\.0' is no identifier of a licence; the nearest is Apache-2\.0"):
        listed("MIT\nApache2.0\n")
    former = {"GPL-2.0", "LicenseRef-scancode-public-domain", "LLVM-exception"}
    assert listed("\n".join(former)) == former
