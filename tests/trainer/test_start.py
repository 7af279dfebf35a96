"""What a command hands to torchrun is what was given; the training itself is tested in test_train.py and test_parallel.py."""

import os
import sys
from pathlib import Path

import pytest

from starmill.trainer.start import start


def test_ranks_get_what_was_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "w/shards").mkdir(parents=True)
    (tmp_path / "w/shards/manifest.json").touch()
    monkeypatch.chdir(tmp_path)

    class Started(Exception):
        pass

    def execve(program: str, command: list[str], environment: dict[str, str]) -> None:
        raise Started(program, command)

    monkeypatch.setattr(os, "execve", execve)
    with pytest.raises(Started) as started:
        start("tiny", "w", "my model", ["seed=1", "data.micro_batch=1"], processes=2, fresh=True)
    program, command = started.value.args
    assert program == command[0] == sys.executable and "--nproc-per-node=2" in command
    given = ["tiny", "--workspace=w", "--output=my model", "--set=seed=1", "--set=data.micro_batch=1", "--fresh"]
    assert command[command.index("starmill.cli") + 2 :] == given
