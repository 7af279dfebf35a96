"""The licences of a record are those of the file that it was taken from."""

import pyarrow as pa

from starmill.core import schema
from starmill.transforms.measure.marks import MarkedLicenses


def test_licenses_are_the_marks_in_their_order() -> None:
    marks = [
        {"role": role, "name": name, "start": 0, "end": 0}
        for role, name in (("license", "MIT"), ("needs", "a"), ("license", "Zlib"))
    ]
    block = pa.record_batch({"segments": pa.array([marks, [], None], schema.RECORDS.field("segments").type)})
    assert MarkedLicenses()(block).column("detected_licenses").to_pylist() == [["MIT", "Zlib"], [], []]
