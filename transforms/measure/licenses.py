"""Licences: ScanCode on licence-like files, spread down the tree, and the types of The Stack v2 (paper, section 2.1).

A licence found in /a/README holds for all of /a/**; several directories' licences add up. A full match runs on LICENSE- and
COPYING-like names; readmes and notices, which are many and long, are matched exactly (whole rules, SPDX ids), and only if they
mention licensing at all. A text on which ScanCode fails counts as a licence nobody knows: not permissive. So does one that is
left out because ScanCode takes too long with it (core/skips.py); that record itself is dropped.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from importlib.metadata import version
from typing import ClassVar

import pyarrow as pa

from starmill.core import skips
from starmill.core.names import BytesAtOnce
from starmill.transforms.chain import annotated
from starmill.transforms.measure.scancode import DetectionFailed, DetectionTimeout, detector
from starmill.transforms.step import Cache, append

SKIPPED = "LicenseRef-starmill-skipped"
FAILED = "LicenseRef-starmill-failed"

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

# Found, but saying nothing about the terms (The Stack v2's list of neutral references).
NEUTRAL = frozenset(
    f"LicenseRef-scancode-{n}"
    for n in (
        "dco-1.1 generic-cla google-cla jetty-ccla-1.1 newton-king-cla generic-exception generic-export-compliance generic-tos "
        "generic-trademark warranty-disclaimer"
    ).split()
)
UNKNOWN_REFERENCE = "LicenseRef-scancode-unknown-license-reference"


def tier(path: str) -> str | None:
    """Return "full" or "exact" for a licence-like file name, None for any other."""
    name = path.rsplit("/", 1)[-1]
    if "." in name and name.rsplit(".", 1)[-1].lower() in CODE:
        return None
    return "full" if FULL_NAME.fullmatch(name) else "exact" if EXACT_NAME.fullmatch(name) else None


def decide(gha_license: str | None, detected: set[str], permissive: frozenset[str]) -> str:
    """Return permissive, no_license or non_permissive, by The Stack v2's order of rules."""
    if gha_license is not None and gha_license in permissive:
        return "permissive"
    if gha_license is not None and gha_license != "NOASSERTION":
        return "non_permissive"
    if not detected:
        return "no_license" if gha_license is None else "non_permissive"
    allowed = detected & permissive
    rest = detected - permissive - NEUTRAL - ({UNKNOWN_REFERENCE} if allowed else set())
    return "non_permissive" if rest else "permissive" if allowed else "no_license"


@functools.lru_cache(maxsize=1)
def permissive_licenses() -> frozenset[str]:
    """Return the ids in data/permissive.txt."""
    text = resources.files("starmill.transforms.measure").joinpath("data/permissive.txt").read_text("utf-8")
    return frozenset(line for line in text.split("\n") if line and not line.startswith("#"))


@dataclass(frozen=True)
class Licenses:
    """Annotates `detected_licenses` and `license_type`; looks at its whole part first."""

    reads: ClassVar[tuple[str, ...]] = ("repo_name", "path", "blob_id", "content", "gha_license_id")
    adds: ClassVar[pa.Schema] = annotated("detected_licenses", "license_type")

    max_license_bytes: BytesAtOnce = 200_000  # of a text; the rest is not read: ScanCode's time grows faster than its input
    name: str = "licenses"  # in `dropped/`; leave it

    def material(self) -> tuple[str, ...]:
        """Return the version of ScanCode, whose rules change with it."""
        return (version("scancode-toolkit"),)

    def watch(self, cache: Cache) -> "LicenseTexts":
        """Begin with a part; `cache` outlasts the part, so that no text is looked at twice."""
        return LicenseTexts(self, cache)


@dataclass
class LicenseTexts:
    """The licence texts of one part, each detected as it is seen."""

    options: Licenses
    cache: Cache
    folders: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def see(self, block: pa.RecordBatch) -> None:
        """Detect the licences of a block's licence-like files."""
        for row, path in enumerate(block.column("path").to_pylist()):
            how = tier(path)
            if how is None:
                continue
            record = block.slice(row, 1)
            try:
                found = self._of_text(record.column("content")[0].as_py(), record.column("blob_id")[0].as_py(), how, record)
            except DetectionTimeout:  # not cached: a busy machine is no property of the text
                skips.give_up(record)
                self.lose(record)
            else:
                self._found(record, found)

    def lose(self, block: pa.RecordBatch) -> None:
        """Take records that ScanCode is not asked about: a licence that nobody knows holds at and below a licence-like one."""
        for row, path in enumerate(block.column("path").to_pylist()):
            if tier(path) is not None:
                self._found(block.slice(row, 1), [SKIPPED])

    def _found(self, record: pa.RecordBatch, found: list[str]) -> None:
        repo_name, path = (str(record.column(name)[0].as_py()) for name in ("repo_name", "path"))
        self.folders.setdefault((repo_name, path.rsplit("/", 1)[0]), set()).update(found)

    def step(self) -> "SpreadLicenses":
        """Return the step that gives each file the licences at and above it."""
        return SpreadLicenses({key: frozenset(found) for key, found in self.folders.items()})

    def _of_text(self, text: str, blob_id: str, how: str, record: pa.RecordBatch) -> list[str]:
        text = text[: self.options.max_license_bytes]
        if how == "exact" and not MENTIONS.search(text):
            return []
        key = f"{blob_id}-{how}-{self.options.max_license_bytes}"
        known = self.cache.get(key)
        if known is not None:
            return known
        try:
            with skips.with_own_limit(record) as seconds:
                found = detector().detect(text, how == "exact", seconds)
        except DetectionFailed:
            return [FAILED]
        self.cache.put(key, found)
        return found


@dataclass(frozen=True)
class SpreadLicenses:
    """The step bound to one part: licences by (repository, folder), given to every file at or below the folder."""

    reads: ClassVar[tuple[str, ...]] = ("repo_name", "path", "gha_license_id")
    adds: ClassVar[pa.Schema] = Licenses.adds

    folders: Mapping[tuple[str, str], frozenset[str]]
    name: str = "licenses"

    def __call__(self, block: pa.RecordBatch) -> pa.RecordBatch:
        """Annotate each row with the union over the folders above it."""
        permissive = permissive_licenses()
        columns = [block.column(c).to_pylist() for c in self.reads]
        detected = [self._above(repo_name, path.rsplit("/", 1)[0]) for repo_name, path, _ in zip(*columns, strict=True)]
        types = [decide(gha, set(found), permissive) for gha, found in zip(columns[2], detected, strict=True)]
        lists = pa.array([sorted(f) for f in detected], pa.list_(pa.string()))
        return append(block, {"detected_licenses": lists, "license_type": pa.array(types, pa.string())})

    def _above(self, repo_name: str, folder: str) -> frozenset[str]:
        found: frozenset[str] = self.folders.get((repo_name, ""), frozenset())
        at = folder.find("/", 1)
        while folder and at != -2:
            end = len(folder) if at == -1 else at
            found |= self.folders.get((repo_name, folder[:end]), frozenset())
            at = -2 if at == -1 else folder.find("/", end + 1)
        return found
