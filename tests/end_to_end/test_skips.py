"""A record on which a step never ends becomes a row, by a list that gives the same bytes on any machine."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from stuck_step import mill, options, read

from starmill.core.dataset import Workspace
from starmill.core.errors import InputError
from starmill.pipelines.run.place import check
from starmill.reports import funnel, why

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dump")
    for name in ("one/a.py", "one/odd.py", "two/a.py", "two/odd.py", "two/slow.py", "two/z.py", "three/a.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(f"x = '{name[:7]}'\n")
    return root


def apart(place: Path, dump: Path, workers: int, *more: str, status: int = 0) -> str:
    """Run the driver in a process of its own; return what it says."""
    command = [sys.executable, str(HERE / "stuck_step.py"), str(place), str(dump), str(workers), *more]
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stderr[-4000:]
    return done.stderr


def digests(place: Path, dataset: str = "curated") -> dict[str, str]:
    manifest = Workspace(str(place)).manifest(dataset)
    assert manifest is not None
    return {output.path: output.sha256 for part in manifest.parts for output in part.outputs}


@pytest.fixture(scope="module")
def milled(dump: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    place = tmp_path_factory.mktemp("milled") / "w"
    return place, apart(place, dump, workers=2)


def test_the_record_is_named_and_becomes_a_row_and_all_others_stay(milled: tuple[Path, str]) -> None:
    place, said = milled
    assert "two:/slow.py took longer than max_record_seconds=2 in step stuck: left out, and listed in skips.json" in said
    assert "Traceback" not in said
    workspace = Workspace(str(place))
    kept = [path for part in workspace.parts("curated") for path in workspace.table(part, ["path"])["path"].to_pylist()]
    assert sorted(kept) == ["/a.py", "/a.py", "/a.py", "/z.py"]
    rows = [row for p in workspace.parts("dropped/curate") for row in pq.read_table(workspace.path(p)).to_pylist()]
    assert sorted((r["path"], r["step"], r["reason"], r["detail"]) for r in rows) == [
        ("/odd.py", "stuck", "odd", None),
        ("/odd.py", "stuck", "odd", None),
        ("/slow.py", "stuck", "skipped:stuck", "took longer than max_record_seconds=2"),
    ]
    assert not workspace.files("skips"), "the notes of workers are in the list"
    told = next(s for s in funnel.data(workspace)["stages"] if s["stage"] == "curate")
    assert {d["reason"]: d["files"] for d in told["dropped"]} == {"odd": 2, "skipped:stuck": 1}
    story = "\n".join(why.lines(why.tell(workspace, "two:/slow.py")))
    assert "dropped by stuck: skipped:stuck (took longer than max_record_seconds=2)" in story


def test_the_same_list_gives_the_same_bytes_and_an_entry_more_makes_one_part_again(
    milled: tuple[Path, str], dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, _ = milled
    mill(str(place), str(dump), 1)
    assert capsys.readouterr().err.count("up to date: 3 parts") == 3
    other = tmp_path / "w"
    other.mkdir()
    (other / "skips.json").write_bytes((place / "skips.json").read_bytes())
    check(Workspace(str(other)), options(str(other), str(dump)))
    mill(str(other), str(dump), 1)
    assert "took longer" not in capsys.readouterr().err and digests(other) == digests(place)

    listed = json.loads((other / "skips.json").read_text())
    [skip] = listed["skips"]
    before = Workspace(str(other)).published("curated")
    listed["skips"] = [skip, skip | {"path": "/z.py"}, skip | {"path": "/gone.py"}, skip | {"stage": "release"}]
    listed["skips"][1]["content_id"] = Workspace(str(other)).table("curated/part-00002.parquet")["content_id"].to_pylist()[1]
    (other / "skips.json").write_text(json.dumps(listed))
    mill(str(other), str(dump), 1)
    now = Workspace(str(other)).published("curated")
    assert [k for k in now if now[k] != before[k]] == [2], "only the part that holds the record"
    mill(str(other), str(dump), 1)
    assert capsys.readouterr().err.count("up to date: 3 parts") == 5


def test_a_repository_that_is_read_for_ever_is_a_row(dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, other = tmp_path / "w", tmp_path / "other"
    said = apart(place, dump, 2, "ingest")
    assert "three:/ took longer than max_repository_seconds=2 in step read: left out, and listed in skips.json" in said
    workspace = Workspace(str(place))
    rows = [row for p in workspace.parts("dropped/ingest") for row in pq.read_table(workspace.path(p)).to_pylist()]
    assert [(r["repo_name"], r["path"], r["reason"]) for r in rows] == [("three", "/", "skipped:read")]
    assert sum(workspace.table(p, ["path"]).num_rows for p in workspace.parts("records")) == 6
    other.mkdir()
    (other / "skips.json").write_bytes((place / "skips.json").read_bytes())
    read(str(other), str(dump), 1)
    assert "took longer" not in capsys.readouterr().err
    assert digests(other, "records") == digests(place, "records")
    read(str(other), str(dump), 1)
    assert "up to date: 3 parts" in capsys.readouterr().err


def test_dedup_and_the_training_of_a_tokenizer_name_what_is_slow_without_personal_data(tmp_path: Path) -> None:
    for number in (1, 2):
        text = "".join(f"the word number {i} of this text, where readers linger\n" for i in range(number, 40))
        (tmp_path / f"dump/{number}").mkdir(parents=True)
        (tmp_path / f"dump/{number}/jane.doe@real-site.org.py").write_text(text)
    said = apart(tmp_path / "w", tmp_path / "dump", 1, "all")
    for slow in ("dedup     group 0: step shingles", "tokenize  part 0: step train"):
        assert re.search(rf"(?m)^{slow} has been at [12]:/<EMAIL-[0-9a-f]{{12}}>\.py for \d+ s$", said), said


def test_a_damaged_list_is_named_before_any_work(dump: Path, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/skips.json").write_text('{"format": 1, "skips": [{"stage": "curate"')
    with pytest.raises(InputError, match=r"skips\.json: damaged .*put a copy of it back, or remove it"):
        mill(str(tmp_path / "w"), str(dump), 1)
    assert not (tmp_path / "w/records").exists()


@pytest.mark.slow
def test_a_run_in_one_process_is_ended_and_continues(milled: tuple[Path, str], dump: Path, tmp_path: Path) -> None:
    said = apart(tmp_path / "w", dump, workers=1, status=-9)
    assert "one record at a time; run the same command to continue" in said
    assert "left out, and listed in skips.json" in apart(tmp_path / "w", dump, workers=1)
    assert digests(tmp_path / "w") == digests(milled[0])
