"""What a licence text grants, and what it only mentions: the matches of ScanCode, weighed.

"GPL-compatible" in a licence of Python, two words in a readme and a weak match of eight words are no grants; a text of a licence, a notice
and an identifier are. A condition that somebody added to a licence (no commercial use) is found by its own words, since the rest of the
text still matches the licence. A file that is called LICENSE and grants nothing that anybody knows is an unknown licence. What a licence
file says of a part, such as what is bundled, has the part's names (portions.py).
"""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from starmill.transforms.measure.matches import Match
from starmill.transforms.measure.portions import MOST_NAMES, Names, Portions, of_name, subject

RESTRICTED = "LicenseRef-starmill-restricted"  # a known licence with a condition that takes its permissions back
UNKNOWN = "LicenseRef-starmill-unknown"  # a text of terms that ScanCode does not know
GRANTS = frozenset({"text", "notice", "tag", "reference", "declared", "own", "restriction", "unknown", "unread", "word"})
WORD_ALONE = "word"  # a few words of a readme, or a notice about what is bundled: a grant where there is no other
MENTION = "mention"
OF_A_PART = (
    "part:"  # before the word for how: what is found is about a part of the whole, to which the file at hand does not belong
)

A_TEXT = 20  # words of a licence's text, from which on half of the text may be somebody else's
A_LONG_TEXT = 50  # words, beside which two words about another licence are a remark
A_NOTICE = 16  # words that an approximate match of a notice must have
A_REMARK = 8  # words: below, a notice beside a licence's whole text is a remark
A_NAME_ALONE = 80  # words of a LICENSE file that may say what it is by a name alone
TERMS = 30  # words of a LICENSE file, from which on it must grant something
A_CUT = 3  # lines before the end of a text that goes on, in which what is alike is a piece of something else
MOST_CONDITIONS = 16  # of a text: a longer list is about the whole
A_PARTS = frozenset({"text", "notice", "tag", "reference"})  # how a part may be found
EXCERPT = 400  # characters before and behind a match that say how it is meant

# A licence that is compared, denied or named for another thing.
REMARKED = re.compile(
    r"compatib|unlike|doesn't mean|does not mean|\bno longer\b|\bnot (?:covered|licensed|released|distributed|available)\b"
    r"|instead of|rather than|other than|\bformerly\b|\bpreviously\b|\bused to be\b",
    re.IGNORECASE,
)
COMMERCE = r"(?:commercial(?:ly)?|profit)"
BLANK = r"\s{1,80}(?:[*#/;]{1,3}\s{1,80})?"  # between words: a sentence goes on in the next line, which may be of a comment
CONDITION = re.compile(
    (
        rf"commons clause|not(?: be)? (?:\w+ ){{0,4}}(?:for )?(?:any )?{COMMERCE} (?:purpose|use|product|application|activit|gain)"
        rf"|non-?{COMMERCE},? (?:\w+ ){{0,3}}(?:purposes?|use|basis)(?: \w+)? only|only (?:\w+ ){{0,3}}non-?{COMMERCE} (?:use|purpose)"
        rf"|for non-?{COMMERCE} (?:use|purposes)(?! and commercial| or commercial)"
        rf"|{COMMERCE} use (?:\w+ ){{0,2}}(?:is )?(?:prohibited|forbidden|not (?:allowed|permitted)|requires)"
        r"|for (?:personal|private|academic|educational|research|evaluation)(?: and \w+)?(?: use| purposes?)? only"
        r"|(?:personal|academic|research|evaluation) use only"
    ).replace(" ", BLANK),
    re.IGNORECASE,
)
ONCE = re.compile(
    r"\b(?:once|formerly|previously|used to be|no longer)\b[^.;]*\Z", re.IGNORECASE
)  # before a condition that is none now
A_SENTENCE = 80  # characters
SAID_OUTRIGHT = re.compile(r"\blicen[cs]e[ds]?['\"]?[ \t]*[:=]", re.IGNORECASE)  # `License: MIT`, whatever else its line says
# A character of Chinese, Japanese or Thai counts as a word: no blanks stand between theirs, so that a licence would be a few long words.
ALONE = "\u0e01-\u0e4f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
WORD = re.compile(rf"[{ALONE}]|[^\W{ALONE}]+")
# Folders of texts and of metadata: LICENSES/ of REUSE, licenses/ of wheels and crates, what setuptools and pip write.
SPEAKS_FOR_ITS_PARENT = re.compile(r"li[cs]en[cs]es?|[^/]+\.(?:dist|egg)-info|EGG-INFO|META-INF|\.reuse", re.IGNORECASE)
NOTICE_NAME = re.compile(r"(?:.*[-_. ])?notice", re.IGNORECASE | re.DOTALL)
TERMS_NAME = re.compile(r"(?:.*[-_. ])?(?:(?:un)?li[cs]en[cs]es?|copying)(?:[-_. ].*)?", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """A licence that a file speaks of. `how`: one of GRANTS, or "mention"; `score` in per cent; lines from 1, 0 where none is meant.

    `of` names the files and folders that it is about, where these are a part of what lies at and below its folder.
    """

    path: str
    expression: str
    how: str
    score: float = 100.0
    start_line: int = 0
    end_line: int = 0
    of: Names = ()

    def row(self, elsewhere: bool = False) -> dict[str, object]:
        """Return the row of the column `license_findings`, for a file that is `elsewhere` than in the part that is meant."""
        how = f"{OF_A_PART}{self.how}" if elsewhere and self.how in GRANTS else self.how
        return {name: value for name, value in vars(self).items() if name != "of"} | {"how": how}


def folder(path: str) -> str:
    """Return the folder at and below which a licence-like file or a manifest holds; the root is "".

    >>> folder("/a/LICENSE"), folder("/LICENSES/MIT.txt"), folder("/a-1.0.dist-info/METADATA")
    ('/a', '', '')
    """
    above = path.rpartition("/")[0]
    while SPEAKS_FOR_ITS_PARENT.fullmatch(above.rpartition("/")[2]):
        above = above.rpartition("/")[0]
    return above


def weighed(
    path: str, text: str, matches: Sequence[Match], full: bool, cut: bool = False, project: frozenset[str] = frozenset()
) -> list[Finding]:
    """Return what a licence-like file grants and mentions, the strongest of each.

    `full`: its name is a licence's, not a readme's. `cut`: the text goes on. `project`: words of its name, which no part has.
    """
    lines = text.split("\n")
    words = sum(1 for _ in WORD.finditer(text))
    notice = NOTICE_NAME.match(path.rsplit("/", 1)[-1]) is not None
    long = any(m.kind == "text" and m.words >= A_LONG_TEXT and m.coverage >= 50 for m in matches)
    whole = len(lines) - A_CUT if cut else sys.maxsize  # ScanCode has more lines than there are here: a form feed ends one
    granting = {
        m
        for m in matches
        if _is_said(m) and (m.coverage == 100 or m.end_line <= whole) and _grants(m, lines, words, long, full)
    }
    parts = _parts(path, lines, granting, full, project)
    found: dict[tuple[str, str, bool], Finding] = {}
    for match in matches:
        if not _is_said(match):
            continue
        how = match.kind if match in granting else MENTION
        if how != MENTION and not full and (notice or (match.words < A_NOTICE and match.matcher != "1-spdx-id")):
            how = WORD_ALONE
        of = parts.get(match, ()) if how in A_PARTS else ()
        finding = Finding(path, match.expression, how, match.score, match.start_line, match.end_line, of)
        key = match.expression, how, bool(of)
        held = found.get(key)
        names = tuple(sorted({*of, *(held.of if held else ())}))
        if len(names) > MOST_NAMES:  # too many to be told: about the whole
            key, names = (match.expression, how, False), ()
            held = found.get(key)
        found[key] = replace(held if held is not None and held.score >= match.score else finding, of=names)
    granted = any(how != MENTION for _, how, _ in found)
    if granted or full:
        for restriction in _restrictions(path, text, lines):
            found[RESTRICTED, "restriction", bool(restriction.of)] = restriction
    said = granted or (RESTRICTED, "restriction", False) in found
    if full and not said and words >= TERMS and TERMS_NAME.fullmatch(path.rsplit("/", 1)[-1]):
        found[UNKNOWN, "unknown", False] = Finding(path, UNKNOWN, "unknown", 100.0, 1, len(lines))
    return list(found.values())


def _is_said(match: Match) -> bool:
    return match.kind not in ("intro", "clue") and match.expression != "None"


def _parts(path: str, lines: Sequence[str], granting: set[Match], full: bool, project: frozenset[str]) -> dict[Match, Names]:
    """Return what those grants of a licence file are about that are about a part: all of LICENSE.zlib, or what follows on the first."""
    if not full or not granting:
        return {}
    named = of_name(path, project)
    first = min(granting, key=lambda m: (m.start_line, -m.end_line))
    behind = {m for m in granting if m.start_line > first.end_line}
    if not named and not behind:
        return {}
    main = 0 if named else first.end_line
    sections = Portions(lines, main, ((m.start_line, m.end_line) for m in granting), project)
    found = {m: tuple(sorted({*named, *sections.at(m.start_line, m.end_line)})) for m in (granting if named else behind)}
    return {match: names for match, names in found.items() if names and len(names) <= MOST_NAMES}


def _restrictions(path: str, text: str, lines: Sequence[str]) -> list[Finding]:
    """Return the condition that takes a licence back; before it, one whose sentence is about a part, such as data."""
    part: list[Finding] = []
    held = (c for c in CONDITION.finditer(text) if not ONCE.search(text, max(0, c.start() - A_SENTENCE), c.start()))
    for count, condition in enumerate(held):
        line = text.count("\n", 0, condition.start()) + 1
        of = subject(lines, line) if count < MOST_CONDITIONS else ()
        finding = Finding(path, RESTRICTED, "restriction", 100.0, line, line, of)
        if not of:
            return [*part, finding]
        part = [finding if not part else replace(part[0], of=tuple(sorted({*part[0].of, *of})))]
    return part


def _grants(match: Match, lines: Sequence[str], words: int, long: bool, full: bool) -> bool:
    if match.matcher in ("1-hash", "1-spdx-id"):
        return True
    if match.kind == "text":
        return match.words >= (A_TEXT if match.coverage < 100 else A_REMARK) and match.coverage >= 50
    if match.score < 80 or match.coverage < 80 or (match.matcher == "3-seq" and match.words < A_NOTICE):
        return False
    if (long and match.words < A_REMARK) or _is_a_remark(match, lines):
        return False
    return match.kind in ("notice", "tag") or (match.kind == "reference" and full and words <= A_NAME_ALONE)


def _is_a_remark(match: Match, lines: Sequence[str]) -> bool:
    around = "\n".join(line[:EXCERPT] for line in lines[max(0, match.start_line - 1) : match.end_line][:3])
    if match.kind == "tag" and SAID_OUTRIGHT.search(around):
        return False
    return match.words < A_NOTICE and REMARKED.search(around) is not None
