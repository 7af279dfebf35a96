"""Which rows of a part's datasets a list names: the rows of a part are judged by their own columns, or follow those of another dataset.

records, curated and dataset have what a list may name; measures follow records row by row, signatures and verdicts follow curated. The
names in dataset/ and in shards have no personal data: there a record is found by all names that it may have, too (redact/labels.py).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pyarrow as pa

from starmill.core.document import CODE
from starmill.pipelines.kinds import KINDS, Curate
from starmill.transforms.clean.redact.labels import aliases
from starmill.transforms.decide.optout import OptOut, Wishes

OPTED_OUT, WITHDRAWN = "opted_out_", "withdrawn_"  # how the reasons begin
BY_NAME = f"{WITHDRAWN}record"  # of what is named by columns that this dataset has not
Names = tuple[str, str, str | None]  # repository, path, content


class _Asks(Curate):
    """The section of a recipe whose lists name nothing: what a kind's rules ask of them is known by it."""

    def opted_out(self, records: Literal["files", "threads", "commits"] = "files") -> tuple[OptOut, ...]:
        """Return the step, whatever lists there are."""
        return (OptOut(records=records),)


def judges(named: Wishes) -> dict[str, OptOut]:
    """Return the step for the records of each kind: an issue's number ends its path, a commit's hash that of a commit.

    All kinds are judged, also those whose rules ask no list.
    """
    asked = {name: next((s for s in kind.decide(_Asks()) if isinstance(s, OptOut)), OptOut()) for name, kind in KINDS.items()}
    return {name: replace(step, named=named) for name, step in asked.items()}


@dataclass
class Chosen:
    """What a list names in one part. `names`: of the records that it named, by all names that they may have."""

    judges: Mapping[str, OptOut]
    names: set[Names] = field(default_factory=set)

    def reasons(self, block: pa.RecordBatch, by_name: bool = False) -> list[str | None]:
        """Return why each row goes, or None, and remember the records that go; `by_name`: those that were remembered go, too."""
        found = self._judged(block)
        for at, (repository, path, content) in enumerate(self._names(block)):
            if found[at] is not None:
                for one in aliases(repository):
                    self.names |= {(one, place, content) for place in aliases(path)}
            elif by_name and (repository, path, content) in self.names:
                found[at] = BY_NAME
        return found

    def lost(self, block: pa.RecordBatch) -> np.ndarray:
        """Return which rows of dropped/ are of records that go, bool: they are told as withdrawn instead."""
        known = {(repository, path) for repository, path, _ in self.names}
        rows = self._names(block)
        return np.array([row in self.names if row[2] else row[:2] in known for row in rows], np.bool_)

    def files(self, document: Mapping[str, object], files: Iterable[Mapping[str, str]]) -> list[str | None]:
        """Return why each file of a document of a shard goes, or None."""
        named = [("/" + file["path"].lstrip("/"), file["content_id"]) for file in files]
        size, (paths, contents) = len(named), zip(*named, strict=True) if named else ((), ())
        columns = {"kind": [document["kind"]] * size, "repo_name": [document["repo_name"]] * size}
        block = pa.RecordBatch.from_pydict(
            {**{n: pa.array(v, pa.string()) for n, v in columns.items()}, "path": [*paths], "content_id": [*contents]}
        )
        return self.reasons(block, by_name=True) if size else []

    def _judged(self, block: pa.RecordBatch) -> list[str | None]:
        kinds = np.array([kind or CODE for kind in block.column("kind").to_pylist()], object)
        found: list[str | None] = [None] * block.num_rows
        for kind in sorted(set(kinds.tolist())):
            rows = np.flatnonzero(kinds == kind)
            judge = self.judges.get(kind, self.judges[CODE])
            for at, reason in zip(rows.tolist(), judge.reasons(block.take(pa.array(rows))), strict=True):
                found[at] = reason and reason.replace(OPTED_OUT, WITHDRAWN, 1)
        return found

    def _names(self, block: pa.RecordBatch) -> list[Names]:
        columns = (block.column(name).to_pylist() for name in ("repo_name", "path", "content_id"))
        return [(repository or "", path or "", content) for repository, path, content in zip(*columns, strict=True)]
