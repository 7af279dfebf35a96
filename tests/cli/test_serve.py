"""`starmill serve` refuses before it loads a model; that it serves is tested in tests/end_to_end/test_serving.py."""

from pathlib import Path

import hostile_models
import pytest

from starmill.cli.__main__ import main


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])
def test_other_addresses_need_a_key(host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile_models.whole(tmp_path / "whole")
    assert main(["serve", str(tmp_path / "whole"), "--host", host]) == 2
    assert "give --api-key-file too" in capsys.readouterr().err
