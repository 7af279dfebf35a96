"""The costly steps of ScanCode's approximate matching over the whole index at once, in numpy: the same answers in a tenth of the time.

ScanCode compares a text, and each stretch of it that is left to match, with each of 29,000 rules: by their sets of words, then the best
of them by their counts of words, and keeps a few candidates to align. An inverted index counts the common words of all rules at once, and
scores, thresholds, ranks and doubles are those of `licensedcode.match_set`, to the last bit. What else is left out is never looked at:
a detection's name, a digest over its matched text, and that text where its rule's relevance has decided already.
tests/transforms/measure/test_scancode_quick.py compares candidates and detections with ScanCode's own.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Numbers = np.ndarray  # one for each rule that is looked at


class Candidates:
    """ScanCode's `compute_candidates` over the rules of an index that approximate matching may use."""

    def __init__(self, index: Any) -> None:
        """Read the rules once. Rows are rules, in the order of their numbers."""
        from licensedcode import match_set

        self.vector = match_set.ScoresVector
        self.matchable = index.approx_matchable_rids
        self.numbers = np.array(sorted(self.matchable), np.int64)
        rules = [index.rules_by_rid[number] for number in self.numbers]
        self.rules, self.sets, self.legalese = rules, index.sets_by_rid, index.len_legalese
        self.lengths = [np.array([max(rule.get_length(unique) or 1, 1) for rule in rules]) for unique in (True, False)]
        self.least = [np.array([rule.get_min_matched_length(unique) or 0 for rule in rules]) for unique in (True, False)]
        self.least_high = [np.array([rule.get_min_high_matched_length(u) or 0 for rule in rules]) for u in (True, False)]
        self.containment = np.array([rule._minimum_containment or 0 for rule in rules], np.float64)
        expressions = {name: n for n, name in enumerate(sorted({rule.license_expression or "" for rule in rules}))}
        self.expression = np.array([expressions[rule.license_expression or ""] for rule in rules])
        names = {name: n for n, name in enumerate(sorted(rule.identifier for rule in rules))}
        self.name = np.array([names[rule.identifier] for rule in rules])
        # Words of rules: which rules have a word, and which words a rule has, how often.
        sets = [self.sets[number] for number in self.numbers]
        words = np.fromiter(itertools.chain.from_iterable(sets), np.int64)
        rows = np.repeat(np.arange(len(rules), dtype=np.int32), [len(some) for some in sets])
        order = np.argsort(words, kind="stable")
        self.having = rows[order]
        self.size = int(words.max()) + 2
        self.starts = np.searchsorted(words[order], np.arange(self.size + 1))
        counts = [index.msets_by_rid[number] for number in self.numbers]
        total = sum(map(len, counts))
        self.words = np.fromiter(itertools.chain.from_iterable(counts), np.int32, total)
        self.counts = np.fromiter(itertools.chain.from_iterable(some.values() for some in counts), np.int32, total)
        self.first = np.concatenate(([0], np.cumsum([len(some) for some in counts])))

    def find(self, run: Any, top: int, high_resemblance: bool, threshold: float) -> list[tuple[Any, ...]]:
        """Return the best rules for a stretch of a query, as `compute_candidates` returns them."""
        if not run.high_matchables:
            return []
        tokens = run.query.tokens
        asked = np.bincount([tokens[place] for place in run.matchables], minlength=self.size)
        known = np.flatnonzero(asked)
        high = self._common(known[known < self.legalese])
        common = high + self._common(known[(known >= self.legalese) & (known < self.size)])
        rows = np.flatnonzero((high > 0) & (high >= self.least_high[0]) & (common >= self.least[0]))
        scores = self._scores(rows, common[rows], len(known), 0, threshold, high_resemblance)
        # Of the best by their sets, the best by their counts.
        rows = scores.best(self.numbers)[: top * 10]
        if not len(rows):
            return []
        high, common = self._counted(rows, asked)
        some = (high > 0) & (high >= self.least_high[1][rows]) & (common >= self.least[1][rows])
        scores = self._scores(rows[some], common[some], int(asked.sum()), 1, threshold, high_resemblance)
        scores = scores.of(self._without_doubles(scores))
        order = scores.order(self.numbers)[:top]
        words = type(self.sets[int(self.numbers[0])])(list(map(int, known[known < self.legalese])))
        return [self._candidate(scores, at, words) for at in order]

    def _common(self, words: Numbers) -> Numbers:
        having = [self.having[self.starts[word] : self.starts[word + 1]] for word in words]
        return np.bincount(np.concatenate(having) if having else np.zeros(0, np.int32), minlength=len(self.rules))

    def _counted(self, rows: Numbers, asked: Numbers) -> tuple[Numbers, Numbers]:
        """Return how many words of legalese and how many of all a text and some rules have in common, each as often as in both."""
        sizes = self.first[rows + 1] - self.first[rows]
        begins = np.concatenate(([0], np.cumsum(sizes)))
        places = np.arange(begins[-1]) + np.repeat(self.first[rows] - begins[:-1], sizes)
        words = self.words[places]
        shared = np.minimum(asked[words], self.counts[places])
        sums = np.concatenate(([0], np.cumsum(shared)))
        highs = np.concatenate(([0], np.cumsum(np.where(words < self.legalese, shared, 0))))
        return highs[begins[1:]] - highs[begins[:-1]], sums[begins[1:]] - sums[begins[:-1]]

    def _scores(self, rows: Numbers, common: Numbers, asked: int, step: int, threshold: float, high_only: bool) -> "Scores":
        length = self.lengths[step][rows]
        containment, resemblance = common / length, common / (asked + length - common)
        least = self.containment[rows]
        scores = Scores(rows, common, containment, resemblance, threshold)
        some = ~((least > 0) & (containment < least))
        if high_only:
            some &= scores.high & scores.rounded_high
        return scores.of(np.flatnonzero(some))

    def _without_doubles(self, scores: "Scores") -> Numbers:
        """Return the best of each group of rules of one licence, one length and the same rounded scores."""
        rows = scores.rows
        group = (self.expression[rows], self.lengths[1][rows], *scores.rounded)
        order = np.lexsort((self.name[rows], *reversed(scores.full), *group))
        last = np.ones(len(order), bool)
        if len(order):
            last[:-1] = np.any([column[order][1:] != column[order][:-1] for column in group], axis=0)
        return order[last]

    def _candidate(self, scores: "Scores", at: int, words: Any) -> tuple[Any, ...]:
        vectors = tuple(self.vector(*(column[at].item() for column in some)) for some in (scores.rounded, scores.full))
        number = int(self.numbers[scores.rows[at]])
        return vectors, number, self.rules[scores.rows[at]], words & self.sets[number]


class Scores:
    """What ScanCode's two vectors of scores hold, for some rules."""

    def __init__(self, rows: Numbers, common: Numbers, containment: Numbers, resemblance: Numbers, threshold: float) -> None:
        """Take what is common to a text and the rules, of the rule's words and of all words of both."""
        self.rows, self._made = rows, (common, containment, resemblance, threshold)
        amplified = np.array(
            [value**2 for value in resemblance.tolist()]
        )  # C's pow, as ScanCode: numpy's may differ in the last bit
        self.high, self.rounded_high = resemblance >= threshold, rounded(resemblance) >= threshold
        self.full = (self.high, containment, amplified, common)
        self.rounded = (self.rounded_high, rounded(containment), rounded(amplified), _twentieths(common))

    def of(self, some: Numbers) -> "Scores":
        """Return the scores of some of the rules."""
        found = Scores.__new__(Scores)
        found.rows, found.high, found.rounded_high = self.rows[some], self.high[some], self.rounded_high[some]
        found.full, found.rounded = (tuple(column[some] for column in columns) for columns in (self.full, self.rounded))
        return found

    def order(self, numbers: Numbers) -> Numbers:
        """Return the places of the rules, the best first."""
        return np.lexsort((numbers[self.rows], *reversed(self.full), *reversed(self.rounded)))[::-1]

    def best(self, numbers: Numbers) -> Numbers:
        """Return the rules, the best first."""
        return self.rows[self.order(numbers)]


def rounded(values: Numbers) -> Numbers:
    """Return what Python's `round(value, 1)` gives.

    >>> rounded(np.array([0.25, 0.35, 0.05, 2.675, 7.0])).tolist()
    [0.2, 0.3, 0.1, 2.7, 7.0]
    """
    tenths = values * 10
    found = np.rint(tenths) / 10
    for at in np.flatnonzero(
        np.abs(tenths - np.floor(tenths) - 0.5) < 1e-6
    ):  # a tie, or nearly: what decides is the decimal value
        found[at] = round(values[at].item(), 1)
    return found


def _twentieths(counts: Numbers) -> Numbers:
    table = _table()
    if int(counts.max(initial=0)) < len(table):
        return table[counts]
    return np.array([round(count / 20, 1) for count in counts.tolist()])


@functools.cache
def _table() -> Numbers:
    return np.array([round(count / 20, 1) for count in range(1 << 15)])


def quicken(index: Any) -> None:
    """Let ScanCode begin approximate matching with these candidates, and leave out what nobody looks at."""
    _quicken_spans()
    _quicken_runs()
    from licensedcode import detection, match_set

    slow: Callable[..., Any] = match_set.compute_candidates
    judge: Callable[..., bool] = detection.is_false_positive
    candidates = Candidates(index)

    def quick(
        query_run: Any, idx: Any, matchable_rids: Any, top: int = 50, high_resemblance: bool = False,
        high_resemblance_threshold: float = 0.8, _use_bigrams: bool = False,
    ) -> Any:  # fmt: skip
        if idx is not index or matchable_rids is not candidates.matchable or _use_bigrams:
            return slow(query_run, idx, matchable_rids, top, high_resemblance, high_resemblance_threshold, _use_bigrams)
        return candidates.find(query_run, top, high_resemblance, high_resemblance_threshold)

    def is_false_positive(license_matches: Sequence[Any], package_license: bool = False) -> bool:
        # A matched text, which costs the most, only ever speaks for a match: what is none without it, is none with it.
        return judge([_Textless(match) for match in license_matches], package_license) and judge(
            license_matches, package_license
        )

    match_set.compute_candidates = quick
    detection.is_false_positive = is_false_positive
    detection.LicenseDetection.identifier_with_expression = property(lambda self: "")


class _Textless:
    """A match of ScanCode without its text."""

    def __init__(self, match: Any) -> None:
        self._match = match

    def __getattr__(self, name: str) -> Any:
        return getattr(self._match, name)

    def matched_text(self) -> str:
        return ""


def _quicken_spans() -> None:
    """Make sets of places, and measure their distances, without a list or another set between."""
    from intbitset import intbitset
    from licensedcode.spans import Span

    make, away, holds = Span.__init__, Span.distance_to, Span.__contains__

    def init(self: Any, *args: Any) -> None:
        if len(args) == 1 and type(args[0]) is intbitset:
            self._set = intbitset(args[0])
        else:
            make(self, *args)

    def contains(self: Any, other: Any) -> bool:
        return other in self._set if type(other) is int else bool(holds(self, other))

    def overlap(self: Any, other: Any) -> int:
        return len(self._set & other._set)

    def distance_to(self: Any, other: Any) -> int:
        ours, theirs = self._set, other._set
        if not ours or not theirs:
            return int(away(self, other))
        first, last, begin, end = ours[0], ours[-1], theirs[0], theirs[-1]
        if last < begin:
            return int(begin - last)
        if end < first:
            return int(first - end)
        return int(first - end) if ours.isdisjoint(theirs) else 0

    Span.__init__, Span.__contains__, Span.overlap, Span.distance_to = init, contains, overlap, distance_to


def _quicken_runs() -> None:
    """Ask once in a row whether a stretch of a query is of digits alone: its words never change."""
    from licensedcode.query import QueryRun

    judge: Callable[[Any], bool] = QueryRun.is_digits_only

    last: tuple[Any, ...] = (None,)  # the one that was asked about, held so that no other takes its place in memory

    def is_digits_only(self: Any) -> bool:
        nonlocal last
        if last[0] is not self or last[1:3] != (self.start, self.end):
            last = self, self.start, self.end, judge(self)
        return bool(last[3])

    QueryRun.is_digits_only = is_digits_only
