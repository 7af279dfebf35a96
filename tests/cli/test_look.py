"""The views: a workspace named by --workspace, or by a recipe and --set; the same as text and as JSON."""

import json
from pathlib import Path

import pytest
import reported

from starmill.cli.__main__ import main
from starmill.pipelines.recipe import SOURCES


@pytest.mark.parametrize("command", ["funnel", "status"])
def test_the_recipe_names_the_workspace(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.yaml").write_text(
        f"workspace: {tmp_path / 'one'}\nsources: {{code: {{kind: folders, roots: [{tmp_path}]}}}}\n"
    )
    for more, named in (([], "one"), (["--set", f"workspace={tmp_path / 'two'}"], "two")):
        assert main([command, "--recipe", str(tmp_path / "r.yaml"), *more, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["workspace"] == str(tmp_path / named)


def test_a_recipe_without_a_workspace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "r.yaml").write_text("minhash: {threshold: 0.8}\n")
    assert main(["funnel", "--recipe", str(tmp_path / "r.yaml")]) == 2
    assert "workspace=None: give a folder or URL, here or with --workspace" in capsys.readouterr().err


def test_the_report_is_one_file_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, page = reported.build(tmp_path / "work"), tmp_path / "new" / "page.html"
    assert main(["report", place.root, "--output", str(page)]) == 0
    assert capsys.readouterr().out == f"{page}: {page.stat().st_size / 1e6:,.1f} MB; open it in a browser\n"
    assert page.read_text().startswith("<!doctype html>") and reported.EMAIL not in page.read_text()
    assert [p.name for p in page.parent.iterdir()] == [page.name]
    assert main(["report", place.root, "--json", "--output", str(tmp_path / "none.html")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["workspace"] == place.root and len(told["reasons"]) == 9 and not (tmp_path / "none.html").exists()


def test_a_report_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    for words, said in (
        (["nowhere"], "no stage is complete here; run `starmill run` first"),
        ([str(tmp_path / "file" / "below")], "file"),
        ([str(tmp_path), "--output", str(tmp_path)], "a folder, where a file is to be written"),
        ([str(tmp_path), "--output", str(tmp_path / "file" / "x.html")], "file"),
    ):
        assert main(["report", *words]) in (1, 2)
        assert said in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} == {"file"}


def test_a_file_that_is_nowhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", "/none.py", "--workspace", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("starmill: /none.py: no such file in")


def test_sources_say_what_a_recipe_may_hold(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sources", "--json"]) == 0
    told = {source["kind"]: source for source in json.loads(capsys.readouterr().out)}
    assert {*told} == {source.kind for source in SOURCES}
    assert {"key": "roots", "type": "list of text", "default": "required"}.items() <= told["folders"]["options"][-1].items()
    assert main(["sources"]) == 0
    shown = capsys.readouterr().out
    assert "    roots: required (list of text)  # of checkouts" in shown
    assert "\\n" not in shown and "\n  These are `<site>/Posts.xml`" in shown, "a paragraph is a line"
