"""A release of a real workspace and a model: put together, compared, damaged, gone on with."""

import json
import shutil
from pathlib import Path

import pytest
from small_tree import starmill

from starmill.cli.__main__ import main


@pytest.fixture(scope="module")
def released(milled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `work/`, portrait and fingerprints, an exported model, and the release of both."""
    place = tmp_path_factory.mktemp("release")
    shutil.copytree(milled / "work", place / "work")
    recipe = (milled / "recipe.yaml").read_text().replace(f"workspace: {milled}/work", f"workspace: {place}/work")
    (place / "recipe.yaml").write_text(recipe)
    (place / "model").mkdir()
    for name, data in (("README.md", "# A model\n"), ("model.safetensors", "weights"), ("tokenizer.json", "{}")):
        (place / "model" / name).write_text(data)  # copied, never loaded
    for command in ("portrait", "index"):
        starmill(command, "work", "--workers", "1", "--quiet", cwd=place)
    starmill("assemble", "recipe.yaml", "--model", "model", "--to", "release", "--quiet", cwd=place)
    return place


def compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, object]]:
    status = main(["assemble", "--check", str(folder), "--json"])
    return status, json.loads(capsys.readouterr().out)


def test_all_of_it_is_there(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = compared(released / "release", capsys)
    assert status == 0 and found["whole"]
    card = (released / "release/GOVERNANCE.md").read_text()
    digest = json.loads((released / "work/dataset/manifest.json").read_text())["digest"]
    assert digest in card and "Nothing was withdrawn" in card and "## Opting out" in card
    assert "Permission is hereby granted" in (released / "release/licenses/MIT.txt").read_text()
    listed = json.loads((released / "release/release.json").read_text())
    assert listed["dataset"] == digest and "model/model.safetensors" in listed["files"]
    # A portrait of the release answers as that of the workspace does.
    for name in ("portrait", "fingerprints"):
        for path in (released / "work" / name).glob("*.parquet"):
            assert (released / "release/attribution" / name / path.name).read_bytes() == path.read_bytes()


def test_what_is_wrong_is_named_and_made_again(released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "release"
    shutil.copytree(released / "release", folder)
    whole = (folder / "release.json").read_bytes()
    (folder / "model/tokenizer.json").write_text("{ }")
    (folder / "GOVERNANCE.md").unlink()
    (folder / "notes.txt").write_text("mine")
    status, found = compared(folder, capsys)
    assert status == 1 and (found["missing"], found["absent"]) == (["governance card"], ["GOVERNANCE.md"])
    assert (found["changed"], found["unknown"]) == (["model/tokenizer.json"], ["notes.txt"])
    (folder / "notes.txt").unlink()
    (folder / "release.json").write_text('{"files": []}')
    assert main(["assemble", "--check", str(folder)]) == 1 and "not the list of a release" in capsys.readouterr().err
    times = {p: p.stat().st_mtime_ns for p in folder.rglob("*.safetensors")}
    words = ["assemble", str(released / "recipe.yaml"), "--model", str(released / "model"), "--to", str(folder), "--quiet"]
    assert main(words) == 0 and (folder / "release.json").read_bytes() == whole
    assert times == {p: p.stat().st_mtime_ns for p in times}, "what is there is not written again"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--model", "nowhere"], "no README.md; give the folder that `starmill export` wrote"),
        (["--model", "model", "--to", "model"], "a folder with files that are no release"),
        (["--model", "linked"], "a link inside"),
    ],
    ids=["no-card", "foreign", "link"],
)
def test_what_is_refused(
    released: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(released)
    if "linked" in words and not (released / "linked").exists():
        shutil.copytree(released / "model", released / "linked")
        (released / "linked/passwd").symlink_to("/etc/passwd")
    assert main(["assemble", "recipe.yaml", *words]) in (1, 2)
    assert said in capsys.readouterr().err


def test_without_an_index(released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(released / "work", tmp_path / "work", ignore=shutil.ignore_patterns("fingerprints"))
    words = [
        "assemble",
        str(released / "recipe.yaml"),
        "--workspace",
        str(tmp_path / "work"),
        "--model",
        str(released / "model"),
    ]
    assert main([*words, "--to", str(tmp_path / "r")]) == 2
    assert "run `starmill index" in capsys.readouterr().err and not (tmp_path / "r").exists()


def test_an_index_of_an_earlier_release(released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(released / "work", tmp_path / "work")
    manifest = json.loads((tmp_path / "work/dataset/manifest.json").read_text())
    (tmp_path / "work/dataset/manifest.json").write_text(json.dumps({**manifest, "digest": "0" * 64}))
    words = ["--workspace", str(tmp_path / "work"), "--model", str(released / "model"), "--to", str(tmp_path / "r")]
    assert main(["assemble", str(released / "recipe.yaml"), *words]) == 1
    assert "that of an earlier release; run `starmill portrait` again" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_a_link_in_the_folder_leads_nowhere(released: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "r/data").mkdir(parents=True)
    (tmp_path / "r/model").symlink_to(tmp_path / "outside", target_is_directory=True)
    words = ["assemble", str(released / "recipe.yaml"), "--model", str(released / "model"), "--to", str(tmp_path / "r")]
    assert main(words) == 1 and "a link inside" in capsys.readouterr().err
    assert not [*(tmp_path / "outside").iterdir()]
