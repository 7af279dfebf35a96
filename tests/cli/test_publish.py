"""`datacard` and `publish` from the command line: what is planned, what is made, what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from ingested_workspace import ingested
from mixed import release

from starmill.cli.__main__ import main
from starmill.core.dataset import Workspace
from starmill.pipelines.recipe import build
from starmill.pipelines.run.stages import publish_stages, run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import STAGES, load
from starmill.reports.targets import Folder

# A notice without a word of licences: ScanCode, which takes seconds to load, is not asked.
TEXTS = (("r", "/NOTICE", "It holds things of others\n"), ("r", "/page", "Write to jane.doe" + "@real-site.org\n"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A recipe whose workspace has a dataset of a page, and a licence beside it."""
    place = tmp_path_factory.mktemp("workspace")
    values: dict[str, Any] = {"workspace": str(place / "w"), "sources": {"dump": {"kind": "folders", "roots": [str(place)]}}}
    (place / "r.yaml").write_text(json.dumps(values))
    workspace, options = Workspace(values["workspace"]), build(values)
    ingested(workspace, TEXTS, ("code", "documentation"), (None, [{"role": "text", "name": "Markdown", "start": 0, "end": 4}]))
    workspace.finish("records", "k", 1, "v")
    publish_stages(workspace, 1)
    for name in STAGES[1:]:
        run_stage(name, options, choose(()), quiet=True)
        if load(name).dataset == "dataset":
            break
    return str(place / "r.yaml")


def test_the_card(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = ["--set", "card.name=Pages of a test", "--set", "card.contact=data-desk" + "@real-site.org"]
    assert main(["datacard", recipe, *name]) == 0
    told = capsys.readouterr().out
    assert told.startswith("---\npretty_name: Pages of a test\n") and "# Pages of a test" in told
    assert "write to data-desk" + "@real-site.org" in told, "an address to write to is meant to be read"
    assert "| EMAIL | an e-mail address | 1 |" in told
    assert main(["datacard", recipe, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["kinds"]["documentation"]["records"] == 1 and data["redacted_records"] == 1


def test_a_dry_run_writes_nothing_and_a_second_run_makes_nothing(
    recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["publish", recipe, "--to", str(out), "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert not out.exists() and {file["there"] for file in planned["files"]} == {False}
    assert main(["publish", recipe, "--to", str(out), "--json", "--quiet"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert {f["path"] for f in planned["files"]} | {"README.md", "croissant.json"} == {f["path"] for f in made["files"]}
    assert {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()} == {f["path"] for f in made["files"]} | {
        "starmill.json"
    }
    assert "notices/*.parquet" in (out / "README.md").read_text()
    before = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert main(["publish", recipe, "--to", str(out)]) == 0
    assert "0 of them made now, 0 removed" in capsys.readouterr().out
    assert {p: p.read_bytes() for p in out.rglob("*") if p.is_file()} == before
    assert main(["publish", recipe, "--to", str(out), "--dry-run"]) == 0
    assert "to be made" not in capsys.readouterr().out


def test_datasets_loads_the_folder(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    assert main(["publish", recipe, "--to", str(tmp_path / "out"), "--quiet"]) == 0
    workspace = Workspace(str(Path(recipe).parent / "w"))
    wanted = workspace.table("dataset/part-00000.parquet").to_pylist()
    loaded = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert [dict(row) for row in loaded] == wanted and wanted
    kinds = datasets.load_dataset(
        str(tmp_path / "out"), "documentation-Markdown", split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(kinds) == 1
    notices = datasets.load_dataset(str(tmp_path / "out"), "notices", split="train", cache_dir=str(tmp_path / "cache"))
    assert [row["path"] for row in notices] == ["/NOTICE"]


def test_ctrl_c_is_told_and_leaves_what_is_whole(
    recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(self: Folder, relative: str, staged: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "put_file", stopped)
        assert main(["publish", recipe, "--to", str(tmp_path / "out")]) == 130
    assert "run the same command to continue" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "out").rglob("*")] == ["starmill.json"]
    assert main(["publish", recipe, "--to", str(tmp_path / "out"), "--quiet"]) == 0


def test_another_recipe_is_refused(recipe: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish", recipe, "--to", str(tmp_path / "out"), "--set", "release.redact.emails=false"]) == 2
    assert "made with another recipe" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_without_records_there_are_no_notices(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = release(tmp_path / "w")
    (tmp_path / "r.yaml").write_text(json.dumps({"workspace": workspace.root}))
    words = ["publish", str(tmp_path / "r.yaml"), "--to", str(tmp_path / "out")]
    assert main(words) == 1 and "--no-notices" in capsys.readouterr().err
    assert main([*words, "--no-notices", "--quiet"]) == 0
    assert not (tmp_path / "out/notices").exists() and "has to add those" in (tmp_path / "out/README.md").read_text()
    assert main(["publish", str(tmp_path / "r.yaml"), "--to", "ftp://x/y"]) == 2
