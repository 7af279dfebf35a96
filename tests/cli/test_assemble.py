"""What `starmill assemble` refuses before it reads a workspace, and what it says of a folder that is no release."""

from pathlib import Path

import pytest

from starmill.cli.__main__ import main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["assemble"], "--model: give the folder of a model"),
        (["assemble", "--check", "."], "no release.json, so no release"),
        (["assemble", "--model", "m", "--to", "s3://b/r"], "a URL, and --to is a folder of this machine"),
    ],
    ids=["no-model", "no-list", "url"],
)
def test_refusals(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) in (1, 2)
    assert said in capsys.readouterr().err and not [*tmp_path.iterdir()]
