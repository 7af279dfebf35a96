"""Replaces personal data by The Stack's placeholders, and records where they are.

`redactions` lists the placeholders in characters of the redacted text: only those become special tokens later, never a `<EMAIL>` that a
person typed. Where two finds overlap, the one that starts first, then the longer, stays. A row that was changed is looked at again until
nothing more is found, as a placeholder may make an address of what stands beside it: redacting twice changes nothing more.
The bounds of a record's segments move with the text. A find over a bound is the first segment's: the bound goes behind its placeholder.
What no pattern finds, a model may (names.py). Labels are redacted by the same rules, and stay apart (labels.py).
Rows in which no detector can find anything are not decoded (scan.py).
"""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar, Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import schema
from starmill.core.names import Place, Seed
from starmill.transforms.clean.redact import addresses, emails, keys, labels, names, recognizers, scan, tagging, users
from starmill.transforms.step import append

Span = dict[str, Any]
NAMES = ("repo_name", "path", "branch_name", "extension")
MODEL = "model"  # the option that names what found a find of names.py
PASSES = 8  # each of them finds less; texts that people write take two
# By the option that switches it on.
DETECTORS = {
    "emails": scan.Detector("EMAIL", emails.find, lambda: emails.ANCHORS),
    "ip_addresses": scan.Detector("IP_ADDRESS", addresses.find, lambda: addresses.ANCHORS),
    "keys": scan.Detector("KEY", keys.find, keys.anchors, keys.judge),
    "mentions": scan.Detector("USERNAME", users.find, lambda: users.ANCHORS),
}


class Find(NamedTuple):
    """Where a text has personal data (characters), of which kind, the option of the recipe that switches on what found it, and how sure
    that was (schema.REDACTION).
    """

    start: int
    end: int
    kind: str
    detector: str = MODEL
    score: float = 1.0


class Edited(NamedTuple):
    """A redacted text, its placeholders, and what of the text before each of them stands for."""

    text: str
    spans: list[Span]
    replaced: list[Find]


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
    model: Place | None = None  # a token-classification model, folder or OWNER/NAME of the Hub; null: no names, no passwords
    model_revision: str | None = (
        None  # commit, tag or branch of a model of the Hub; give a commit, as the others move; null: the newest
    )
    names: bool = True  # replace people's names that the model finds
    passwords: bool = True  # replace passwords that the model finds
    usernames: bool = False  # replace user names that the model finds
    model_device: Literal["auto", "cpu", "cuda"] = "auto"  # auto: a GPU where there is one
    model_precision: Literal["float32", "int8"] = "float32"  # int8: half the time on a CPU, other answers near a tie
    mentions: bool | None = (
        None  # replace user names behind an @ by username_N; null: where people talk (issues, pull requests, questions)
    )
    recognizers: tuple[str, ...] = ()  # recognizers of presidio-analyzer that installed packages declare, by name; slow
    seed: Seed = 0  # of the addresses that replace addresses
    name: str = "redact"  # in `dropped/`; leave it

    def __getstate__(self) -> dict[str, Any]:
        """Return the options for a worker, whose working folder may be another."""
        return {**vars(self), "model": self.model and tagging.at_home(self.model)}

    def material(self) -> tuple[str, ...]:
        """Return the versions of what other packages recognize, and a model's digest. Raises StarmillError for one that is not there."""
        model = (tagging.digest(self.model, self.model_revision),) if self.model and self._kinds() else ()
        return (*(recognizers.version(name) for name in self.recognizers), *model)

    def counted(self) -> "Redact":
        """Return what a key counts of the step: whether it has a model, and not where the model lies."""
        return replace(self, model=self.model and MODEL)

    def children(self) -> tuple[str, ...]:
        """Return the module that the model's process runs, which a key counts and which nothing here imports."""
        return (tagging.CHILD,) if self.model and self._kinds() else ()

    def redact(self, text: str, file: str) -> tuple[str, list[Span]]:
        """Return the redacted text and its spans. `file` (a content id) keeps replacements apart between files."""
        done = self._edited_rows(pa.array([text], pa.large_string()), [file]).get(0)
        return (done.text, done.spans) if done else (text, [])

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Redact each row; a block without finds keeps its content array."""
        texts = block.column("content")
        marks = block.column("segments").to_pylist() if "segments" in block.schema.names else None
        done = self._edited_rows(texts, block.column("content_id"), marks)
        spans: list[list[Span]] = [[] for _ in range(len(texts))]
        for row, edited in done.items():
            spans[row] = edited.spans
        columns = {"redactions": pa.array(spans, pa.list_(schema.REDACTION))}
        if done:
            columns["content"] = _with_rows(texts, {row: edited.text for row, edited in done.items()})
            columns["length_bytes"] = pc.binary_length(columns["content"]).cast(pa.int64())
        here = {n: block.column(n).to_pylist() for n in ("segments", *NAMES) if n in block.schema.names}
        moved = [segments and self._moved(segments, done.get(row)) for row, segments in enumerate(here.pop("segments", []))]
        if any(moved):
            columns["segments"] = pa.array(moved, pa.list_(schema.SEGMENT))
        for column, labelled in here.items():
            if (hidden := labels.all_cleaned(labelled, **self._of_labels())) != labelled:
                columns[column] = pa.array(hidden, pa.string())
        return append(block, columns)

    def finds(self, texts: pa.Array) -> Iterator[tuple[int, str, list[Find]]]:
        """Yield (row, its text, what all detectors that are switched on find) of each row with a find, in order."""
        if not self.model or not self._kinds():
            yield from self._by_rules(texts)
            return
        model = tagging.Model(self.model, self.model_device, self.model_precision, self.model_revision)
        told = names.find(texts, model, self._kinds())  # of the whole block at once
        ruled = {row: finds for row, _, finds in self._by_rules(texts)}
        for row in sorted({*told, *ruled}):
            yield (
                row,
                texts[row].as_py(),
                [*ruled.get(row, ()), *(Find(*find[:3], MODEL, find[3]) for find in told.get(row, ()))],
            )

    def _kinds(self) -> list[str]:
        """Return what a model's finds may be, by the options; none if neither names nor the like are wanted of it."""
        own = {"NAME": self.names, "PASSWORD": self.passwords, "USERNAME": self.usernames}
        more = {"EMAIL": self.emails, "IP_ADDRESS": self.ip_addresses, "KEY": self.keys}
        return [kind for kind, wanted in {**own, **more}.items() if wanted] if any(own.values()) else []

    def _by_rules(self, texts: pa.Array) -> Iterator[tuple[int, str, list[Find]]]:
        options = [option for option in DETECTORS if getattr(self, option)]
        wanted = [DETECTORS[option] for option in options]
        for name in self.recognizers:
            wanted += (others := recognizers.detectors(name))
            options += [name] * len(others)
        if scan.HAS_HYPERSCAN and not self.recognizers:
            hit: Iterable[tuple[int, list[scan.Hits] | None]] = scan.rows_with_hits(texts, wanted)
        else:
            hit = ((row, None) for row in range(len(texts)))
        for row, hits in hit:
            text = texts[row].as_py() or ""
            found: list[Find] = []
            for at, detector in enumerate(wanted):
                if hits is None or (hits[at] and detector.find_at is None):
                    found += (
                        Find(start, end, detector.kind, options[at], *score) for start, end, *score in detector.find(text)
                    )
                elif hits[at] and detector.find_at is not None:
                    spans = _in_characters(text, detector.find_at(text.encode(), hits[at]))
                    found += (Find(*span, detector.kind, options[at]) for span in spans)
            if found:
                yield row, text, found

    def _edited_rows(self, texts: pa.Array, files: Any, segments: Sequence[Any] | None = None) -> dict[int, Edited]:
        """Return the rows that something is found in, redacted; each is looked at again until nothing more is."""
        done: dict[int, Edited] = {}
        first: dict[int, str] = {}  # the texts as they came
        rows = range(len(texts))
        for _ in range(PASSES):
            changed = []
            for at, text, found in self.finds(texts):
                row = rows[at]
                before = done.get(row)
                first.setdefault(row, text)
                if before:
                    found = _of_the_first(before, found)
                marked = segments[row] if segments else None
                merged = users.spoken(_apart(found), marked)
                if merged and (before is None or merged != before.replaced):
                    file = files[row]
                    people = users.Counter(first[row], marked)
                    done[row] = self._written(
                        first[row], str(file.as_py() if isinstance(file, pa.Scalar) else file) or "", merged, people
                    )
                    changed.append(row)
            if not changed:
                break
            rows, texts = changed, pa.array([done[row].text for row in changed], pa.large_string())  # type: ignore[assignment]
        return dict(sorted(done.items()))

    def _written(self, text: str, file: str, finds: list[Find], people: users.Counter) -> Edited:
        pieces: list[str] = []
        spans: list[Span] = []
        read = written = 0
        for start, end, kind, detector, score in (Find(*find) for find in finds):
            if kind == "IP_ADDRESS":
                new = addresses.replacement(text[start:end], self.seed, file)
            else:
                new = people.name(text[start:end]) if kind == "USERNAME" and self.mentions else f"<{kind}>"
            pieces += [text[read:start], new]
            written += start - read
            spans.append({"kind": kind, "start": written, "end": written + len(new), "detector": detector, "score": score})
            read, written = end, written + len(new)
        return Edited("".join([*pieces, text[read:]]), spans, finds)

    def _name(self, name: str | None) -> str | None:
        return name and labels.cleaned(name, **self._of_labels())

    def _of_labels(self) -> dict[str, bool]:
        return {"emails": self.emails, "ip_addresses": self.ip_addresses, "keys": self.keys}

    def _moved(self, segments: list[Span], edited: Edited | None) -> list[Span]:
        """Return segments of a text as segments of the redacted one."""
        ends = [find[1] for find in edited.replaced] if edited else []

        def place(at: int) -> int:
            after = bisect_left(ends, at)  # the finds that end before `at`; the next may hold it
            if edited and after < len(ends) and edited.replaced[after][0] < at:
                return int(edited.spans[after]["end"])
            return at + (int(edited.spans[after - 1]["end"]) - ends[after - 1] if edited and after else 0)

        return [
            {"role": s["role"], "name": self._name(s["name"]), "start": place(s["start"]), "end": place(s["end"])}
            for s in segments
        ]


def _apart(finds: list[Find]) -> list[Find]:
    """Return finds in order without those that overlap an earlier one, or a longer one of the same start."""
    kept: list[Find] = []
    for find in sorted(finds, key=lambda f: (f[0], -f[1], f[2])):
        if not kept or find[0] >= kept[-1][1]:
            kept.append(find)
    return kept


def _of_the_first(edited: Edited, finds: list[Find]) -> list[Find]:
    """Return finds in a redacted text as finds in the first one, with those made before; none if all lie in placeholders.

    A find that touches a placeholder takes all that the placeholder stands for.
    """
    starts, ends = [s["start"] for s in edited.spans], [s["end"] for s in edited.spans]

    def before(at: int, is_end: bool) -> int:
        last = bisect_left(starts, at) - 1 if is_end else bisect_right(starts, at) - 1
        if last < 0:
            return at
        start, end, *_ = edited.replaced[last]
        if at < ends[last] or (is_end and at == ends[last]):  # inside
            return end if is_end else start
        return at - ends[last] + end

    new = [
        find._replace(start=before(find.start, False), end=before(find.end, True))
        for find in finds
        if (last := bisect_right(starts, find.start) - 1) < 0 or find.end > ends[last]
    ]
    return [*edited.replaced, *new] if new else []


def _in_characters(text: str, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield spans of a text's bytes as spans of its characters."""
    if text.isascii():
        yield from spans
        return
    data, found = text.encode(), [*spans]
    bounds = sorted({0, *(bound for span in found for bound in span)})
    at = dict(zip(bounds, itertools.accumulate((len(data[a:b].decode()) for a, b in pairwise(bounds)), initial=0), strict=True))
    yield from ((at[start], at[end]) for start, end in found)


def _with_rows(column: pa.Array, new: dict[int, Any]) -> pa.Array:
    """Return a column with other values in some rows (ascending); what lies between them is copied as it is."""
    pieces, read = [], 0
    for row, value in new.items():
        pieces += [column.slice(read, row - read), pa.array([value], column.type)]
        read = row + 1
    return pa.concat_arrays([*pieces, column.slice(read)])
