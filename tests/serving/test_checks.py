"""Addresses and keys that cannot be used are refused; folders are tests/cli/test_serve.py's."""

from pathlib import Path

import pytest

from starmill.core.errors import InputError, MachineError, UsageError
from starmill.serving import checks


def test_addresses() -> None:
    with checks.bound("127.0.0.1", 0) as taken, pytest.raises(MachineError, match="give another --port"):
        checks.bound("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(UsageError, match="no address"):
        checks.bound("no host", 1)


def test_keys(tmp_path: Path) -> None:
    place = tmp_path / "key"
    for wrong in ("", "two words", "é", "a\nb"):
        place.write_text(wrong)
        with pytest.raises(InputError, match="no key in it"):
            checks.read_key(str(place))


def test_an_engine_is_the_url_of_a_server() -> None:
    assert checks.address("openai:https://there:8000/x/v1/") == "https://there:8000/x"
    for engine in (
        "vllm:http://x",
        "openai:",
        "openai:ftp://x",
        "openai:http://u:p@x",
        "openai:http://x?y",
        "openai:http://x:99999",
    ):
        with pytest.raises(UsageError, match="--engine"):
            checks.address(engine)
