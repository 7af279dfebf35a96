"""From a dump to shards: every file is in exactly one place, every shard is the same however it was made, every story is told."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import kills
import pyarrow.parquet as pq
import pytest
from small_tree import git, starmill

from starmill.cli import __main__ as cli

STAGES = ("ingest", "measure", "curate", "dedup", "release", "tokenize")


def inputs(tree: Path) -> Counter[tuple[str, str]]:
    """Every file of the tree by git's and the disk's own account: (repository, path)."""
    found: Counter[tuple[str, str]] = Counter()
    for folder in ("alpha", "beta.git", "gamma", "delta"):
        names = git(tree / folder, "ls-tree", "-r", "-z", "--name-only", "HEAD").split("\0")[:-1]
        found.update((folder, f"/{name}") for name in names)
    for entry in os.scandir(tree / "broken"):
        found["broken", "/" + entry.name.encode("unicode_escape").decode()] += 1
    return found


def dropped(work: Path) -> list[dict]:
    return [
        row
        for stage in STAGES
        for part in sorted((work / "dropped" / stage).glob("*.parquet"))
        for row in pq.read_table(part).to_pylist()
    ]


def in_shards(work: Path) -> list[tuple[str, str]]:
    tables = [pq.read_table(part).to_pylist() for part in sorted((work / "shards").glob("*.docs.parquet"))]
    return [
        (document["repo_name"], "/" + file["path"].lstrip("/"))
        for table in tables
        for document in table
        for file in document["files"]
    ]


def test_every_file_is_in_exactly_one_place(milled: Path) -> None:
    places = Counter(in_shards(milled / "work")) + Counter((r["repo_name"], r["path"]) for r in dropped(milled / "work"))
    assert all(n == 1 for n in places.values()), [p for p, n in places.items() if n > 1]
    expected = inputs(milled / "tree")
    assert {p: n for p, n in places.items() if p[0] != "truncated"} == dict(expected)
    assert len(in_shards(milled / "work")) > 8


def test_broken_things_are_dropped_with_their_reason(milled: Path) -> None:
    reasons = {(r["repo_name"], r["path"]): r["reason"] for r in dropped(milled / "work")}
    assert reasons["broken", "/invalid.py"] == "undecodable"
    assert reasons["broken", "/nul.py"] == "nul_bytes"
    assert reasons["broken", "/long_line.js"] == "too_large"
    assert reasons["broken", "/evil\\nname.py"] == "hostile_path"
    assert reasons["broken", "/loop"] == "symlink"
    assert reasons["broken", "/pipe"] == "not_a_regular_file"
    assert reasons["alpha", "/empty.py"] == "empty"
    assert ("broken", "/spaces.py") in reasons, "a megabyte of spaces"
    truncated = {p: r for (n, p), r in reasons.items() if n == "truncated"}
    assert truncated and set(truncated.values()) <= {"unreadable_repository", "corrupt_object", "missing_object"}


def test_licences_twins_and_leaks(milled: Path) -> None:
    losses = {(r["repo_name"], r["path"]): r for r in dropped(milled / "work")}
    assert losses["gamma", "/main.py"]["reason"] == "non_permissive"
    assert losses["delta", "/stats.py"]["reason"] == "contaminated"
    assert losses["beta.git", "/src/bisect.py"]["reason"] == "exact_duplicate"
    twin = losses["beta.git", "/src/wrap.py"]
    assert (twin["reason"], twin["kept_path"]) == ("near_duplicate", "/lib/textwrap.py") and 0.7 <= twin["jaccard"] < 1


def test_a_literal_sentinel_stays_text(milled: Path) -> None:
    from starmill.core.shards import open_shards
    from starmill.core.tokenizer import Tokenizer

    tokenizer = Tokenizer.load(milled / "work/tokenizer/tokenizer.json")
    specials = 0
    for shard in open_shards(str(milled / "work")):
        for i, row in enumerate(shard.table.to_pylist()):
            for file in row["files"]:
                ids = shard.tokens(i)[file["token_start"] : file["token_start"] + file["token_count"]]
                if file["path"].endswith("sentinels.py"):
                    assert (ids >= 38).all() and "<fim_prefix><fim_suffix>" in tokenizer.decode(ids)
                if file["path"].endswith("contact.py"):
                    specials += int((ids == tokenizer.special("<EMAIL>")).sum())
                    assert "somewhere-real" not in tokenizer.decode(ids) and "93.184" not in tokenizer.decode(ids)
    assert specials == 1


@pytest.mark.parametrize(
    ("query", "told"),
    [
        (
            "alpha:/lib/heapq.py",
            [
                "language=Python, license_type=permissive, license_rule=MIT, text in /LICENSE:2, 100 %, detected_licenses=MIT",
                "dedup     kept",
                "release   kept",
                "tokenize  kept in shards/",
            ],
        ),
        ("alpha:/web/app.min.js", ["dropped by"]),
        ("beta.git:/src/wrap.py", ["near_duplicate", "kept instead: alpha:/lib/textwrap.py", "Jaccard 0."]),
        ("/stats.py", ["contaminated", "Own/0"]),
        ("broken:/nul.py", ["ingest    dropped by", "nul_bytes"]),
    ],
)
def test_why_tells_the_whole_story(milled: Path, query: str, told: list[str]) -> None:
    story = starmill("why", query, "--workspace", "work", cwd=milled).stdout
    for text in told:
        assert text in story, story


@pytest.mark.parametrize(
    "line",
    [
        "funnel",
        "status",
        "why alpha:/lib/heapq.py",
        "why beta.git:/src/wrap.py --diff-lines 0",
        "locate",
        "locate alpha:/lib/heapq.py",
    ],
)
def test_json_has_fields_and_no_lines_of_text(milled: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    def strings(value: object) -> set[str]:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        return set().union(*map(strings, inner), {value.strip()} if isinstance(value, str) else ())

    words = [*line.split(), "--workspace", str(milled / "work")]
    assert cli.main(words) == 0
    lines = {text.strip() for text in capsys.readouterr().out.splitlines()}
    assert cli.main([*words, "--json"]) == 0
    assert not strings(json.loads(capsys.readouterr().out)) & (lines - {""})


def test_why_by_swhid(milled: Path) -> None:
    blob = git(milled / "tree/gamma", "rev-parse", "HEAD:main.py").strip()
    assert "gamma:/main.py" in starmill("why", f"swh:1:cnt:{blob}", "--workspace", "work", cwd=milled).stdout


def test_killed_and_continued_gives_the_same_shards(milled: Path, tmp_path: Path) -> None:
    """By two workers, where one made the others."""
    command = [sys.executable, "-m", "starmill.cli", "run", "recipe.yaml", "--workers", "2", "--workspace", str(tmp_path / "w")]
    for stage, after in (("measure", 0.8), ("dedup", 0.7)):
        with subprocess.Popen(command, cwd=milled, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
            while run.poll() is None and kills.current(tmp_path / "w") != stage:
                time.sleep(0.02)
            time.sleep(after)
            run.kill()
        assert run.returncode == -signal.SIGKILL
        soon = time.monotonic() + 60
        while orphans(tmp_path / "w") and time.monotonic() < soon:  # workers notice within a second
            time.sleep(0.1)
        assert not orphans(tmp_path / "w")
    starmill("run", "recipe.yaml", "--workers", "2", "--workspace", str(tmp_path / "w"), cwd=milled)
    assert kills.digests(tmp_path / "w") == kills.digests(milled / "work")
    assert not list(tmp_path.rglob(".tmp-*"))


def orphans(workspace: Path) -> list[str]:
    """Processes that still have files of the workspace open."""
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if str(workspace) in os.readlink(link):
                found.append(str(link))
        except OSError:
            continue
    return found


def test_a_second_run_has_nothing_to_do(milled: Path) -> None:
    before = {p: p.stat().st_mtime_ns for p in (milled / "work").rglob("part-*")}
    done = starmill("run", "recipe.yaml", cwd=milled)
    assert done.stderr.count("up to date") == len(STAGES)
    assert {p: p.stat().st_mtime_ns for p in (milled / "work").rglob("part-*")} == before
