"""The contract of a kind of record, held by every row of KINDS, and by a toy one that goes from records to shards.

The toy is what a new kind is: a rule, a renderer, and a row of the table. Stages, keys, views and the trainer are not told.
"""

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pytest
import tokenizers
from ingested_workspace import ingested

from starmill.core import schema
from starmill.core.dataset import Workspace
from starmill.core.document import Document, FileSpan, Piece, Special
from starmill.core.errors import UsageError
from starmill.core.shards import open_shards
from starmill.pipelines.kinds import KINDS, Curate, Kind, Measure, Release
from starmill.pipelines.recipe import build
from starmill.pipelines.run.stages import run_stage
from starmill.pipelines.runners import choose
from starmill.pipelines.stages import STAGES
from starmill.reports import funnel
from starmill.transforms.chain import check_chain
from starmill.transforms.render.code import Format
from starmill.transforms.render.pieces import segments
from starmill.transforms.step import Split, judge_rows


@dataclass(frozen=True)
class Replied:
    """The toy's rule: a note that nobody replied to is dropped."""

    reads: ClassVar[tuple[str, ...]] = ("segments",)
    name: str = "replied"

    def __call__(self, block: pa.RecordBatch) -> Split:
        """Decide by the segments."""
        return judge_rows(block, self.reads, lambda marked: None if any(s["role"] == "reply" for s in marked) else "no_reply")


SENTINELS = {"title": Special("<issue_start>"), "reply": Special("<issue_comment>")}


def notes(blocks: Iterable[pa.RecordBatch], options: Format) -> Iterator[Document]:
    """The toy's renderer."""
    for block in blocks:
        for row in block.to_pylist():
            pieces: list[Piece] = []
            for segment in segments(row):
                pieces += [SENTINELS[segment.role], *segment.pieces]
            file = FileSpan(row["path"].lstrip("/"), row["content_id"], "", 0, len(pieces))
            yield Document("note", row["repo_name"], "", tuple(pieces), (file,))


NOTE = Kind(
    measure=lambda on: (on.text,),
    decide=lambda on: (Replied(),),
    clean=lambda on: (on.redact,),
    render=notes,
    dedup="exact",
)


def holds(row: Kind) -> None:
    """What every kind is, whatever its records are."""
    steps = [*row.measure(Measure()), *row.decide(Curate()), *row.clean(Release())]
    check_chain(steps, schema.RECORDS.names)
    assert pickle.loads(pickle.dumps(steps)) == steps, "steps travel to workers"
    assert len({step.name for step in steps}) == len(steps), "a counter knows a step by its name"
    assert list(row.render(iter(()), Format())) == []


@pytest.mark.parametrize("name", KINDS)
def test_a_kind(name: str) -> None:
    holds(KINDS[name])


def test_a_new_kind_is_its_rule_its_renderer_and_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "note", NOTE)
    holds(NOTE)
    mail = "jane.doe" + "@real-site.org"
    texts = [("Crash at start", f"ask {mail}"), ("Nobody cares", ""), ("Crash at start", f"ask {mail}"), ("Works", "good")]
    rows = [("r", f"/notes/{i}", title + reply) for i, (title, reply) in enumerate(texts)]
    marked = [
        [{"role": "title", "name": None, "start": 0, "end": len(t)}]
        + ([{"role": "reply", "name": "b", "start": len(t), "end": len(t + r)}] if r else [])
        for t, r in texts
    ]
    code = [("r", "/a.py", "def area(width, height):\n    return width * height\n")]
    workspace = Workspace(str(tmp_path))
    ingested(workspace, (*rows, *code), ("note",) * 4 + ("code",), (*marked, None))
    workspace.finish("records", "k", 1, "v")
    options = build({"workspace": workspace.root, "tokenizer": {"vocab_size": 320, "sample_bytes": 1000}})
    for stage in STAGES[1:]:
        run_stage(stage, options, choose((), workers=1), quiet=True)
    (shard,) = open_shards(workspace.root)
    oracle = tokenizers.Tokenizer.from_file(f"{workspace.root}/tokenizer/tokenizer.json")
    documents = {
        (row["kind"], row["files"][0]["path"]): oracle.decode(shard.tokens(i).tolist(), skip_special_tokens=False)
        for i, row in enumerate(shard.table.to_pylist())
    }
    assert documents.pop(("code", "a.py")).endswith("height\n<|endoftext|>")
    assert documents == {
        ("note", "notes/0"): "<issue_start>Crash at start<issue_comment>ask <EMAIL><|endoftext|>",
        ("note", "notes/3"): "<issue_start>Works<issue_comment>good<|endoftext|>",
    }
    dropped = {(f.stage, step, reason) for f in funnel.measure(workspace) for step, reason in f.dropped}
    assert {("curate", "replied", "no_reply"), ("dedup", "exact", "exact_duplicate")} <= dropped
    monkeypatch.delitem(KINDS, "note")
    with pytest.raises(UsageError, match=r"records of kind note, which starmill .* does not know"):
        run_stage("measure", options, choose((), workers=1), quiet=True)
