"""The shapes of data/shapes.toml: read on first use, and made into what finds them, what says where to look, and what draws an example.

A pattern is a small regular expression: literals, classes and counts, groups of alternatives, one part that is the secret. Such a pattern
has a longest match and knows its own beginning, so that each shape gives an anchor by itself (scan.py), and examples for tests.
"""

import functools
import random
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from starmill.transforms.clean.redact.keys_checks import CHECKS, Check

TABLE = Path(__file__).parent / "data/shapes.toml"
LETTERS = rb"0-9A-Za-z"
ANCHOR_CHARS = 24  # of a match that an anchor asks for, at most: more costs time and says no more
BEFORE_CHARS = 8  # of what stands before the literal
MORE = 64  # characters above its least count that a draw of an open count takes


class Atom(NamedTuple):
    """A part of a pattern: its alternatives, each a sequence of atoms, or the characters that it takes; and how often."""

    chars: bytes
    choices: "tuple[tuple[Atom, ...], ...]"
    least: int
    most: int
    secret: bool = False

    def shortest(self) -> int:
        """Return the length of its shortest match."""
        return self.least * (min(sum(a.shortest() for a in c) for c in self.choices) if self.choices else 1)

    def longest(self) -> int:
        """Return the length of its longest match."""
        return self.most * (max(sum(a.longest() for a in c) for c in self.choices) if self.choices else 1)

    def regex(self, least: int, most: int, possessive: bool = False) -> bytes:
        """Return the atom as a regular expression with these counts."""
        if self.choices:
            one = b"|".join(b"".join(a.regex(a.least, a.most) for a in c) for c in self.choices)
            one = b"(" + one + b")" if self.secret else b"(?:" + one + b")"
        else:
            one = re.escape(self.chars) if len(self.chars) == 1 else b"[" + b"".join(b"\\x%02x" % c for c in self.chars) + b"]"
        if (least, most) == (1, 1):
            return one
        return one + (b"{%d}" % least if least == most else b"{%d,%d}" % (least, most)) + (b"+" if possessive else b"")


class Shape(NamedTuple):
    """A row of the table."""

    issuer: str
    atoms: tuple[Atom, ...]
    pattern: re.Pattern[bytes]  # group 1, if there is one, is the secret
    literal: bytes  # that each match has
    anchor: bytes  # matches inside of each match
    reach: int  # bytes from a match's beginning to the end of its anchor, at most
    shortest: int  # bytes of a match, at least
    longest: int  # and at most
    near: re.Pattern[bytes] | None
    check: Check | None
    mixed: bool  # whether each character that is drawn may be a letter of either case
    skip: int  # characters at the beginning that all secrets of the shape share
    source: str


@functools.cache
def shapes() -> tuple[Shape, ...]:
    """Return all rows, in the order of the table."""
    with TABLE.open("rb") as file:
        return tuple(_shape(**row) for row in tomllib.load(file)["shapes"])


@functools.cache
def anchored() -> tuple[Shape, ...]:
    """Return the rows that are known by themselves, without a word near them."""
    return tuple(shape for shape in shapes() if shape.near is None)


@functools.cache
def assigned() -> tuple[Shape, ...]:
    """Return the rows that need their issuer's name beside them."""
    return tuple(shape for shape in shapes() if shape.near is not None)


def draw(shape: Shape, rng: random.Random) -> bytes:
    """Return a random text of a shape, with a right checksum where it has one.

    >>> github = next(s for s in shapes() if s.issuer == "GitHub")
    >>> bool(github.pattern.fullmatch(draw(github, random.Random(0)))), len(draw(github, random.Random(0)))
    (True, 40)
    """
    text = b"".join(_drawn(atom, rng) for atom in shape.atoms)
    letters = [*map(chr, range(48, 58)), *map(chr, range(65, 91)), *map(chr, range(97, 123))]
    return shape.check.made(text, lambda n: "".join(rng.choices(letters, k=n)).encode()) if shape.check else text


def _drawn(atom: Atom, rng: random.Random) -> bytes:
    count = rng.randint(atom.least, min(atom.most, atom.least + MORE))
    if not atom.choices:
        return bytes(rng.choices(atom.chars, k=count))
    return b"".join(_drawn(a, rng) for _ in range(count) for a in rng.choice(atom.choices))


def _shape(issuer: str, pattern: str, source: str, near: str | None = None, check: str | None = None) -> Shape:
    atoms, end = _sequence(pattern.encode(), 0)
    if end != len(pattern):
        raise ValueError(f"{TABLE.name}: {issuer}: {pattern}: a bracket closes at {end} that none opened")
    start, stop = _literal(atoms)
    first = atoms[0]
    left = LETTERS + (b"+/" if not first.choices and b"/" in first.chars else b"")
    following = (*atoms[1:], None)
    body = b"".join(a.regex(a.least, a.most, _is_possessive(a, then)) for a, then in zip(atoms, following, strict=True))
    compiled = re.compile(b"(?<![" + left + b"])" + body + b"(?![" + LETTERS + b"])")
    anchor, end = _anchor(atoms, start, stop)
    return Shape(
        issuer=issuer,
        atoms=atoms,
        pattern=compiled,
        literal=b"".join(a.chars for a in atoms[start:stop]),
        anchor=anchor,
        reach=sum(a.longest() for a in atoms[:end]),
        shortest=sum(a.shortest() for a in atoms),
        longest=sum(a.longest() for a in atoms),
        near=re.compile(rb"(?i)" + near.encode()) if near else None,
        check=CHECKS[check] if check else None,
        mixed=all(_is_mixed(a) for a in atoms),
        skip=_shared(atoms) if not compiled.groups else 0,
        source=source,
    )


def _shared(atoms: Sequence[Atom]) -> int:
    """Count the characters at the beginning that all matches share, whatever alternative of one length."""
    shared = 0
    for atom in atoms:
        if len(atom.chars) != 1 and not (atom.choices and atom.shortest() == atom.longest() and _is_literal(atom)):
            break
        shared += atom.longest()
    return shared


def _is_possessive(atom: Atom, following: Atom | None) -> bool:
    """Say whether an open count never has to give back what it took: nothing follows, or a character that it does not take."""
    if atom.choices or atom.least == atom.most:
        return False
    return following is None or (len(following.chars) == 1 and following.least > 0 and following.chars not in atom.chars)


def _is_mixed(atom: Atom) -> bool:
    return (
        all(_is_mixed(a) for c in atom.choices for a in c)
        if atom.choices
        else len(atom.chars) == 1 or set(b"gzGZ") <= {*atom.chars}
    )


def _is_literal(atom: Atom) -> bool:
    return all(len(a.chars) == 1 for choice in atom.choices for a in choice)


def _literal(atoms: Sequence[Atom]) -> tuple[int, int]:
    """Return where the longest run of single characters begins and ends."""
    runs, start = [(0, 0)], 0
    for at, atom in enumerate((*atoms, Atom(b"", (), 1, 1))):
        if len(atom.chars) != 1 or (atom.least, atom.most) != (1, 1):
            runs.append((start, at))
            start = at + 1
    return max(runs, key=lambda run: (run[1] - run[0], -run[0]))


def _anchor(atoms: Sequence[Atom], start: int, stop: int) -> tuple[bytes, int]:
    """Return the anchor around the literal, and the number of the atom after the last that it takes from."""
    before, pieces, size = b"", [], 0
    if start == stop:  # no literal at all: from the first atom on
        start = 0
    if start:
        last = atoms[start - 1]
        count = last.least if last.choices else min(last.least, BEFORE_CHARS)
        before = last.regex(count, count) if count else b""
    at = start
    while at < len(atoms) and size < ANCHOR_CHARS:
        atom = atoms[at]
        if atom.choices:
            pieces.append(atom.regex(atom.least, atom.most))
            size += atom.shortest()
        else:
            count = min(atom.least, max(1, ANCHOR_CHARS - size)) if atom.least else 0
            if count:
                pieces.append(atom.regex(count, count))
                size += count
            if count != atom.most:
                at += 1
                break  # what follows an open count may be anywhere
        at += 1
    return before + b"".join(pieces), at


def _sequence(pattern: bytes, at: int) -> tuple[tuple[Atom, ...], int]:
    """Read atoms up to the end, a bar or a closing bracket."""
    atoms: list[Atom] = []
    while at < len(pattern) and pattern[at : at + 1] not in (b"|", b")"):
        chars, secret = b"", False
        choices: tuple[tuple[Atom, ...], ...] = ()
        here = pattern[at : at + 1]
        if here == b"(":
            secret = pattern[at : at + 3] != b"(?:"
            found, at = _choices(pattern, at + (1 if secret else 3))
            choices = tuple(found)
        elif here == b"[":
            end = pattern.index(b"]", at)
            chars, at = bytes(sorted({*_class(pattern[at + 1 : end])})), end + 1
        elif here == b"\\":
            chars, at = pattern[at + 1 : at + 2], at + 2
        else:
            chars, at = here, at + 1
        least, most, at = _count(pattern, at)
        atoms.append(Atom(chars, choices, least, most, secret))
    return tuple(atoms), at


def _choices(pattern: bytes, at: int) -> tuple[list[tuple[Atom, ...]], int]:
    found = []
    while True:
        atoms, at = _sequence(pattern, at)
        found.append(atoms)
        at += 1
        if pattern[at - 1 : at] == b")":
            return found, at
        if at > len(pattern):
            raise ValueError(f"{TABLE.name}: {pattern.decode()}: a bracket stays open")


def _class(inside: bytes) -> Iterator[int]:
    at = 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == b"-" and at + 2 < len(inside):
            yield from range(inside[at], inside[at + 2] + 1)
            at += 3
        else:
            yield inside[at]
            at += 1


def _count(pattern: bytes, at: int) -> tuple[int, int, int]:
    if pattern[at : at + 1] == b"?":
        return 0, 1, at + 1
    if pattern[at : at + 1] == b"{":
        end = pattern.index(b"}", at)
        least, _, most = pattern[at + 1 : end].partition(b",")
        return int(least), int(most or least), end + 1
    return 1, 1, at
