"""One part of a workspace without what a list names: the files that change, the sidecars that say so, and what went.

What goes is told as if a step `withdraw` of the first stage that has the record had dropped it: in that stage's rows of dropped/, and
in the counts of all. A file of which nothing goes is not written again.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from starmill.core import schema
from starmill.core.dataset import Count, ParquetPart, Sidecar, StageName, Workspace, output, part_path
from starmill.core.errors import InputError
from starmill.core.shard_cache import SUFFIXES
from starmill.core.tokenizer import Tokenizer
from starmill.pipelines.run.withdrawal.chosen import Chosen
from starmill.pipelines.run.withdrawal.shard import Rest, without
from starmill.pipelines.stages.release import STAGE as RELEASE
from starmill.pipelines.stages.tokenize import STAGE as TOKENIZE
from starmill.transforms.decide.optout import OptOut

STEP = "withdraw"
FACTS = ("kind", "repo_name", "path", "blob_id", "content_id", "language", "length_bytes")  # of a record that goes
FOLLOWS = {"measures": "records", "signatures": "curated", "verdicts": "curated"}  # row by row
Key = tuple[str, str, str, str]  # step, reason, language, kind
Row = dict[str, Any]


@dataclass
class Change:
    """What a withdrawal makes of a part: new files by path, files that go, the sidecars that name them; and what went, in numbers.

    `records`: files and bytes by (kind, reason). `tokens`, `documents` and `files` went from the shard; `spans`: tokens [start, end) of
    files in their document, by document.
    """

    part: int
    data: dict[str, bytes | pa.Buffer] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    sidecars: list[Sidecar] = field(default_factory=list)
    records: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    tokens: int = 0
    documents: int = 0
    files: int = 0
    spans: dict[int, list[tuple[int, int]]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not self.data and not self.removed


def change(
    workspace: Workspace, stages: Sequence[StageName], part: int, chosen: Chosen, tokenizer: Callable[[], Tokenizer]
) -> Change:
    """Return what changes in a part; nothing is written. Raises InputError for a file that is not what its sidecar says."""
    return _Part(workspace, stages, part, chosen, tokenizer).changed()


class _Part:
    def __init__(
        self, workspace: Workspace, stages: Sequence[StageName], part: int, chosen: Chosen, tokenizer: Callable[[], Tokenizer]
    ) -> None:
        self._workspace, self._part, self._chosen, self._tokenizer = workspace, part, chosen, tokenizer
        found = ((stage.name, workspace.sidecar(stage.dataset, part)) for stage in stages)
        self._sidecars = {name: sidecar for name, sidecar in found if sidecar is not None}
        self._outputs = {o.path: o for sidecar in self._sidecars.values() for o in sidecar.outputs}
        self._judged: dict[str, list[Row | None]] = {}  # by dataset: what goes, row by row
        self._made, self._rows, self._is_told = Change(part), dict[str, int](), False

    def changed(self) -> Change:
        gone = {name: self._of_stage(sidecar) for name, sidecar in self._sidecars.items()}
        rest = self._of_shard()
        if rest is not None and not gone.get(RELEASE.name):  # shards alone
            gone[TOKENIZE.name] = [_of_span(document, file, reason) for document, file, reason in rest.gone]
        elif TOKENIZE.name in gone:  # which reads what release keeps
            gone[TOKENIZE.name] = gone.get(RELEASE.name, [])
        counts = {name: self._dropped(name, kept) for name, kept in gone.items()}
        if not self._made.is_empty:
            self._write_down(counts, rest)
        return self._made

    # The datasets

    def _of_stage(self, sidecar: Sidecar) -> list[Row]:
        """Filter the Parquet files of a stage; return what goes of the records that it kept."""
        rows: list[Row] = []
        folders = [(made.path, made.path.partition("/")[0]) for made in sidecar.outputs]
        for path, dataset in sorted(folders, key=lambda one: one[1] in FOLLOWS):  # behind what they follow
            if path != part_path(dataset, self._part) or not self._workspace.exists(path):
                continue
            leader = FOLLOWS.get(dataset, dataset)
            if leader == dataset:
                self._judged[dataset] = self._judge(path, by_name=dataset == "dataset")
            judged = self._judged.get(leader, [])
            if any(judged):
                self._filter(path, np.array([row is not None for row in judged], np.bool_))
                if dataset != "signatures":
                    rows = self._kept(path, dataset, judged)
        return rows

    def _judge(self, path: str, by_name: bool) -> list[Row | None]:
        """Return for each row of a file its FACTS and the reason why it goes, or None where it stays."""
        with self._workspace.open(path) as file:
            names = pq.read_schema(file).names
        wanted = [name for name in dict.fromkeys((*OptOut.reads, *FACTS)) if name in names]
        rows: list[Row | None] = []
        for block in self._workspace.blocks(path, wanted):
            reasons = self._chosen.reasons(block, by_name)
            facts = block.select([name for name in FACTS if name in names])
            for at, reason in enumerate(reasons):
                rows.append({"language": None, **facts.slice(at, 1).to_pylist()[0], "reason": reason} if reason else None)
        return rows

    def _kept(self, path: str, dataset: str, judged: Sequence[Row | None]) -> list[Row]:
        """Return what goes and a stage kept: of rows that follow others, by the stage's own verdict, and with its own language."""
        if dataset not in FOLLOWS:
            return [row for row in judged if row is not None]
        own = self._workspace.table(path, ["keep", "language"] if dataset == "measures" else ["keep"]).to_pylist()
        return [{**row, **mine} for row, mine in zip(judged, own, strict=True) if row is not None and mine["keep"]]

    def _filter(self, path: str, goes: np.ndarray, more: Sequence[Row] = ()) -> None:
        """Take a file without the rows that go, and with some more; row groups stay as they are."""
        parquet = pq.ParquetFile(pa.BufferReader(self._read(path)))
        made, at = ParquetPart(parquet.schema_arrow), 0
        for group in range(parquet.num_row_groups):
            for block in parquet.read_row_group(group).combine_chunks().to_batches():
                made.write(block.filter(pa.array(~goes[at : at + block.num_rows])))
                at += block.num_rows
        if more:
            made.write(pa.RecordBatch.from_pylist(list(more), schema=parquet.schema_arrow))
        self._made.data[path] = made.close()
        self._rows[path] = made.rows

    def _read(self, path: str) -> bytes:
        data, wanted = self._workspace.read(path), self._outputs[path].sha256
        if (found := hashlib.sha256(data).hexdigest()) != wanted:
            raise InputError(
                f"{self._workspace.path(path)}: its sha256 is {found[:12]}.. instead of {wanted[:12]}..: it is damaged, or was changed; "
                "copy it again, or make it again (`starmill verify --all`, `starmill run`), before anything is withdrawn"
            )
        return data

    def _of_shard(self) -> Rest | None:
        files = {suffix: part_path("shards", self._part, suffix) for suffix in SUFFIXES}
        if not all(path in self._outputs for path in files.values()):
            return None
        table = pq.read_table(pa.BufferReader(self._read(files["docs.parquet"])))
        judged = {
            (row["document"], at)
            for row in table.to_pylist()
            for at, r in enumerate(self._chosen.files(row, row["files"]))
            if r
        }
        if not judged:
            return None
        tokenizer = self._tokenizer()
        ids = np.frombuffer(self._read(files["bin"]), tokenizer.dtype.newbyteorder("<"))
        rest = without(ids, table, tokenizer, self._chosen.files)
        for suffix, path in files.items():
            if suffix in rest.files:
                self._made.data[path] = rest.files[suffix]
            else:
                self._made.removed.append(path)
        self._made.tokens, self._made.documents, self._made.files = rest.tokens, rest.documents, len(rest.gone)
        for document, file, _ in rest.gone:
            start = file["token_start"]
            self._made.spans.setdefault(document["document"], []).append((start, start + file["token_count"]))
        return rest

    # The books

    def _dropped(self, stage: str, kept: Sequence[Row]) -> "_Counts":
        """Take what goes out of a stage's rows of dropped/ and its counts; the first stage that has it tells that it was withdrawn."""
        counts, path, lost = _Counts(), part_path(f"dropped/{stage}", self._part), list[Row]()
        goes = np.zeros(0, np.bool_)
        has_rows = path in self._outputs and self._workspace.exists(path)
        for block in self._workspace.blocks(path) if has_rows else ():
            here = self._chosen.lost(block)
            goes = np.concatenate([goes, here])
            lost += block.filter(pa.array(here)).to_pylist()
        for row in lost:
            counts.change(row["step"], row["reason"], row, -1)
        left = {(row["repo_name"], row["path"], row["kind"]) for row in lost} if stage == TOKENIZE.name else set()
        for row in kept:
            if (row["repo_name"], row["path"], row["kind"]) not in left:
                counts.change("", "", row, -1)
        new = () if self._is_told else kept
        self._is_told = self._is_told or bool(kept)
        for row in new:
            counts.change(STEP, row["reason"], row, 1)
            of = self._made.records.setdefault((row["kind"] or "", row["reason"]), [0, 0])
            of[:] = of[0] + 1, of[1] + (row["length_bytes"] or 0)
        if has_rows and (new or goes.any()):
            said = {"stage": stage, "step": STEP}
            rows = [{f.name: None for f in schema.DROPPED} | row | said for row in new]
            self._filter(path, goes, [{f.name: row[f.name] for f in schema.DROPPED} for row in rows])
        return counts

    def _write_down(self, counts: "dict[str, _Counts]", rest: Rest | None) -> None:
        made, digests = self._made, dict[str, str]()
        for name, sidecar in self._sidecars.items():
            outputs = tuple(
                output(o.path, made.data[o.path], self._rows.get(o.path, o.rows)) if o.path in made.data else o
                for o in sidecar.outputs
                if o.path not in made.removed
            )
            digests |= {o.path: o.sha256 for o in outputs}
            lineage = {path: digests.get(path, sha256) for path, sha256 in sidecar.lineage.items()}
            tokens = rest.held if rest is not None and name == TOKENIZE.name else sidecar.tokens
            known = sidecar.known_as() if outputs != sidecar.outputs else sidecar.made
            new = replace(
                sidecar, outputs=outputs, lineage=lineage, counts=counts[name].of(sidecar.counts), tokens=tokens, made=known
            )
            if new != sidecar:
                made.sidecars.append(new)


class _Counts:
    """What changes of a sidecar's counts: files and bytes by step, reason, language and kind."""

    def __init__(self) -> None:
        self._by: dict[Key, list[int]] = {}

    def change(self, step: str, reason: str, row: Row, files: int) -> None:
        """Count a row more, or less."""
        of = self._by.setdefault((step, reason, row.get("language") or "", row.get("kind") or ""), [0, 0])
        of[:] = of[0] + files, of[1] + files * (row["length_bytes"] or 0)

    def of(self, counts: Sequence[Count]) -> tuple[Count, ...]:
        """Return a sidecar's counts as they are now, in their order."""
        now = {(c.step, c.reason, c.language, c.kind): [c.files, c.bytes] for c in counts}
        for key, (files, size) in self._by.items():
            of = now.setdefault(key, [0, 0])
            of[:] = of[0] + files, of[1] + size
        return tuple(Count(s, r, lang, n, b, kind) for (s, r, lang, kind), (n, b) in sorted(now.items()) if n > 0)


def _of_span(document: Any, file: Any, reason: str) -> Row:
    path = "/" + file["path"].lstrip("/")
    facts = {"kind": document["kind"], "repo_name": document["repo_name"], "path": path, "content_id": file["content_id"]}
    return {**facts, "blob_id": None, "language": file["language"], "length_bytes": 0, "reason": reason}
