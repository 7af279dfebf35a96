"""`portrait`, `index`, `attribute` and `search` as a person calls them."""

import io
import json
import sys
from pathlib import Path

import pytest
import released_workspace as released

from starmill.cli import __main__ as cli

CODE = "".join(f"value_{i} = compute({i}, factor={i * i})\n" for i in range(30))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("asked")
    rows = [
        released.row("me/project", "/a.py", CODE),
        released.row("you/jane.doe@real-site.org", "/b.py", CODE[400:] + "end\n" * 9 + "\x1b[31mmail jane.doe@real-site.org\n"),
    ]
    released.build(place / "w", [rows])
    for made in (["portrait"], ["index"], ["index", "--search"]):
        assert cli.main([*made, str(place / "w"), "--workers", "1", "--quiet"]) == 0
    (place / "text.py").write_text(f"# mine\n{CODE[:500]}")
    return place


def test_a_file_is_attributed(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["attribute", str(place / "text.py"), str(place / "w")]) == 0
    told = capsys.readouterr().out
    assert "line 2, 499 characters: value_0 = compute(0, factor=0)" in told
    assert "exact; in 1 file\n  me/project /a.py:1-" in told and "(MIT) swh:1:cnt:" in told


def test_json_has_fields_and_the_standard_input_is_a_text(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(CODE[600:900].encode())))
    assert cli.main(["attribute", "-", str(place / "w"), "--json"]) == 0
    out = capsys.readouterr().out
    [span] = json.loads(out)["spans"]
    assert (span["start"], span["similarity"], span["count"], len(span["files"])) == (0, 1.0, 2, 2)
    assert "jane.doe" not in out, "names are shown as other views show them"


def test_the_portrait_says_which_spans(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["attribute", str(place / "text.py"), str(place / "w"), "--portrait", "--json"]) == 0
    [span] = json.loads(capsys.readouterr().out)
    assert span["start"] == 7 and span["grams"] >= 7
    (place / "none.py").write_text("something else\n")
    assert cli.main(["attribute", str(place / "none.py"), str(place / "w"), "--portrait"]) == 0
    assert "nothing of it is in the release" in capsys.readouterr().out
    assert cli.main(["attribute", str(place / "none.py"), str(place / "w")]) == 0
    assert "no file of the release holds 50 characters" in capsys.readouterr().out


def test_a_text_is_searched(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["search", str(place / "w"), "value_7 =", "--context", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "       7  value_6 = compute(6, factor=36)",
        "       8: value_7 = compute(7, factor=49)",
        "       9  value_8 = compute(8, factor=64)",
        "1 files of 1 that were read",
    ]
    assert cli.main(["search", str(place / "w"), "^VALUE_(7|9) ", "--regex", "--ignore-case", "--json"]) == 0
    [file] = json.loads(capsys.readouterr().out)["files"]
    assert (file["repo_name"], file["count"], [m["line"]["number"] for m in file["matches"]]) == ("me/project", 2, [8, 10])
    assert cli.main(["search", str(place / "w"), "value_2", "--files", "1"]) == 0
    assert "1 more may have some; raise --files or --megabytes" in capsys.readouterr().out


def test_nothing_that_is_found_controls_a_terminal_or_names_a_person(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["search", str(place / "w"), "mail jane"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\\x1b[31mmail " in out and "jane.doe" not in out
    assert cli.main(["search", str(place / "w"), "mail jane", "--raw"]) == 0
    assert "jane.doe@real-site.org" in capsys.readouterr().out
    for pattern in ("(", "x*"):
        assert cli.main(["search", str(place / "w"), pattern, "--regex"]) == 2
        assert "PATTERN" in capsys.readouterr().err


def test_wrong_usage_names_the_fix(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["index", str(tmp_path / "none")]) != 0
    assert "no such folder" in capsys.readouterr().err
    (tmp_path / "w").mkdir()
    assert cli.main(["portrait", str(tmp_path / "w")]) == 2
    assert "run `starmill release` first" in capsys.readouterr().err
    assert cli.main(["attribute", str(place / "text.py"), str(tmp_path / "w")]) == 1
    assert "run `starmill index` first" in capsys.readouterr().err
    assert cli.main(["attribute", str(tmp_path / "no.py"), str(place / "w")]) == 1
    monkeypatch.setattr("starmill.cli.attribution.LARGEST", 10)
    assert cli.main(["attribute", str(place / "text.py"), str(place / "w")]) == 1
    assert "give the part of it to look for" in capsys.readouterr().err


def test_an_owner_is_told_what_the_release_has(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["owner", "ME", str(place / "w"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"name": "me/project", "files": 1, "bytes": len(CODE), "licenses": {"MIT": 1}}
    ]
    assert cli.main(["owner", "nobody", str(place / "w")]) == 0
    assert "nobody: 0 repositories" in capsys.readouterr().out
