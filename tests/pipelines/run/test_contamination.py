"""What a finished data set holds of a benchmark: from its records, and from its shards by their own tokenizer."""

import json
from pathlib import Path

import pytest
from invented import LINES, TASKS

from starmill.cli import __main__ as cli
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.pipelines.run import contamination
from starmill.transforms.clean.overlap.index import Matchers


@pytest.fixture(scope="module")
def milled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose files were not searched: two of four hold a task."""
    folder = tmp_path_factory.mktemp("milled")
    repository = folder / "tree/mine"
    repository.mkdir(parents=True)
    (repository / "gap.py").write_text(f"import os\n\n\n{TASKS[0].prompt}{TASKS[0].solution}\nprint('a harvest of 3')\n")
    (repository / "fruit.py").write_text(f"# {TASKS[0].prose}\ndef other(basket, fruit):\n{TASKS[1].solution}")
    (repository / "plain.py").write_text("import sys\n\nprint(sys.argv, 'of the harvests', len(sys.argv))\n")
    (folder / "lab.jsonl").write_text("".join(json.dumps(line) + "\n" for line in LINES))
    (folder / "r.yaml").write_text(
        f"workspace: {folder}/w\nsources: {{code: {{kind: folders, roots: ['{folder}/tree']}}}}\n"
        "tokenizer: {vocab_size: 300, sample_bytes: 10000}\n"
    )
    assert cli.main(["run", str(folder / "r.yaml"), "--workers", "1", "--quiet", "--no-funnel"]) == 0
    return folder


@pytest.mark.parametrize("of", [None, "dataset", "shards"])
def test_records_and_shards_hold_the_same(milled: Path, of: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contamination, "BATCH", 100)
    told: list[tuple[int, int]] = []
    found = contamination.table(
        Workspace(f"{milled}/w"), [str(milled / "lab.jsonl")], Matchers(), of, lambda *done: told.append(done)
    )
    assert (found.of, found.texts, found.contaminated) == (of or "dataset", 3, 2)
    assert found.bytes == sum(file.stat().st_size for file in (milled / "tree/mine").iterdir())
    (lab,) = found.benchmarks
    assert (lab.benchmark, lab.tasks, lab.found, lab.files) == ("lab", 3, 2, 2)
    zero, one = found.tasks
    assert (zero.task, zero.files, zero.matchers) == ("Lab/0", 2, {"exact": 1, "hidden": 1})
    assert (one.task, one.files, one.matchers) == ("Lab/1", 1, {"exact": 1})
    (place,) = one.places
    text = (milled / "tree/mine/fruit.py").read_text()
    assert place.path.endswith("fruit.py") and text[place.start : place.end] == TASKS[1].solution.strip()
    assert told[0] == (0, 1) and told[-1] == (1, 1)


def test_a_workspace_without_data(tmp_path: Path, milled: Path) -> None:
    for of in (None, "dataset", "shards"):
        with pytest.raises(InputError, match=str(tmp_path)):
            contamination.table(Workspace(str(tmp_path)), [str(milled / "lab.jsonl")], Matchers(), of, lambda *_: None)


def test_the_command(milled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["contamination", f"{milled}/w", "--benchmark", str(milled / "lab.jsonl")]
    assert cli.main([*line, "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["contaminated"] == 2 and "contamination 1/1 parts" in said.err
    assert cli.main([*line, "--shards", "--quiet", "--only", "hidden", "--tasks", "1"]) == 0
    said = capsys.readouterr()
    assert "2 of 3 texts" in said.out and "exact" not in said.out and not said.err
    assert cli.main([*line, "--only", "hiden"]) == 2
    assert "--only hiden: no such matcher; give one of exact, short, hidden, edited, ports" in capsys.readouterr().err


def test_a_run_that_searches_leaves_nothing_to_find(milled: Path, tmp_path: Path) -> None:
    for mode, texts in (("drop", 1), ("cut", 3)):
        place = tmp_path / mode
        options = [f"release.benchmarks=[{milled}/lab.jsonl]", f"release.contaminated={mode}"]
        sets = [word for option in options for word in ("--set", option)]
        line = ["run", str(milled / "r.yaml"), "--workspace", str(place), *sets, "--workers", "1", "--quiet", "--no-funnel"]
        assert cli.main(line) == 0
        found = contamination.table(Workspace(str(place)), [str(milled / "lab.jsonl")], Matchers(), None, lambda *_: None)
        assert (found.texts, found.contaminated, found.tasks) == (texts, 0, ())
        rows = [row for part in Workspace(str(place)).parts("dataset") for row in Workspace(str(place)).table(part).to_pylist()]
        assert sum(bool(row["cuts"]) for row in rows) == (2 if mode == "cut" else 0)
