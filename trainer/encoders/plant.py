"""Plants personal data of every type into real code and conversations: a set to train and measure a tagger by; the annotated one is gated.

Formats (data/formats.txt) are split by group: what a model is measured by is written in ways that it was not trained on, with values
(values.py) that were not, either. Passages in which somebody may stand already (a copyright, an address) are left out,
so that what is not planted is not personal. Every choice is core.seeds'.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from starmill.core import seeds
from starmill.core.errors import InputError, NotThere
from starmill.trainer.encoders import values
from starmill.trainer.encoders.examples import Example, Span
from starmill.trainer.encoders.values import Split

SLOT = re.compile(r"\{(NAME|EMAIL|KEY|PASSWORD|IP_ADDRESS|USERNAME|YEAR|DATE|N|P|WORD|TITLE|HOST|PASSKEY|USERKEY|NAMEKEY|#)\}")
MOST: dict[Split, int] = {
    "train": 9,
    "test": 5,
}  # planted lines of a text, fewer than: what is trained on is dense, to learn faster
WORD = re.compile(r"[A-Za-z]{3,12}")  # of a passage, which stand in the lines planted into it
NOTHING, ALIKE = "none", 0.3  # the group of lines that hold nothing, and their share
TAKEN = re.compile(
    r"(?i:copyright|author|©|\(c\)|maintain|contributor|credit|thanks|@[\w-]+\.[a-z]|[\w.]@[\w-])|\b[Bb]y [A-Z]|(?:\d{1,3}\.){3}\d"
)
# The leader of a comment by a file's suffix; # for all others.
SLASHES = ".c .h .cpp .hpp .js .ts .go .java .rs .swift .kt .php .cs .scss".split()
LEADERS = {**dict.fromkeys(SLASHES, "//"), ".sql": "--", ".lua": "--", ".hs": "--", ".lisp": ";;", ".ini": ";", ".tex": "%"}
LINES = (3, 11)  # of a passage


@dataclass(frozen=True)
class Passage:
    """Some lines of a file or a conversation: `where` is code or talk, `leader` begins a comment there."""

    text: str
    where: str
    leader: str = "#"


MOST_FILE = 1 << 20  # bytes of a file that passages are taken from


def files(folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of each file below folders that is UTF-8, in order; a .txt is a conversation. Raises NotThere for no folder."""
    for folder in folders:
        if not Path(folder).is_dir():
            raise NotThere(f"{folder}: no such folder; give folders of code")
        for file in sorted(Path(folder).rglob("*")):
            if not file.is_symlink() and file.is_file() and file.stat().st_size <= MOST_FILE:
                try:
                    text = file.read_bytes().decode()
                except (UnicodeDecodeError, PermissionError):
                    continue
                path = str(file.relative_to(folder))
                yield path.removesuffix(".txt"), text


def mixed(some: Sequence[Passage]) -> list[Passage]:
    """Return passages with conversations repeated until they are a third, if there are any. Raises InputError if there is none at all."""
    talk, code = ([one for one in some if one.where == where] for where in ("talk", "code"))
    if not some:
        raise InputError("no passage without a name, an address or a copyright; give more folders")
    return [*code, *talk * max(1, len(code) // (2 * len(talk)))] if talk else code


def passages(texts: Iterable[tuple[str, str]], seed: int) -> Iterator[Passage]:
    """Yield passages of (path, text) in which nobody seems to stand; a path without a suffix is a conversation's."""
    for path, text in texts:
        suffix = Path(path).suffix.lower()
        lines = text.split("\n")
        draw = seeds.generator(seed, "passages", path)
        at = 0
        while at < len(lines):
            end = at + int(draw.integers(*LINES))
            inside = "\n".join(lines[at:end])
            if 40 < len(inside) < 4000 and not TAKEN.search(inside):
                yield Passage(inside, "code" if suffix else "talk", LEADERS.get(suffix, "#"))
            at = end


def plant(some: Sequence[Passage], count: int, split: Split, seed: int) -> list[Example]:
    """Return `count` examples of a split, each of one passage with some planted lines, or none; equal arguments give equal ones."""
    made = []
    for number in range(count):
        draw = seeds.generator(seed, "plant", split, number)
        made.append(_planted(some[int(draw.integers(len(some)))], split, draw))
    return made


def _planted(passage: Passage, split: Split, draw: np.random.Generator) -> Example:
    lines = passage.text.split("\n")
    groups = formats(split, passage.where)
    named = [name for name in groups if name != NOTHING]
    places = sorted(int(place) for place in draw.integers(0, len(lines) + 1, int(draw.integers(0, MOST[split]))))
    text, spans, names = "", list[Span](), []
    for number in range(len(lines) + 1):
        for _ in range(places.count(number)):
            group = NOTHING if draw.random() < ALIKE else named[int(draw.integers(len(named)))]
            form = groups[group][int(draw.integers(len(groups[group])))]
            names.append(f"{group}: {form}")
            before = lines[min(number, len(lines) - 1)]
            text += before[: len(before) - len(before.lstrip())] if passage.where == "code" else ""
            text, spans = _filled(form.replace("\\n", "\n").replace("\\t", "\t"), text, spans, passage, split, draw)
            text += "\n"
        if number < len(lines):
            text += lines[number] + "\n"
    return Example(text, tuple(spans), "; ".join(names))


def _filled(
    form: str, text: str, spans: list[Span], passage: Passage, split: Split, draw: np.random.Generator
) -> tuple[str, list[Span]]:
    """Return the text with a format behind it, and the spans with its own."""
    some = values.people(split)
    person = some[int(draw.integers(len(some)))]
    near, seen, at = WORD.findall(passage.text), set[str](), 0
    for slot in SLOT.finditer(form):
        text += form[at : slot.start()]
        kind = slot.group(1)
        if kind in seen and kind in ("NAME", "USERNAME"):  # a second one on a line is another person's
            person = some[int(draw.integers(len(some)))]
        seen.add(kind)
        value = passage.leader if kind == "#" else values.drawn(kind, person, split, draw)
        if kind == "WORD" and near and draw.random() < 0.5:
            value = near[int(draw.integers(len(near)))]
        if kind in values.KINDS:
            spans = [*spans, (len(text), len(text) + len(value), kind)]
        text, at = text + value, slot.end()
    return text + form[at:], spans


@cache
def formats(split: Split, where: str) -> dict[str, list[str]]:
    """Return a split's lines by group, of code or of talk; those of the group NOTHING hold nothing to find."""
    found: dict[str, list[str]] = {}
    for line in values.lines("formats.txt"):
        named, group, place, form = line.split("|", 3)
        if (named, place) == (split, where):
            found.setdefault(group, []).append(form)
    return found
