"""The reference to a part is a plain tuple."""

from starmill.core.part import PartRef


def test_a_reference_travels_as_a_tuple() -> None:
    ref = PartRef(3, "key", skips="s")
    assert tuple(ref) == (3, "key", "", "s") and PartRef(*tuple(ref)) == ref
