"""StarCoder's rules over commits (bigcode-dataset, filtering_git_commits): subjects that say what was done, changes of a fair size.

Where a rule keeps a share, whether a commit is in it is a hash of its id, for each rule another one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from starmill.core import seeds
from starmill.core.names import AtLeast0, Language, Positive, Seed, Share
from starmill.transforms.step import Rule

VERSION = re.compile(r"v?\d+\.\d+\.\d+", re.IGNORECASE)


@dataclass(frozen=True)
class CommitRules(Rule):
    """Drops commits with an empty result, with a subject that says nothing, and most of those that changed few or many lines.

    >>> marks = [("message", "Test", 7, 11), ("after", "/a.py", 12, 18), ("changed", "9", 18, 18)]
    >>> CommitRules().judge("/commit/1", [dict(zip(("role", "name", "start", "end"), mark)) for mark in marks], "Python")
    'vague_subject'
    """

    reads: ClassVar[tuple[str, ...]] = ("path", "segments", "language")

    small_lines: AtLeast0 = 2  # from the first changed line to the last: so few, or fewer, are kept at small_rate
    small_rate: Share = 0.1  # share of these that is kept
    large_lines: AtLeast0 = 200  # so many, or more, are kept at large_rate
    large_rate: Share = 0.1  # share of these that is kept
    phrases: tuple[str, ...] = ("auto commit", "update contributing", "<?xml")  # a subject that holds one says nothing
    subjects: tuple[str, ...] = (
        "readme",
        "update",
        "dummy",
        "updated",
        "debug",
        "test",
        "update readme",
        "update readme.md",
        "updated readme",
        "updated readme.md",
    )  # nor does one that is one of these
    few_words: AtLeast0 = 5  # of a subject; one with fewer is kept at few_words_rate
    few_words_rate: Share = 0.5  # share of these that is kept
    about_versions: bool = False  # whether subjects that begin with a version stay
    max_chars_per_word: Positive = 20  # of a subject
    data_languages: tuple[Language, ...] = (
        "HTML",
        "JSON",
        "XML",
        "YAML",
    )  # languages of data: of commits to their files data_rate is kept
    data_rate: Share = 0.5  # share of commits to data_languages that is kept
    seed: Seed = 0  # of what is kept at a rate
    name: str = "commits"

    def judge(self, path: str, segments: Sequence[Mapping[str, Any]] | None, language: str | None) -> str | None:
        """Return the reason, or None."""
        said = {s["role"]: s["name"] or "" for s in segments or ()}
        after = any(s["role"] == "after" and s["start"] < s["end"] for s in segments or ())
        subject, lines = said.get("message", ""), int(said.get("changed", 0))
        plain, words = subject.strip().lower(), len(subject.split())
        judged = {
            "empty_after": lambda: not after,
            "small_change": lambda: lines <= self.small_lines and self._left_out("small", path, self.small_rate),
            "large_change": lambda: lines >= self.large_lines and self._left_out("large", path, self.large_rate),
            "empty_subject": lambda: not words,
            "vague_subject": lambda: plain in self.subjects or any(phrase in plain for phrase in self.phrases),
            "few_words": lambda: words < self.few_words and self._left_out("few_words", path, self.few_words_rate),
            "subject_of_a_version": lambda: not self.about_versions and bool(VERSION.match(plain)),
            "long_words": lambda: len(subject) / words > self.max_chars_per_word,
            "one_indented_word": lambda: words == 1 and subject.startswith(" "),
            "data_format": lambda: language in self.data_languages and self._left_out("data", path, self.data_rate),
        }
        return next((reason for reason, holds in judged.items() if holds()), None)

    def _left_out(self, rule: str, path: str, rate: float) -> bool:
        return seeds.uniform(self.seed, f"commit_{rule}", path) >= rate
