"""A file of one tensor is one that safetensors reads, and what it wrote is read."""

import numpy as np
import pytest
import safetensors.numpy

from starmill.core import tensors


def test_files_are_those_of_safetensors() -> None:
    vector = np.array([1.5, -2.0, 0.25], "<f4")
    data = tensors.written(vector, {"format": "f"})
    assert safetensors.numpy.load(data)["weights"].tolist() == vector.tolist()
    theirs = safetensors.numpy.save({"weights": vector}, {"format": "f"})
    assert tensors.read(theirs, "<f4")[0].tolist() == vector.tolist() and tensors.metadata(theirs) == {"format": "f"}


@pytest.mark.parametrize("bad", [b"", b"x" * 50, tensors.written(np.zeros(4, "<i4"), {})[:-4], b"\x02" + b"\0" * 7 + b"{}"])
def test_other_bytes_are_refused(bad: bytes) -> None:
    for kind in ("<i4", "<f4"):
        with pytest.raises((ValueError, KeyError)):
            tensors.read(bad, kind)  # type: ignore[arg-type]
