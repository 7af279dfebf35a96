"""A commit as an instruction and its response: the message and the text before, and the text after or the difference."""

import re
from collections.abc import Iterator

from starmill.alignment.commits.rules import Commit
from starmill.core.linediff import Change, changes, lines

CONTEXT = 3  # lines around what changed, as git has
FENCES = re.compile(r"`{3,}")
MISSING = "\\ No newline at end of file\n"


def pair(one: Commit, response: str) -> tuple[str, str]:
    """Return the instruction and the response; `response` is "text" or "diff".

    >>> pair(Commit("", "Say hello", "/a.py", "pass\\n", "print()\\n", "Python"), "text")
    ('Say hello\\n\\n```python\\npass\\n```', '```python\\nprint()\\n```')
    """
    language = one.language.lower().replace(" ", "-")
    asked = f"{one.message}\n\n{_fenced(one.before, language)}" if one.before else one.message
    return asked, _fenced(difference(one), "diff") if response == "diff" else _fenced(one.after, language)


def difference(one: Commit) -> str:
    """Return what changed in unified form, as `git apply` reads it. Lines count from the first that is shown."""
    old, new = lines(one.before), lines(one.after)
    path = one.path.lstrip("/")
    heads = (f"--- a/{path}" if old else "--- /dev/null", f"+++ b/{path}")
    return "".join([*(f"{head}\n" for head in heads), *_hunks(old, new, changes(old, new))])


def _hunks(old: list[str], new: list[str], found: list[Change]) -> Iterator[str]:
    groups: list[list[Change]] = []
    for change in found:
        if groups and change.start - groups[-1][-1].end <= 2 * CONTEXT:
            groups[-1].append(change)
        else:
            groups.append([change])
    for group in groups:
        first, last = group[0], group[-1]
        above = min(CONTEXT, first.start)
        below = min(CONTEXT, len(old) - last.end)
        begin, end = first.start - above, last.end + below
        new_begin, new_end = first.new_start - above, last.new_end + below
        yield f"@@ -{_span(begin, end)} +{_span(new_begin, new_end)} @@\n"
        at = begin
        for change in group:
            yield from _marked(" ", old[at : change.start])
            yield from _marked("-", old[change.start : change.end])
            yield from _marked("+", new[change.new_start : change.new_end])
            at = change.end
        yield from _marked(" ", old[at:end])


def _span(begin: int, end: int) -> str:
    return f"{begin + (end > begin)},{end - begin}"


def _marked(mark: str, some: list[str]) -> Iterator[str]:
    for line in some:
        yield f"{mark}{line}" if line.endswith("\n") else f"{mark}{line}\n{MISSING}"


def _fenced(text: str, language: str) -> str:
    fence = "`" * max([3, *(len(run) + 1 for run in FENCES.findall(text))])
    return f"{fence}{language}\n{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{fence}"
