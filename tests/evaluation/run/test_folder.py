"""A model in a folder, ours by our own engine; of another family, and folders that are none, tests/cli/test_evaluate.py."""

from pathlib import Path

import pytest
import tiny_model

from starmill.core.errors import InputError, UsageError
from starmill.evaluation.run.folder import model_of
from starmill.evaluation.run.ours import Ours


def test_a_folder(tmp_path: Path) -> None:
    assert isinstance(model_of(tiny_model.write(tmp_path), 3), Ours)
    with pytest.raises(InputError):
        model_of(tmp_path / "none")
    with pytest.raises(UsageError, match="--device nowhere"):
        model_of(tmp_path, device="nowhere")
