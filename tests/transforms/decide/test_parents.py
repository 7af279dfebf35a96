"""Text that a model rewrote stays where it says what it was made of."""

import pyarrow as pa

from starmill.transforms.decide.parents import HasParent

PARENT = "swh:1:cnt:" + "0" * 40


def test_a_text_without_a_parent_goes() -> None:
    found = HasParent()(pa.record_batch({"path": ["/a", "/b", "/c"], "parent": [PARENT, None, ""]}))
    assert found.kept.column("path").to_pylist() == ["/a"] and found.reasons == ("no_parent", "no_parent")
