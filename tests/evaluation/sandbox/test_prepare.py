"""What a person is told who asks for languages; what registries give is tried by `make languages` itself."""

from pathlib import Path

import pytest
import toolchains

from starmill.evaluation.sandbox import prepare, programs
from starmill.evaluation.sandbox.languages import LANGUAGES


def test_what_is_there_is_said_and_nothing_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    toolchains.namespaces()
    if programs.absent("sh"):
        pytest.skip("NOT RUN: no bash")
    assert prepare.main(["sh"]) == 0 and "can be judged here" in capsys.readouterr().out
    assert prepare.main(["jss"]) == 1 and "did you mean" in capsys.readouterr().out


def test_a_tool_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(prepare.MachineError, match="no npm; install it"):
        prepare.prepare("ts")
    assert not [*(tmp_path / "cache/starmill/languages").iterdir()], "nothing half made stays"


def test_every_language_says_where_it_comes_from() -> None:
    assert all(language.install for language in LANGUAGES.values())
    assert {*prepare.PREPARED} == {name for name, language in LANGUAGES.items() if language.prepared}
    assert LANGUAGES["go"].install == "Go (https://go.dev/dl), then run `make languages LANGUAGES=go`"
