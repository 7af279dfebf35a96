"""Writes down where the rows of one part go: kept and dropped blocks to Parquet, and the counts that the funnel is made of."""

from collections import defaultdict
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import hashes, schema, skips
from starmill.core.dataset import Count, Output, ParquetPart, Sidecar, Workspace, output, part_path
from starmill.core.errors import InputError, MachineError, NotThere
from starmill.core.part import Tokens

# A part with fewer errors than this is published whatever its ceiling: of a small part's rows, one is a large share.
FEW = 10
# What a person may call a record by, or what it is of (reports/query.py).
FOUND_BY = ("repo_name", "path", "blob_id", "content_id", "parent", "directory_id", "revision_id", "snapshot_id")


class Ledger:
    """The books of one part of one stage. `keep` and `drop` take blocks; `commit` publishes everything, the sidecar last."""

    def __init__(
        self,
        stage: str,
        dataset: str,
        part: int,
        key: str,
        lineage: dict[str, str],
        max_error_rate: float = 1.0,
        is_first: bool = False,
    ) -> None:
        """Open the books; `lineage` maps the paths of the inputs to their sha256.

        `is_first`: no stage knew the records before, so that all that they are found by is written down (core/hashes.py).
        """
        self.stage, self.dataset, self.part, self.key, self.lineage = stage, dataset, part, key, lineage
        self._max_error_rate = max_error_rate
        self._dropped = ParquetPart(schema.DROPPED)
        self._counts: dict[tuple[str, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
        self._tokens: tuple[Tokens, ...] = ()
        self._outputs: list[Output] = []
        self._data: list[bytes | pa.Buffer] = []
        self._kinds: set[str] = set()
        self._hashes: set[int] | None = set() if is_first else None

    def keep(self, block: pa.RecordBatch) -> None:
        """Count rows that stay (columns kind and language, if known, and length_bytes)."""
        if "kind" in block.schema.names:
            self._kinds.update(block.column("kind").unique().drop_null().to_pylist())
        self._name(block)
        self._count(block, [""] * block.num_rows, [""] * block.num_rows)

    def drop(self, blocks: Sequence[pa.RecordBatch]) -> None:
        """Store and count rows of the DROPPED schema."""
        for block in blocks:
            self._dropped.write(block)
            self._name(block)
            self._count(block, block.column("step").to_pylist(), block.column("reason").to_pylist())

    def add(self, relative: str, data: bytes | pa.Buffer, rows: int | None = None) -> None:
        """Take a file that is to be published with the part."""
        self._outputs.append(output(relative, data, rows))
        self._data.append(data)

    def count_tokens(self, tokens: tuple[Tokens, ...]) -> None:
        """Take what a shard holds, by kind and language."""
        self._tokens = tokens

    def commit(self, workspace: Workspace) -> Sidecar:
        """Publish the files, the dropped rows and the sidecar, in that order; return the sidecar.

        Raises MachineError, and publishes nothing, where more rows ended as errors than `max_error_rate` allows.
        """
        if self._hashes is not None:
            self.add(part_path(hashes.FOLDER, self.part, "bin"), hashes.packed(self._hashes))
        rows = self._dropped.rows
        self.add(part_path(f"dropped/{self.stage}", self.part), self._dropped.close(), rows)
        counts = tuple(Count(s, r, lang, n, b, kind) for (s, r, lang, kind), (n, b) in sorted(self._counts.items()))
        key = skips.key_now(self.key, self.stage)
        made = (self.stage, self.dataset, self.part, key, tuple(self._outputs), counts, self.lineage)
        sidecar = Sidecar(*made, tuple(sorted(self._kinds)), self._tokens)
        if sidecar.errors >= FEW and sidecar.errors > self._max_error_rate * (total := sum(c.files for c in counts)):
            worst = max((c for c in counts if c.is_error), key=lambda c: c.files)
            raise MachineError(
                f"stage {self.stage}: {sidecar.errors} of {total} files of part {self.part} ended as errors, above "
                f"max_error_rate={self._max_error_rate}; most are {worst.reason}. The part is not published; fix the cause, or raise "
                "the rate"
            )
        workspace.commit(sidecar, self._data)
        return sidecar

    def _name(self, block: pa.RecordBatch) -> None:
        if self._hashes is None:
            return
        columns = {name: block.column(name).unique().drop_null().to_pylist() for name in FOUND_BY if name in block.schema.names}
        for name, values in columns.items():
            if name == "repo_name":
                values = map(hashes.repository, values)
            elif name == "path":
                self._hashes.update(map(hashes.of, {hashes.file(path) for path in values}))
            self._hashes.update(map(hashes.of, values))

    def _count(self, block: pa.RecordBatch, steps: list[str], reasons: list[str]) -> None:
        kinds, languages = (
            block.column(name).to_pylist() if name in block.schema.names else [None] * block.num_rows
            for name in ("kind", "language")
        )
        sizes = pc.fill_null(block.column("length_bytes"), 0).to_pylist()
        for step, reason, language, kind, size in zip(steps, reasons, languages, kinds, sizes, strict=True):
            tally = self._counts[step, reason, language or "", kind or ""]
            tally[0] += 1
            tally[1] += size


def lineage(
    workspace: Workspace, part: int, *datasets: str, folders: Sequence[str] = (), compare: bool | None = None
) -> dict[str, str]:
    """Return path -> sha256 of what a part of the given datasets has in `folders` (default: of the datasets), for a stage that reads it.

    Files are compared here if `compare` says so, or says nothing and they are local: of a bucket, a reader compares what it reads whole
    (Workspace.digests). Raises NotThere if a part is not done, MachineError for a file that has other bytes than were published.
    """
    digests: dict[str, str] = {}
    for dataset in datasets:
        sidecar = workspace.sidecar(dataset, part)
        if sidecar is None:
            raise NotThere(f"{workspace.url}: part {part} of {dataset}/ is not there; run the stage that makes it first")
        digests.update((o.path, o.sha256) for o in sidecar.outputs if o.path.partition("/")[0] in (folders or datasets))
    for path, sha256 in digests.items() if (workspace.is_local if compare is None else compare) else ():
        if (found := digest_of(workspace, path)) != sha256:
            raise workspace.disbelieve(path, found, sha256)
    return digests


def digest_of(workspace: Workspace, path: str) -> str:
    """Return the sha256 of a file that a sidecar names, or a word for one that is not there."""
    try:
        return workspace.sha256(path)
    except FileNotFoundError:
        return "of no file"


def has_columns(workspace: Workspace, relative: str, names: Sequence[str], wanted: pa.Schema, maker: str) -> None:
    """Raise InputError where a file of columns `names` lacks any of `wanted`: an older starmill's `maker` made it."""
    if missing := sorted({*wanted.names} - {*names}):
        raise InputError(
            f"{workspace.path(relative)}: no column {', '.join(missing)}: an older starmill made this; run `starmill {maker}`, then "
            "this command again"
        )
