"""Prose from its own dumps to shards: questions, articles, papers and Kaggle's scripts, each in its format, in one run."""

import json
from pathlib import Path

import miniature

from starmill.core.dataset import Workspace
from starmill.core.shards import open_shards
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines.recipe import build
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import STAGES

STARTS = {
    "stackoverflow": "<issue_start>username_0: ",
    "wikipedia": "1 is a number. ",
    "arxiv": "\\section{One}\nFor $n = ",
    "kaggle": "<jupyter_script># Areas\ndef area",
}


def test_from_dumps_to_documents(tmp_path: Path) -> None:
    miniature.prose(tmp_path / "prose")
    (tmp_path / "kernels/toy").mkdir(parents=True)
    code = "def area(width, height):\n    return width * height\n\n!ls\nprint(area(3, 4), area(5, 6), area(7, 8))"
    cells = [{"cell_type": "markdown", "source": "Areas"}, {"cell_type": "code", "source": code, "outputs": []}]
    book = {"cells": cells, "metadata": {"kernelspec": {"name": "python3"}}, "nbformat": 4}
    (tmp_path / "kernels/toy/1.ipynb").write_text(json.dumps(book))
    sources = {
        "questions": {"kind": "stackexchange", "folder": str(tmp_path / "prose/sites"), "index": str(tmp_path / "index")},
        "articles": {"kind": "wikipedia", "folder": str(tmp_path / "prose/wikis")},
        "papers": {"kind": "arxiv", "folder": str(tmp_path / "prose/papers")},
        "kernels": {"kind": "folders", "roots": [str(tmp_path / "kernels")]},
    }
    tokenizer = {"vocab_size": 320, "sample_bytes": 10_000}
    options = build(
        {"workspace": str(tmp_path / "w"), "sources": sources, "ingest": {"notebooks": ["kaggle"]}, "tokenizer": tokenizer}
    )
    for stage in STAGES:
        run_stage(stage, options, choose((), workers=1), quiet=True)
    codec, found = Tokenizer.load(f"{options.workspace}/tokenizer/tokenizer.json"), dict[str, list[str]]()
    for shard in open_shards(options.workspace):
        for row, kind in enumerate(shard.table.column("kind").to_pylist()):
            found.setdefault(kind, []).append(codec.decode(shard.tokens(row).tolist()))
    assert {kind: len(texts) for kind, texts in found.items() if kind in STARTS} == {
        "stackoverflow": 50,
        "wikipedia": 60,
        "arxiv": 30,
        "kaggle": 1,
    }
    for kind, start in STARTS.items():
        assert any(text.startswith(start) for text in found[kind]), (kind, found[kind][0][:200])
    assert all(text.count("<issue_comment>") == 3 and text.count(" [selected answer]") == 1 for text in found["stackoverflow"])
    rows = Workspace(options.workspace).table("records/part-00000.parquet").to_pylist()
    assert {row["kind"] for row in rows} <= {*STARTS, "code"}
