"""The recipe of The Stack v3 over a hub of data sets, and over a folder: the same bytes, whoever reads and on how many workers."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import small_tree
from hub import serving

from starmill.core.dataset import Workspace

FILES = 40
TEXT = "".join(f"def add_{i}(width, height):\n    return width * height + {i}\n\n\n" for i in range(400))


def stack_v3(folder: Path) -> None:
    """Write the layout of HuggingFaceCode/stack-v3-train, of our own texts: two files of 20 repositories."""
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("a card")
    for part in range(2):
        names = [f"owner/{part}{i:02d}" for i in range(20)]
        files = [[{"content": f"# {name}\n{TEXT}", "file_path": "src/a.py", "content_id": "ab" * 20}] for name in names]
        facts = [{"branch": "main", "stars": i, "forks": 0, "repo_created_at": "2020-01-01T00:00:00Z"} for i in range(20)]
        table = pa.table({"repo_path": names, "repo_id": [*range(20)], "github_metadata": facts, "files": files})
        pq.write_table(
            table,
            folder / f"data/part-{part:05d}-x.snappy.parquet",
            row_group_size=10,
            compression="snappy",
            use_dictionary=False,
        )


def starmill(*given: str, **environment: str) -> str:
    command = [sys.executable, "-m", "starmill.cli", *given]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_a_hub_gives_what_a_folder_gives(tmp_path: Path) -> None:
    stack_v3(tmp_path / "dump")
    small = ["--set", "ingest.part_bytes=1", "--quiet"]
    with serving(tmp_path / "dump") as hub:
        there = [
            "stack-v3",
            "--set",
            "sources.stack.place=hf://datasets/owner/name",
            "--workspace",
            str(tmp_path / "hub"),
            *small,
        ]
        planned = json.loads(starmill("ingest", *there, "--dry-run", "--json", HF_ENDPOINT=hub.url))
        assert [part["first"] for part in planned["parts"]] == [f"data/part-{p:05d}-x.snappy" for p in range(2)]
        whole = sum(part["bytes"] for part in planned["parts"])
        assert whole > FILES * len(TEXT) and hub.sent < whole / 4, "a dry run reads footers, and no content"
        starmill("ingest", *there, "--workers", "2", HF_ENDPOINT=hub.url)
    here = ["stack-v3", "--set", f"sources.stack.place={tmp_path / 'dump'}", "--workspace", str(tmp_path / "here"), *small]
    small_tree.starmill("ingest", *here, "--workers", "1", cwd=tmp_path)
    for folder in ("records", "dropped/ingest"):
        names = [n for n in Workspace(str(tmp_path / "hub")).files(folder) if n.endswith(".parquet")]
        assert len(names) == 2
        for name in names:
            assert (tmp_path / "hub" / folder / name).read_bytes() == (tmp_path / "here" / folder / name).read_bytes()
    rows = [
        row
        for part in range(2)
        for row in Workspace(str(tmp_path / "here")).table(f"records/part-{part:05d}.parquet").to_pylist()
    ]
    assert [(r["repo_name"], r["path"], r["star_events_count"]) for r in rows] == [
        (f"owner/{p}{i:02d}", "/src/a.py", i) for p in range(2) for i in range(20)
    ]
