"""`starmill run` and the stages: what is handed to Beam, what a dry run shows, and mistakes that are told before any work."""

import json
import re
import subprocess
import sys
from pathlib import Path

import exports
import hours
import pytest
from small_tree import commit

from starmill.cli import __main__ as cli
from starmill.pipelines.run import stages as running
from starmill.pipelines.runners.runner import Runner


def test_what_follows_the_dashes_is_beams(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[object] = []
    monkeypatch.setattr(running, "run_stage", lambda name, options, runner, quiet: seen.extend((name, runner, quiet)))
    given = ["--runner=SparkRunner", "--set", "x=y", "--input", "--parallelism=4"]
    arguments = ["ingest", "smoke", "--workspace", str(tmp_path), "--workers", "3", "--quiet", "--no-funnel"]
    assert cli.main([*arguments, "--", *given]) == 0
    assert seen == ["ingest", Runner(tuple(given)), True]


def test_a_dry_run_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in/r").mkdir(parents=True)
    (tmp_path / "in/r/a.py").write_text("x = 1\n")
    arguments = ["run", "smoke", "--input", str(tmp_path / "in"), "--workspace", str(tmp_path / "w"), "--dry-run"]
    assert cli.main(arguments) == 0
    shown = capsys.readouterr().out
    assert "part     0       1 repositories" in shown and "stage ingest    to be made" in shown
    assert not (tmp_path / "w").exists()


def test_a_benchmark_that_is_not_there_is_told_before_the_first_stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "repository").mkdir(parents=True)
    arguments = ["run", "smoke", "--input", str(tmp_path / "in"), "--workspace", str(tmp_path / "w"), "--quiet"]
    assert cli.main([*arguments, "--set", "release.benchmarks=[/none.jsonl]"]) == 1
    assert "/none.jsonl: no such file" in capsys.readouterr().err
    assert cli.main([*arguments, "--set", "release.benchmarks=[nope]"]) == 1
    assert "no benchmark 'nope' ships" in capsys.readouterr().err and not (tmp_path / "w").exists()


def test_nothing_to_do_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in").mkdir()
    assert cli.main(["ingest", "smoke", "--input", str(tmp_path / "in"), "--workspace", str(tmp_path / "w"), "--quiet"]) == 1
    assert "no repositories found" in capsys.readouterr().err


def test_a_dry_run_that_would_read_nothing_says_so_and_why_a_run_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.py").write_text("x = 1\n")  # in no git repository
    of = f"sources={{history: {{kind: commits, roots: [{tmp_path / 'in'}]}}}}"
    arguments = ["ingest", "smoke", "--set", of, "--workspace", str(tmp_path / "w"), "--quiet"]
    assert cli.main([*arguments, "--dry-run"]) == 0
    assert "nothing to read: these sources have no repositories, or all are left out" in capsys.readouterr().out
    assert cli.main(arguments) == 1 and "but 1 that are left out (no_history)" in capsys.readouterr().err


def test_a_dry_run_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in/r").mkdir(parents=True)
    (tmp_path / "in/r/a.py").write_text("x = 1\n")
    monkeypatch.chdir(tmp_path)  # the recipe that ships is found from any folder
    assert cli.main(["ingest", "--input", "in", "--workspace", "w", "--dry-run", "--json"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert [part["first"] for part in planned["parts"]] == ["r"] and not any(s["complete"] for s in planned["stages"])
    assert cli.main(["ingest", "--input", "in", "--workspace", "w", "--json"]) == 2
    assert "--dry-run" in capsys.readouterr().err and not (tmp_path / "w").exists()


def test_a_workspace_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "in/r").mkdir(parents=True)
    (tmp_path / "in/r/a.py").write_text("x = 1\n")
    (tmp_path / "file").write_text("")
    assert cli.main(["ingest", "--input", str(tmp_path / "in"), "--workspace", str(tmp_path / "file"), "--quiet"]) == 1
    assert capsys.readouterr().err.startswith(f"starmill: {tmp_path / 'file'}")


def test_a_catalog_says_what_it_would_read_and_where_it_would_lie(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exports.write(tmp_path / "heritage", {"https://github.com/o/r": commit(tmp_path / "r", {"a": "1\n"})})
    given = ["catalog", "software-heritage", "--set", "sources.heritage.contents=heritage/content"]
    assert cli.main(given) == 2
    assert "--set sources.heritage.catalog=PLACE" in capsys.readouterr().err
    assert cli.main([*given, "--set", "sources.heritage.catalog=made", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^table directory_entry +2 files", said, re.MULTILINE) and not (tmp_path / "made").exists()
    assert cli.main([*given, "--set", "sources.heritage.catalog=heritage/orc/made", "--dry-run"]) == 2
    assert "lies inside the input" in capsys.readouterr().err
    assert cli.main(["catalog", "smoke"]) == 2 and "the recipe has no source of kind swh" in capsys.readouterr().err


def test_threads_says_what_it_would_sort_and_sorts_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hours.hour(tmp_path / "gharchive/2016-01-01-0.json.gz", hours.opened(1, 1), b"{")
    assert cli.main(["threads"]) == 2 and "--set sources.github.threads=PLACE" in capsys.readouterr().err
    given = ["threads", "--set", "sources.github.index=null", "--set"]
    assert cli.main([*given, "sources.github.threads=gharchive/sorted", "--dry-run"]) == 2
    assert "must not lie in " in capsys.readouterr().err
    given.append("sources.github.threads=sorted")
    assert cli.main([*given, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "1 parts of days, 4 buckets" in said and "1 of 1 parts to be made" in said and not (tmp_path / "sorted").exists()
    assert cli.main([*given, "--workers", "1"]) == 0
    captured = capsys.readouterr()
    assert "done in" in captured.out and "1 lines or hours are damaged" in captured.err
    assert cli.main(["ingest", *given, "--workspace", "w", "--workers", "1"]) == 0
    assert cli.main(["why", "/issues/1", "--workspace", "w"]) == 0
    assert "me/toy" in capsys.readouterr().out
    assert cli.main(["threads", "smoke"]) == 2 and "the recipe has no source of kind gharchive" in capsys.readouterr().err


def test_a_run_with_nothing_to_do_loads_no_library_that_would_do_it(tmp_path: Path) -> None:
    (tmp_path / "in/project").mkdir(parents=True)
    (tmp_path / "in/project/a.py").write_text("print(1)\n")
    command = [
        "ingest",
        "smoke",
        "--input",
        str(tmp_path / "in"),
        "--workspace",
        str(tmp_path / "w"),
        "--workers",
        "1",
        "--no-funnel",
    ]
    assert cli.main(command) == 0
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*")}
    loaded = "[n for n in ('apache_beam', 'numba', 'torch', 'pyarrow.dataset', 'pandas', 'rich.progress') if n in sys.modules]"
    code = f"import sys\nfrom starmill.cli.__main__ import main\nstatus = main(sys.argv[1:])\nprint({loaded})\nsys.exit(status)"
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True)
    assert done.returncode == 0 and "up to date: 1 parts" in done.stderr, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "w").rglob("*")} == before, "and it writes nothing"
    (tmp_path / "in/project/b.py").write_text("print(2)\n")
    assert cli.main(command) == 0
    assert before[tmp_path / "w/records/part-00000.parquet"] < (tmp_path / "w/records/part-00000.parquet").stat().st_mtime_ns
