"""What in a dropped record made a rule drop it: spans of its text or path, and the columns that say how much; and the excerpt around it.

A table row is a reason. A reason that is not there is shown with the beginning of its text and nothing marked. All patterns are linear.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Span = tuple[int, int]
LINES, WIDTH = 12, 180  # of an excerpt
SPANS = 40  # of a text that are marked

ENCODED = re.compile(r"(?:\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}){8,}|[A-Za-z0-9+/=]{64,}")
NO_LETTERS = re.compile(r"[^A-Za-z\s]{4,}")
SHOWN_TEXT = re.compile(r">\s*([^<>\s][^<>]*)<")
# The columns that a rule compares; thresholds.py draws most of them.
FACTS: Mapping[str, tuple[str, ...]] = {
    "line_too_long": ("max_line_length",),
    "mean_line_too_long": ("avg_line_length", "num_lines"),
    "too_many_lines": ("num_lines",),
    "data_too_long": ("num_lines",),
    "few_letters": ("alpha_fraction", "alphanum_fraction"),
    "encoded_run": ("encoded_longest", "num_chars"),
    "encoded_share": ("encoded_total", "num_chars"),
    "little_visible_text": ("visible_text_chars", "num_chars"),
    "few_comments": ("comment_fraction",),
    "mostly_comments": ("comment_fraction",),
    "says_generated": ("generated_phrases",),
    "generated_path_or_content": ("is_generated",),
    **{flag: (flag,) for flag in ("is_vendor", "is_generated", "is_documentation", "is_configuration", "is_test", "is_binary")},
    "non_permissive": ("detected_licenses",),
    "pull_too_long": ("num_chars",),
    "pull_too_short": ("num_chars",),
}
# The segments of a record that a rule looks at, by role.
ROLES: Mapping[str, tuple[str, ...]] = {
    "thread_too_short": ("body", "comment"),
    "few_users": ("body", "comment"),
    "no_description": ("title",),
    "no_review": ("title", "body"),
    "not_accepted": ("status",),
    "title_too_short": ("title",),
    "title_of_a_version": ("title",),
    "pull_too_short": ("title", "body"),
    "small_change": ("message", "after"),
    "large_change": ("message",),
    "vague_subject": ("message",),
    "few_words": ("message",),
    "long_words": ("message",),
}


def longest_line(text: str, facts: Mapping[str, Any]) -> list[Span]:
    """Return the span of the longest line."""
    best, at = (0, 0), 0
    for line in text.split("\n"):
        if len(line) > best[1] - best[0]:
            best = (at, at + len(line))
        at += len(line) + 1
    return [best] if best[1] else []


def _every(pattern: re.Pattern[str], group: int = 0) -> Callable[[str, Mapping[str, Any]], list[Span]]:
    return lambda text, facts: [m.span(group) for m, _ in zip(pattern.finditer(text), range(SPANS), strict=False)]


def _longest_encoded(text: str, facts: Mapping[str, Any]) -> list[Span]:
    return sorted((m.span() for m in ENCODED.finditer(text)), key=lambda s: (s[0] - s[1], s))[:1]


def _phrases(text: str, facts: Mapping[str, Any]) -> list[Span]:
    said, lower = facts.get("generated_phrases") or (), text.lower()
    if len(lower) != len(text):  # a letter whose small one is two
        lower = text
    places = [(lower.find(str(phrase).lower()), len(str(phrase))) for phrase in said]
    return [(at, at + size) for at, size in places if at >= 0]


TEXT: Mapping[str, Callable[[str, Mapping[str, Any]], list[Span]]] = {
    "line_too_long": longest_line,
    "mean_line_too_long": longest_line,
    "few_letters": _every(NO_LETTERS),
    "encoded_run": _longest_encoded,
    "encoded_share": _every(ENCODED),
    "little_visible_text": _every(SHOWN_TEXT, 1),
    "says_generated": _phrases,
}
# Reasons that are about the name of a file: the whole name, or its extension.
NAME = frozenset(("text_file_name", "generated_path_or_content", "hostile_path", "not_documentation", "no_distribution"))
EXTENSION = frozenset(("excluded_language", "unknown_language", "not_in_mix", "above_cap", "excluded_extension"))


def of_text(reason: str, text: str, facts: Mapping[str, Any], segments: Sequence[Mapping[str, Any]] = ()) -> list[Span]:
    """Return the spans of a text that a reason is about, in order, without overlaps.

    >>> of_text("line_too_long", "a\\nbcd\\ne", {})
    [(2, 5)]
    >>> of_text("title_too_short", "bug\\nwhat", {}, [{"role": "title", "start": 0, "end": 3}])
    [(0, 3)]
    """
    found = TEXT[reason](text, facts) if reason in TEXT else []
    found += [(s["start"], s["end"]) for s in segments if s["role"] in ROLES.get(reason, ()) and s["end"] <= len(text)]
    return apart(found)


def of_path(reason: str, path: str) -> list[Span]:
    """Return the span of a path that a reason is about.

    >>> of_path("unknown_language", "/a/b.xyz"), of_path("text_file_name", "/a/words.txt"), of_path("few_letters", "/a")
    ([(4, 8)], [(3, 12)], [])
    """
    name = path.rfind("/") + 1
    dot = path.rfind(".", name)
    if reason in EXTENSION:
        return [(dot if dot > name else name, len(path))]
    return [(name, len(path))] if reason in NAME and name < len(path) else []


def facts(reason: str, measured: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a record was measured that a reason is about."""
    return {name: measured[name] for name in FACTS.get(reason, ()) if name in measured}


def apart(spans: Iterable[Span]) -> list[Span]:
    """Return spans sorted, without empty ones and without what lies in an earlier one.

    >>> apart([(5, 9), (0, 3), (2, 6), (4, 4)])
    [(0, 3), (3, 6), (6, 9)]
    """
    found: list[Span] = []
    for start, end in sorted(spans):
        start = max(start, found[-1][1] if found else 0)
        if start < end:
            found.append((start, end))
    return found[:SPANS]


def excerpt(text: str, spans: Sequence[Span] = (), lines: int = LINES, width: int = WIDTH) -> dict[str, Any]:
    """Return the lines around the first span: `first` (from 1), and each line as pieces [text, is marked]; what is cut off is "…".

    >>> excerpt("one\\ntwo three\\nfour", [(4, 7)], lines=1)
    {'first': 2, 'lines': [[['two', True], [' three', False]]], 'before': True, 'after': True}
    """
    start = spans[0][0] if spans else 0
    line = text.count("\n", 0, start)
    every = text.split("\n")
    if every[-1] == "" and len(every) > 1:
        every.pop()
    first = max(0, min(line - (lines - 1) // 3, len(every) - lines))
    at = sum(len(one) + 1 for one in every[:first])
    shown = []
    for one in every[first : first + lines]:
        shown.append(
            _line(one, [(max(0, a - at), min(len(one), b - at)) for a, b in spans if a < at + len(one) and b > at], width)
        )
        at += len(one) + 1
    return {"first": first + 1, "lines": shown, "before": first > 0, "after": first + lines < len(every)}


def _line(line: str, spans: Sequence[Span], width: int) -> list[list[Any]]:
    start = max(0, min((spans[0][0] if spans else 0) - width // 4, len(line) - width))
    end = min(len(line), start + width)
    pieces: list[list[Any]] = [["…", False]] if start else []
    at = start
    for a, b in ((max(a, start), min(b, end)) for a, b in spans if a < end and b > start):
        pieces += [[line[at:a], False], [line[a:b], True]]
        at = b
    pieces += [[line[at:end], False]] + ([["…", False]] if end < len(line) else [])
    return [piece for piece in pieces if piece[0]]
