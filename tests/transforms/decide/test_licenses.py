"""Which licence types stay."""

import pyarrow as pa

from starmill.transforms.decide.licenses import KeepLicensed

BLOCK = pa.record_batch({"path": ["/a", "/b", "/c"], "license_type": ["permissive", "non_permissive", "no_license"]})


def test_copyleft_goes_and_says_so() -> None:
    found = KeepLicensed()(BLOCK)
    assert found.kept.column("path").to_pylist() == ["/a", "/c"] and found.reasons == ("non_permissive",)


def test_the_types_to_keep_are_an_option() -> None:
    found = KeepLicensed(keep=("permissive",))(BLOCK)
    assert found.kept.column("path").to_pylist() == ["/a"] and found.reasons == ("non_permissive", "no_license")
