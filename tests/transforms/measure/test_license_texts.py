"""Texts of licences: those of the permissive list that have an SPDX id are all there, and an unknown id has none."""

from starmill.transforms.measure.license_texts import texts


def test_texts_by_either_kind_of_id() -> None:
    wanted = ["MIT", "Apache-2.0", "BSD-3-Clause", "LicenseRef-scancode-public-domain", "nothing like it"]
    found = texts(wanted)
    assert {"MIT", "Apache-2.0", "BSD-3-Clause"} <= found.keys() and "nothing like it" not in found
    assert "Version 2.0, January 2004" in found["Apache-2.0"] and "without restriction" in found["MIT"]
