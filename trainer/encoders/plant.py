"""Plants personal data of every type into real code and conversations: a set to train and measure a tagger by; the annotated one is gated.

Formats (data/formats.txt) are split: what a model is measured by is written in ways that it was not trained on, with names that were not,
either. Names are of many languages (data/names.txt). Passages in which somebody may stand already (a copyright, an address) are left out,
so that what is not planted is not personal. Every choice is core.seeds'.
"""

import re
import string
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from starmill.core import seeds
from starmill.core.errors import InputError, NotThere
from starmill.trainer.encoders.examples import Example, Span

DATA = Path(__file__).parent / "data"
KINDS = ("NAME", "EMAIL", "KEY", "PASSWORD", "IP_ADDRESS", "USERNAME")
SLOT = re.compile(r"\{(NAME|EMAIL|KEY|PASSWORD|IP_ADDRESS|USERNAME|YEAR|DATE|#)\}")
TAKEN = re.compile(
    r"(?i:copyright|author|©|\(c\)|maintain|contributor|credit|thanks|@[\w-]+\.[a-z]|[\w.]@[\w-])|\b[Bb]y [A-Z]|(?:\d{1,3}\.){3}\d"
)
# The leader of a comment by a file's suffix; # for all others.
SLASHES = ".c .h .cpp .hpp .js .ts .go .java .rs .swift .kt .php .cs .scss".split()
LEADERS = {**dict.fromkeys(SLASHES, "//"), ".sql": "--", ".lua": "--", ".hs": "--", ".lisp": ";;", ".ini": ";", ".tex": "%"}
LINES = (3, 11)  # of a passage
WORDS = "alpha blue river stone cloud tiger summer winter dragon coffee monkey shadow silver pixel rocket mango".split()
HOSTS = (
    "gmail.com",
    "outlook.com",
    "mail.ru",
    "web.de",
    "qq.com",
    "proton.me",
    "uni-koeln.de",
    "acme-corp.com",
    "wp.pl",
    "uol.com.br",
)
Split = Literal["train", "test"]


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
    """Return `count` examples of a split, each of one passage with none to four planted lines; equal arguments give equal ones."""
    made = []
    for number in range(count):
        draw = seeds.generator(seed, "plant", split, number)
        made.append(_planted(some[int(draw.integers(len(some)))], split, draw))
    return made


def _planted(passage: Passage, split: Split, draw: np.random.Generator) -> Example:
    lines = passage.text.split("\n")
    ours = [line for line in formats(split) if line[0] == passage.where]
    alike = [line for line in formats("both") if line[0] == passage.where]
    places = sorted(int(place) for place in draw.integers(0, len(lines) + 1, int(draw.integers(0, 5))))
    text, spans, names = "", list[Span](), []
    for number in range(len(lines) + 1):
        for _ in range(places.count(number)):
            choices = alike if draw.random() < 0.25 else ours
            form = choices[int(draw.integers(len(choices)))][1]
            names.append(form)
            before = lines[min(number, len(lines) - 1)]
            text += before[: len(before) - len(before.lstrip())] if passage.where == "code" else ""
            text, spans = _filled(form.replace("\\n", "\n"), text, spans, passage.leader, split, draw)
            text += "\n"
        if number < len(lines):
            text += lines[number] + "\n"
    return Example(text, tuple(spans), "; ".join(names))


def _filled(
    form: str, text: str, spans: list[Span], leader: str, split: Split, draw: np.random.Generator
) -> tuple[str, list[Span]]:
    """Return the text with a format behind it, and the spans with its own."""
    person = people(split)[int(draw.integers(len(people(split))))]
    at = 0
    for slot in SLOT.finditer(form):
        text += form[at : slot.start()]
        value = _value(slot.group(1), person, leader, draw)
        if slot.group(1) in KINDS:
            spans = [*spans, (len(text), len(text) + len(value), slot.group(1))]
        text, at = text + value, slot.end()
        if slot.group(1) == "NAME":  # a second name on a line is another person's
            person = people(split)[int(draw.integers(len(people(split))))]
    return text + form[at:], spans


def _value(slot: str, person: tuple[str, str], leader: str, draw: np.random.Generator) -> str:
    given, family = person
    match slot:
        case "#":
            return leader
        case "YEAR":
            return str(draw.integers(1998, 2024))
        case "DATE":
            return f"{draw.integers(2005, 2024)}-{draw.integers(1, 13):02}-{draw.integers(1, 29):02}"
        case "NAME":
            middle = f"{chr(int(draw.integers(65, 91)))}. "
            return f"{given} {('', middle)[draw.random() < 0.1]}{family}"
        case "EMAIL":
            return f"{_handle(person, draw, '.')}@{HOSTS[int(draw.integers(len(HOSTS)))]}"
        case "USERNAME":
            return _handle(person, draw, "_-"[int(draw.integers(2))])
        case "PASSWORD":
            return _password(draw)
        case "IP_ADDRESS":
            return ".".join(str(draw.integers(low, 255)) for low in (11, 0, 0, 1))
    return _random(string.ascii_letters + string.digits, int(draw.integers(20, 44)), draw)


def _handle(person: tuple[str, str], draw: np.random.Generator, joint: str) -> str:
    given, family = (re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", part).lower()) or "user" for part in person)
    word, number = WORDS[int(draw.integers(len(WORDS)))], int(draw.integers(1, 100))
    made = [
        f"{given}{joint}{family}",
        f"{given[0]}{family}",
        f"{given}{family[0]}{number}",
        f"{word}{number}",
        f"{given}{number}",
    ]
    return [*made, f"{word}{joint}{given}"][int(draw.integers(6))]


def _password(draw: np.random.Generator) -> str:
    word, number = WORDS[int(draw.integers(len(WORDS)))], int(draw.integers(1, 2024))
    drawn = _random(string.ascii_letters + string.digits + "!@$%&*", int(draw.integers(8, 14)), draw)
    made = [f"{word}{number}", f"{word.title()}{number}!", f"{word}@{number}", drawn, f"{word[:3]}{number}{word[-2:].upper()}"]
    return made[int(draw.integers(5))]


def _random(alphabet: str, size: int, draw: np.random.Generator) -> str:
    return "".join(alphabet[int(at)] for at in draw.integers(0, len(alphabet), size))


@cache
def formats(split: str) -> tuple[tuple[str, str], ...]:
    """Return the (where, line) of a split's formats: train, test, or both for those without anything to find."""
    rows = (line.split("|", 2) for line in _lines("formats.txt"))
    return tuple((where, line) for named, where, line in rows if named == split)


@cache
def people(split: Split) -> tuple[tuple[str, str], ...]:
    """Return the (given, family) names of a split: each fourth family name of a language is the test's."""
    found = []
    for line in _lines("names.txt"):
        _, given, family = line.split("|")
        ours = [name for number, name in enumerate(family.split(), 1) if (number % 4 == 0) == (split == "test")]
        found += [(one, other) for one in given.split() for other in ours]
    return tuple(found)


@cache
def _lines(name: str) -> tuple[str, ...]:
    return tuple(line for line in (DATA / name).read_text("utf-8").split("\n") if line and not line.startswith("# "))
