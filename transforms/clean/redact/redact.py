"""Replaces personal data by The Stack's placeholders, and records where they are.

`redactions` lists the placeholders in characters of the redacted text: only those become special tokens later, never a `<EMAIL>` that a
person typed. Where two finds overlap, the one that starts first, then the longer, stays. Redacting twice changes nothing more.
The bounds of a record's segments move with the text. A find over a bound is the first segment's: the bound goes behind its placeholder.
Names are redacted by the same rules, and stay apart (labels.py).
"""

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any, ClassVar

import pyarrow as pa

from starmill.core import schema
from starmill.core.names import Seed
from starmill.transforms.clean.redact import addresses, emails, keys, labels
from starmill.transforms.step import append

Span = dict[str, Any]
NAMES = ("repo_name", "path", "branch_name", "extension")


@dataclass(frozen=True)
class Redact:
    """Rewrites `content`, `segments`, `length_bytes` and names, appends `redactions` (schema.DATASET)."""

    reads: ClassVar[tuple[str, ...]] = ("content", "content_id", "segments", *NAMES)
    adds: ClassVar[pa.Schema] = pa.schema(
        [schema.DATASET.field(n) for n in ("content", "segments", "length_bytes", "redactions", *NAMES)]
    )

    emails: bool = True  # replace e-mail addresses
    ip_addresses: bool = True  # replace IP addresses
    keys: bool = True  # replace keys and passwords
    seed: Seed = 0  # of the addresses that replace addresses
    name: str = "redact"  # in `dropped/`; leave it

    def redact(self, text: str, file: str) -> tuple[str, list[Span]]:
        """Return the redacted text and its spans. `file` (a content id) keeps replacements apart between files."""
        return self._edited(text, file)[:2]

    def _edited(self, text: str, file: str) -> tuple[str, list[Span], list[tuple[int, int]]]:
        """Return the redacted text, its spans, and which spans of the text they replace."""
        finds = [(start, end, "KEY") for start, end in keys.find(text)] if self.keys else []
        finds += [(start, end, "EMAIL") for start, end in emails.find(text)] if self.emails else []
        finds += [(start, end, "IP_ADDRESS") for start, end in addresses.find(text)] if self.ip_addresses else []
        pieces: list[str] = []
        spans: list[Span] = []
        replaced: list[tuple[int, int]] = []
        read = written = 0
        for start, end, kind in sorted(finds, key=lambda f: (f[0], -f[1], f[2])):
            if start < read:
                continue
            value = text[start:end]
            new = addresses.replacement(value, self.seed, file) if kind == "IP_ADDRESS" else f"<{kind}>"
            pieces += [text[read:start], new]
            written += start - read
            spans.append({"kind": kind, "start": written, "end": written + len(new)})
            replaced.append((start, end))
            read, written = end, written + len(new)
        return "".join([*pieces, text[read:]]), spans, replaced

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Redact each row; a block without finds keeps its content array."""
        texts = block.column("content").to_pylist()
        files = block.column("content_id").to_pylist()
        done = [self._edited(text, file or "") for text, file in zip(texts, files, strict=True)]
        columns = {"redactions": pa.array([spans for _, spans, _ in done], pa.list_(schema.REDACTION))}
        if any(spans for _, spans, _ in done):
            columns["content"] = pa.array([text for text, _, _ in done], pa.string())
            columns["length_bytes"] = pa.array([len(text.encode()) for text, _, _ in done], pa.int64())
        here = {n: block.column(n).to_pylist() for n in ("segments", *NAMES) if n in block.schema.names}
        rows = zip(here.pop("segments", []), done, strict=False)
        if any(moved := [segments and self._moved(segments, *edits[1:]) for segments, edits in rows]):
            columns["segments"] = pa.array(moved, pa.list_(schema.SEGMENT))
        for column, names in here.items():
            if (hidden := [*map(self._name, names)]) != names:
                columns[column] = pa.array(hidden, pa.string())
        return append(block, columns)

    def _name(self, name: str | None) -> str | None:
        return name and labels.cleaned(name, emails=self.emails, ip_addresses=self.ip_addresses, keys=self.keys)

    def _moved(self, segments: list[Span], spans: list[Span], replaced: list[tuple[int, int]]) -> list[Span]:
        """Return segments of a text as segments of the redacted one."""
        ends = [end for _, end in replaced]

        def place(at: int) -> int:
            after = bisect_left(ends, at)  # the finds that end before `at`; the next may hold it
            if after < len(ends) and replaced[after][0] < at:
                return int(spans[after]["end"])
            return at + (spans[after - 1]["end"] - ends[after - 1] if after else 0)

        return [
            {"role": s["role"], "name": self._name(s["name"]), "start": place(s["start"]), "end": place(s["end"])}
            for s in segments
        ]
