"""A workspace lies in a place of its own: through the command, as a user meets it."""

import os
import uuid
from pathlib import Path

import pytest

from starmill.cli import __main__ as cli
from starmill.core.dataset import LastRun, Workspace
from starmill.core.errors import UsageError
from starmill.pipelines import recipe as recipes
from starmill.pipelines.run import place


def tree(root: Path) -> dict[str, bytes | None]:
    return {str(p.relative_to(root)): p.read_bytes() if p.is_file() else None for p in root.rglob("*")}


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    (tmp_path / "dump/project").mkdir(parents=True)
    (tmp_path / "dump/project/a.py").write_text("print('hello')\n")
    return tmp_path / "dump"


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("dump", "is the input"),
        ("dump/project/runs", "lies inside the input"),
        (".", "is around the input"),
        ("link/runs", "lies inside the input"),
    ],
)
def test_a_workspace_and_an_input_lie_apart(dump: Path, where: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    (dump.parent / "link").symlink_to(dump)
    before = tree(dump.parent)
    assert cli.main(["ingest", "smoke", "--input", str(dump), "--workspace", str(dump.parent / where)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert said in line and "--workspace" in line and tree(dump.parent) == before


def test_a_folder_of_other_files_is_no_workspace(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = dump.parent / "home"
    (home / "records").mkdir(parents=True)
    (home / "records/notes.txt").write_text("mine")
    before = tree(home)
    arguments = ["ingest", "smoke", "--input", str(dump), "--workspace", str(home), "--workers", "1", "--quiet", "--no-funnel"]
    assert cli.main(arguments) == 2 and tree(home) == before
    assert "'records'; 1 in all" in capsys.readouterr().err
    (home / place.MARK).touch()
    assert cli.main(arguments) == 0 and (home / "records/notes.txt").read_text() == "mine"


def test_what_a_run_made_or_began_is_one(tmp_path: Path) -> None:
    options = recipes.load("smoke", [], [], str(tmp_path / "w"))
    for url in (str(tmp_path / "w"), f"memory://{uuid.uuid4().hex}/w"):
        workspace = Workspace(url)
        place.check(workspace, options)
        workspace.publish(".lock", b"")
        place.check(workspace, options)
        workspace.publish("stages.json", b"[]")
        with pytest.raises(UsageError, match="not starmill's"):
            place.check(workspace, options)
        workspace.remove("stages.json")
        workspace.publish_last_run(LastRun((), 3))
        workspace.publish("notes", b"mine")
        place.check(workspace, options)
        workspace.remove("stages.json")
        place.claim(workspace)
        place.check(workspace, options)
    assert os.path.exists(tmp_path / "w" / place.MARK)


def test_a_place_may_be_a_file_where_a_source_takes_one(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (dump / "t.jsonl").write_text('{"text": "x = 1"}\n')
    for kind, option, status in (("table", "place", 0), ("archives", "folder", 1)):
        one = f"sources={{one: {{kind: {kind}, {option}: {dump / 't.jsonl'}}}}}"
        workspace = str(dump.parent / kind)
        assert cli.main(["ingest", "smoke", "--set", one, "--workspace", workspace, "--dry-run"]) == status
    assert "sources.one.folder: " in (said := capsys.readouterr().err) and "--input" not in said


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "kind: table, place: none",
            "sources.one.place: none: no such file or folder; give the file or folder that holds the dump",
        ),
        ("kind: archives, folder: none", "sources.one.folder: none: no such folder; give the folder that holds the dump"),
        (
            "kind: folders, roots: [dump, none]",
            "sources.one.roots: none: no such folder; give one that holds repositories, here or with",
        ),
        ("kind: commits, roots: []", "sources.one.roots: [], so nothing to read; give at least one folder"),
        (
            "kind: archives, folder: empty",
            "sources.one.folder: empty: an empty folder, so nothing to read; give the folder that holds",
        ),
    ],
    ids=lambda text: text[:20],
)
def test_an_input_that_is_not_there_is_told_by_its_option(
    dump: Path, source: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(dump.parent)
    (dump.parent / "empty").mkdir()
    assert cli.main(["ingest", "smoke", "--set", f"sources={{one: {{{source}}}}}", "--workspace", "w", "--dry-run"]) == 1
    assert said in " ".join(capsys.readouterr().err.split())
