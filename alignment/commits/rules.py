"""Says of a commit why it makes no instruction: CommitPackFT's filters, but for what is said at each.

Source: OctoPack (arXiv 2308.07124), the appendix on CommitPackFT, and dataset/commitpackft of its repository. All patterns are linear.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass

from starmill.alignment.commits.recipe import Rules
from starmill.alignment.read import Reason
from starmill.core import seeds

SKIPS = re.compile(r"\[(?:skip ci|ci skip)\]", re.IGNORECASE)
# Messages that say nothing, or nothing about the change.
EMPTY = (
    "readme",
    "update",
    "dummy",
    "updated",
    "test",
    "update readme",
    "update readme.md",
    "updated readme",
    "updated readme.md",
)
PHRASES = (
    "auto commit", "update contributing", "<?xml", "merge branch", "merge pull request", "signed-off-by", "code review", "//codereview",
    "work in progress", "cherry picked from commit", "| leetcode", "cdpcp", "put the thingie in the thingie", "add a beter commit message",
    "fix that bug where things didn't work but now they should",
)  # fmt: skip
WIP = re.compile(r"\bwip\b", re.IGNORECASE)  # CommitPackFT: anywhere, and so in "swipe"
PEOPLE = re.compile(r"(?:^|\s)i(?:'\w+)?(?:\s|$)", re.IGNORECASE)
ELSEWHERE = re.compile(r"#|https?://|\b[0-9a-f]{40}\b|\b(?:issue|bug|feature)\s{0,9}\d", re.IGNORECASE)
VERSION = re.compile(r"v?\d+\.\d+\.\d+", re.IGNORECASE)
SETS = re.compile(r"(?:bump|set version|update version|release v?\d)", re.IGNORECASE)  # CommitPackFT: no releases
UNDONE = {"merge": "merge", "revert": "revert"}  # which CommitPackFT keeps


@dataclass(frozen=True)
class Commit:
    """A commit of one file; `path` is the file's."""

    name: str
    message: str
    path: str
    before: str
    after: str
    language: str


def cleaned(message: str) -> str:
    """Return a message without what stands around it: a topic before, a reference in brackets behind.

    >>> cleaned("core/io: Close files [skip ci]"), cleaned("[docs] Say how to install [PR-3]")
    ('Close files', 'Say how to install')
    """
    words = SKIPS.sub("", message).split()
    if words and words[0].startswith("[") and words[0].endswith("]"):
        words = words[1:]
    if words and words[0].endswith(":"):
        words = words[1:]
    if words and words[-1].startswith("[") and words[-1].endswith("]"):
        words = words[:-1]
    return " ".join(words)


def judge(one: Commit, how: Rules, verbs: Collection[str], tokens: Callable[[str], int], seed: int) -> Reason | None:
    """Return why a commit, its message cleaned, makes no instruction; None where it makes one."""
    return _texts(one, how, tokens) or _message(one, how, verbs, seed)


def _texts(one: Commit, how: Rules, tokens: Callable[[str], int]) -> Reason | None:
    if how.languages and one.language not in how.languages:
        return Reason("another_language", one.language)
    if not one.before and not how.added:
        return Reason("nothing_before")
    if not one.after:
        return Reason("nothing_after")
    if one.before == one.after:
        return Reason("no_change")  # that redaction left
    count = tokens(one.before) + tokens(one.after)
    if count < how.min_tokens:
        return Reason("too_short", f"{count:,} tokens")
    return Reason("too_long", f"{count:,} tokens") if count > how.max_tokens else None


def _message(one: Commit, how: Rules, verbs: Collection[str], seed: int) -> Reason | None:
    said, lower = one.message, one.message.lower()
    words = lower.split()
    first = words[0] if words else ""
    if len(said) < how.min_chars or len(words) < how.min_words:
        return Reason("short_message", said[:80])
    if len(said) > how.max_chars or len(words) > how.max_words:
        return Reason("long_message", f"{len(said):,} characters")
    if first in UNDONE:
        return Reason(UNDONE[first], said[:80])
    if VERSION.match(said) or (SETS.match(said) and seeds.uniform(seed, "commit_version", one.name) >= how.version_rate):
        return Reason("sets_a_version", said[:80])
    if how.capitalized and not said[0].isupper():
        return Reason("not_capitalized", said[:80])
    if first not in verbs and " ".join(words[:2]) not in verbs:
        return Reason("not_imperative", said[:80])
    if lower in EMPTY or WIP.search(said) or any(phrase in lower for phrase in PHRASES):
        return Reason("says_nothing", said[:80])
    if PEOPLE.search(said) or ("thanks to" in lower and "for" in lower):
        return Reason("speaks_of_people", said[:80])
    if match := ELSEWHERE.search(said):
        return Reason("speaks_of_elsewhere", match[0][:80])
    file = one.path.rpartition("/")[2].strip(".")
    stem = file.rpartition(".")[0] or file
    if stem and re.search(rf"(?<!\w){re.escape(stem)}(?!\w)", said):  # CommitPackFT: in words too
        return Reason("names_its_file", stem[:80])
    return None
