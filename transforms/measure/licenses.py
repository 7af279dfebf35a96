"""Licences: what the licence-like files of a tree say, what manifests declare, and what a file says of itself; spread down the tree.

`detected_licenses` is The Stack v2's column (paper, section 2.1): ScanCode's identifiers of all licence-like files at and above a file's
folder. `license_findings` has more: of each finding its file, lines, score and whether it is a grant or a mention (grants.py). Which of
them decide is a rule of curate (decide/licenses.py), so another rule asks for no licence again. A full match runs on LICENSE- and
COPYING-like names; readmes and notices, which are many and long, are matched exactly (whole rules, SPDX identifiers), and only if they
mention licensing at all. A text on which ScanCode fails is a licence that nobody knows. So is one that is left out because ScanCode takes
too long with it (core/skips.py); that record itself is dropped.
"""

import functools
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from starmill.core import skips
from starmill.core.names import BytesAtOnce
from starmill.transforms.chain import annotated
from starmill.transforms.measure import declared, reuse, scancode
from starmill.transforms.measure.grants import MENTION, Finding, folder, weighed
from starmill.transforms.measure.matches import Found
from starmill.transforms.measure.portions import Names, holds, words_of
from starmill.transforms.measure.scancode import DetectionFailed, DetectionTimeout, detector
from starmill.transforms.step import Cache, append

SKIPPED = "LicenseRef-starmill-skipped"
FAILED = "LicenseRef-starmill-failed"
UNREAD = "unread"  # how a finding of these is found
MOST_FINDINGS = 64  # of a file, beside its own word: the nearest, grants first
TEXTS = re.compile(
    r"(?:.*/)?li[cs]en[cs]es/[^/]+", re.IGNORECASE | re.DOTALL
)  # a folder of licences, whatever its files are called

NO_TEXT = frozenset(("too_large", "undecodable", "nul_bytes"))  # reasons of ingest for a file that is there
# A licence's file as people call it, and no picture or table of that name.
TERMS_FILE = re.compile(r"(?:un)?li[cs]en[cs]es?(?:\.(?:txt|md|rst))?|copying(?:\.(?:lesser|lib|txt|md|rst))?", re.IGNORECASE)

# Candidate base names: those of The Stack v2's released rule, plus EPL. Whole words between - _ . and spaces.
FULL = (
    r"(?:un)?li[cs]en[cs]es?|copyleft|copyright|copying(?:v?\d)?|[al]?gpl[-_. ]?v?\d?(?:\.?\d)?|bsdl?|mitx?|apache|artistic"
    r"|eupl|epl|gfdl|[cm]pl|cc0|al[-_. ]?v?\d(?:\.\d)?"
)
EXACT = r"legal|disclaimer|about|notice|readme|guidelines"
SEPARATED = r"(?:.*[-_. ])?(?:{})(?:[-_. ].*)?"
FULL_NAME = re.compile(SEPARATED.format(FULL), re.IGNORECASE | re.DOTALL)
EXACT_NAME = re.compile(SEPARATED.format(EXACT), re.IGNORECASE | re.DOTALL)
# gpl.c and about.py match the names, and hold code: a header in them speaks for one file, not for a tree.
CODE = frozenset(
    "a bat c cc cfg cmake cpp cs css cxx dart el erl ex fs go gradle h hh hpp hs inc ini ipynb java jl js json jsx kt less lua m "
    "ml mm php pl pm po ps1 py pyi pyx r rb rs scala scss sh sql svg swift tcl toml ts tsx vb vue xml yaml yml zig".split()
)
# Prefilter: without one of these words, ScanCode found nothing in any of 250 files (measured beside full detection).
MENTIONS = re.compile(r"licen[cs]|copyright|spdx|public domain|warrant|redistribut|\(c\)|all rights reserved", re.IGNORECASE)


def tier(path: str) -> str | None:
    """Return "full" or "exact" for a licence-like file name, None for any other."""
    name = path.rsplit("/", 1)[-1]
    if "." in name and name.rsplit(".", 1)[-1].lower() in CODE:
        return None
    return "full" if FULL_NAME.fullmatch(name) else "exact" if EXACT_NAME.fullmatch(name) else None


def is_text(path: str) -> bool:
    """Return whether a file is one of a folder of licences, which a name such as Zlib.txt alone does not tell."""
    return TEXTS.fullmatch(path) is not None and path.rsplit(".", 1)[-1].lower() not in CODE


@dataclass(frozen=True)
class Licenses:
    """Annotates `detected_licenses` and `license_findings`; looks at its whole part first."""

    reads: ClassVar[tuple[str, ...]] = ("repo_name", "path", "content")
    adds: ClassVar[pa.Schema] = annotated("detected_licenses", "license_findings")

    max_license_bytes: BytesAtOnce = 200_000  # of a text; the rest is not read: ScanCode's time grows faster than its input
    name: str = "licenses"  # in `dropped/`; leave it

    def material(self) -> tuple[str, ...]:
        """Return the versions of ScanCode, whose rules change with it, and of SPDX's identifiers."""
        return (version("scancode-toolkit"), version("license-expression"))

    def children(self) -> tuple[str, ...]:
        """Return the modules that ScanCode's processes run, which a key counts and which nothing here imports."""
        return scancode.CHILDREN

    def watch(self, cache: Cache) -> "LicenseTexts":
        """Begin with a part; `cache` outlasts the part, so that no text is looked at twice."""
        return LicenseTexts(self, cache)


@dataclass
class LicenseTexts:
    """What the files of one part say of licences, each asked as it is seen. All keys are (repository, folder or path)."""

    options: Licenses
    cache: Cache
    folders: dict[tuple[str, str], set[str]] = field(default_factory=dict)  # identifiers, as The Stack v2 spreads them
    findings: dict[tuple[str, str], list[Finding]] = field(default_factory=dict)  # of what holds for a folder
    own: dict[tuple[str, str], Finding] = field(default_factory=dict)  # of what holds for one file
    rules: dict[str, list[reuse.Rule]] = field(default_factory=dict)  # of a repository

    def see(self, block: pa.RecordBatch) -> None:
        """Take in what a block's licence-like files, manifests and heads of files say."""
        tagged = pc.match_substring(block.column("content"), reuse.TAG, ignore_case=True).to_pylist()
        for row, (path, repo_name) in enumerate(
            zip(*(block.column(n).to_pylist() for n in ("path", "repo_name")), strict=True)
        ):
            how = tier(path)
            full = how == "full" or is_text(path)
            name = path.rsplit("/", 1)[-1]
            beside, table, manifest = name.endswith(reuse.BESIDE), name in reuse.TABLES, declared.reader(path)
            if not (how or full or beside or table or manifest or tagged[row]):
                continue
            record = block.slice(row, 1)
            text = record.column("content")[0].as_py()
            if tagged[row] and (said := reuse.own(text)):
                of = path.removesuffix(reuse.BESIDE) if beside else path
                self.own[repo_name, of] = Finding(path, said, "own")
            if table:
                self.rules.setdefault(repo_name, []).extend(reuse.rules(path, text))
            if manifest:
                self._hold(repo_name, self._declared(path, text, record))
            if (how or full) and not beside:
                self._read(repo_name, path, how, full, text, record)

    def lose(self, block: pa.RecordBatch) -> None:
        """Take records that ScanCode is not asked about: what nobody knows holds at and below a licence-like one and a manifest."""
        for row in range(block.num_rows):
            path, repo_name = (block.column(name)[row].as_py() for name in ("path", "repo_name"))
            if tier(path) is not None or is_text(path):
                self._unread(repo_name, path, SKIPPED)
            elif declared.reader(path):
                self._hold(repo_name, [Finding(path, SKIPPED, UNREAD)])

    def miss(self, block: pa.RecordBatch) -> None:
        """Take files without a text: a LICENSE that is too large, or in no known encoding, is one that nobody knows, and no absent one."""
        for path, repo_name, reason in zip(
            *(block.column(n).to_pylist() for n in ("path", "repo_name", "reason")), strict=True
        ):
            if reason in NO_TEXT and TERMS_FILE.fullmatch(path.rsplit("/", 1)[-1]):
                self._unread(repo_name, path, SKIPPED)

    def step(self) -> "SpreadLicenses":
        """Return the step that gives each file what holds for it."""
        folders = {key: frozenset(found) for key, found in self.folders.items()}
        return SpreadLicenses(folders, self.findings, self.own, self.rules)

    def _read(self, repo_name: str, path: str, how: str | None, full: bool, text: str, record: pa.RecordBatch) -> None:
        try:
            found = self._of_text(text, not full, record)
        except DetectionTimeout:  # not cached: a busy machine is no property of the text
            skips.give_up(record)
            self._unread(repo_name, path, SKIPPED)
        except DetectionFailed:
            self._unread(repo_name, path, FAILED)
        else:
            if how:
                self._spread(repo_name, path, found.licenses)
            most = self.options.max_license_bytes
            self._hold(repo_name, weighed(path, text[:most], found.matches, full, len(text) > most, words_of(repo_name)))

    def _unread(self, repo_name: str, path: str, what: str) -> None:
        self._spread(repo_name, path, (what,))
        self._hold(repo_name, [Finding(path, what, UNREAD)])

    def _spread(self, repo_name: str, path: str, licenses: Iterable[str]) -> None:
        self.folders.setdefault((repo_name, path.rsplit("/", 1)[0]), set()).update(licenses)

    def _hold(self, repo_name: str, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.findings.setdefault((repo_name, folder(finding.path)), []).append(finding)

    def _declared(self, path: str, text: str, record: pa.RecordBatch) -> list[Finding]:
        found = []
        for statement in declared.declared(path, text):
            if said := declared.expression(statement):
                found.append(Finding(path, said, "declared"))
                continue
            # Words of a person: ScanCode knows thousands of ways to name a licence.
            try:
                known = self._asked(f"license: {statement}", True, record)
            except DetectionFailed:
                continue
            except DetectionTimeout:  # what is declared stays unknown, now and when the record is left out (lose)
                skips.give_up(record)
                return [Finding(path, SKIPPED, UNREAD)]
            found += [
                Finding(path, m.expression, "declared", m.score) for m in known.matches if m.score >= 80 and m.coverage == 100
            ]
        return found

    def _of_text(self, text: str, exact: bool, record: pa.RecordBatch) -> Found:
        text = text[: self.options.max_license_bytes]
        if exact and not MENTIONS.search(text):
            return Found()
        return self._asked(text, exact, record)

    def _asked(self, text: str, exact: bool, record: pa.RecordBatch) -> Found:
        key = text_key(text, exact)
        known = self.cache.get(key)
        if known is not None:
            return Found.of(known)
        with skips.with_own_limit(record) as seconds:
            found = detector().detect(text, exact, seconds)
        self.cache.put(key, found.lines())
        return found


def text_key(text: str, exact: bool) -> str:
    """Return a name for what is found in a text: by its words and nothing else, so that other trees need not ask again."""
    told = "\0".join((text, *scancode.chosen()))
    return f"{hashlib.sha256(told.encode('utf-8', 'surrogatepass')).hexdigest()}-{'exact' if exact else 'full'}"


@dataclass(frozen=True)
class SpreadLicenses:
    """The step bound to one part: what folders and files say, given to every file that it holds for, the nearest first."""

    reads: ClassVar[tuple[str, ...]] = ("repo_name", "path")
    adds: ClassVar[pa.Schema] = Licenses.adds

    folders: Mapping[tuple[str, str], frozenset[str]]
    findings: Mapping[tuple[str, str], list[Finding]] = field(default_factory=dict)
    own: Mapping[tuple[str, str], Finding] = field(default_factory=dict)
    rules: Mapping[str, list[reuse.Rule]] = field(default_factory=dict)
    name: str = "licenses"

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Annotate each row with the union over the folders above it."""
        detected: list[list[str]] = []
        found: list[list[dict[str, object]]] = []
        # Of a folder, and of the parts that a file belongs to: most files have neighbours.
        held: dict[tuple[str, str, frozenset[Names]], tuple[list[str], list[dict[str, object]]]] = {}
        for repo_name, path in zip(*(block.column(c).to_pylist() for c in self.reads), strict=True):
            parts = frozenset(names for names in self._parts.get(repo_name, ()) if holds(names, path))
            key = repo_name, path.rsplit("/", 1)[0], parts
            if key not in held:
                held[key] = self._above(*key)
            licenses, above = held[key]
            detected.append(licenses)
            found.append([*(f.row() for f in self._of_file(repo_name, path)), *above])
        columns = {
            name: pa.array(values, self.adds.field(name).type)
            for name, values in zip(self.adds.names, (detected, found), strict=True)
        }
        return append(block, columns)

    def _of_file(self, repo_name: str, path: str) -> Iterable[Finding]:
        if said := self.own.get((repo_name, path)):
            yield said
            return
        # Of several annotations the last one holds (REUSE 3.3).
        rules = [rule for rule in self.rules.get(repo_name, ()) if rule.holds(path)]
        if rules:
            yield Finding(rules[-1].file, rules[-1].expression, "own")

    def _above(self, repo_name: str, place: str, parts: frozenset[Names]) -> tuple[list[str], list[dict[str, object]]]:
        """Return what holds for files of a folder: identifiers, and findings of the nearest folder first, grants before mentions.

        `parts` are those that the files belong to.
        """
        licenses: set[str] = set()
        found: list[Finding] = []
        while True:
            licenses |= self.folders.get((repo_name, place), frozenset())
            if len(found) <= MOST_FINDINGS:
                found += self._ranked.get((repo_name, place), ())
            if not place:
                return sorted(licenses), [f.row(elsewhere=bool(f.of) and f.of not in parts) for f in _cut(found)]
            place = place.rpartition("/")[0]

    @functools.cached_property  # once: a tree may have a folder for each of its findings
    def _ranked(self) -> dict[tuple[str, str], list[Finding]]:
        return {key: ranked(found) for key, found in self.findings.items()}

    @functools.cached_property
    def _parts(self) -> dict[str, list[Names]]:
        """Return the names of the parts that licence files of a repository tell apart."""
        found: dict[str, dict[Names, None]] = {}
        for (repo_name, _), findings in self.findings.items():
            for finding in (finding for finding in findings if finding.of):
                found.setdefault(repo_name, {})[finding.of] = None
        return {repo_name: list(names) for repo_name, names in found.items()}


def ranked(found: Iterable[Finding]) -> list[Finding]:
    """Return what counts of a folder's findings, grants before mentions: where there are too many, each licence once."""
    order = sorted(found, key=lambda f: (f.how == MENTION, f.path, f.start_line, f.how, f.expression))
    if len(order) > MOST_FINDINGS:
        first: dict[tuple[str, str, Names], Finding] = {}
        for finding in order:
            first.setdefault((finding.expression, finding.how, finding.of), finding)
        order = list(first.values())
    return _cut(order)


def _cut(order: list[Finding]) -> list[Finding]:
    """Return as many findings as a file may have. Grants that are left out are a licence that nobody knows, where the first of them is."""
    if all(finding.how == MENTION for finding in order[MOST_FINDINGS:]):
        return order[:MOST_FINDINGS]
    first = next(finding for finding in order[MOST_FINDINGS - 1 :] if finding.how != MENTION)
    return [*order[: MOST_FINDINGS - 1], Finding(first.path, SKIPPED, UNREAD)]
