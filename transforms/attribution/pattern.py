"""Which texts a file must hold that a regular expression finds something in: what its trigrams are asked for, before it is read.

It reads RE2's syntax as far as that is literal, and says nothing (`None`) of all else: too many files are read then, and none is missed.
The source is Russ Cox, Regular Expression Matching with a Trigram Index (2012), with sets of texts instead of prefixes and suffixes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MOST = 16  # texts that stand for each other
LONGEST = 200  # characters of one
IGNORING = "(?i)"
DEEPEST = 50  # groups in groups
_REPEAT = re.compile(r"(?:[*+?]|\{(\d+)(,\d*)?\})\??")
_GROUP = re.compile(r"\?(?::|P?<\w+>)")
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\[pP]\{\^?\w+\}|\\x\{[0-9a-fA-F]+\}|\\.|[^\]\\])*\]", re.DOTALL)
_SOME = re.compile(r"\[(\w{1,8})\]")  # a class of a few characters
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
_NOTHING = frozenset("bBAz")  # escapes that stand between characters
_SOME_OF_ONE = re.compile(r"[dDsSwW]|[pP](?:\w|\{\^?\w+\})")  # those that are one of many characters


@dataclass(frozen=True)
class Any:
    """At least one of these must be there."""

    of: tuple["Need", ...]


@dataclass(frozen=True)
class All:
    """Each of these must be there."""

    of: tuple["Need", ...]


Need = str | Any | All


class _Unsure(Exception):
    """What stands there is not understood."""


@dataclass(frozen=True)
class _Piece:
    """A part of an expression: the texts that it is, if these are few; else what it needs."""

    texts: frozenset[str] | None
    need: Need | None = None

    @property
    def needed(self) -> Need | None:
        return self.need if self.texts is None else _any(self.texts)


_EMPTY, _OPEN = _Piece(frozenset([""])), _Piece(None)


def needed(pattern: str, ignore_case: bool = False) -> Need | None:
    """Return what a text must hold that a pattern of RE2 finds something in, None for nothing that is known.

    >>> needed("import (os|sys)")
    Any(of=('import os', 'import sys'))
    >>> needed("def .*_test")
    All(of=('def ', '_test'))
    >>> needed("x*")
    """
    if pattern.startswith(IGNORING):
        pattern, ignore_case = pattern.removeprefix(IGNORING), True
    try:
        return _Reader(pattern, ignore_case).whole().needed
    except _Unsure:
        return None


def _any(texts: Iterable[str]) -> Need | None:
    found = sorted(texts)
    if any(len(text.encode()) < 3 for text in found):
        return None
    return found[0] if len(found) == 1 else Any(tuple(found))


class _Reader:
    def __init__(self, pattern: str, ignore_case: bool) -> None:
        self._text, self._at, self._depth, self._ignores = pattern, 0, 0, ignore_case

    def whole(self) -> _Piece:
        found = self._choice()
        if self._at != len(self._text):
            raise _Unsure
        return found

    def _choice(self) -> _Piece:
        found = [self._row()]
        while self._take("|"):
            found.append(self._row())
        if len(found) == 1:
            return found[0]
        texts = [piece.texts for piece in found if piece.texts is not None]
        if len(texts) == len(found) and len(every := frozenset().union(*texts)) <= MOST:
            return _Piece(every)
        needs = [need for piece in found if (need := piece.needed) is not None]
        return _Piece(None, Any(tuple(needs)) if len(needs) == len(found) else None)

    def _row(self) -> _Piece:
        run, needs, whole = frozenset([""]), list[Need](), True

        def close() -> None:
            if (need := _any(run)) is not None:
                needs.append(need)

        while self._at < len(self._text) and self._text[self._at] not in "|)":
            piece = self._repeated(self._one())
            texts = piece.texts
            if texts is not None and len(run) * len(texts) <= MOST and max(map(len, run)) + max(map(len, texts)) <= LONGEST:
                run = frozenset(a + b for a in run for b in texts)
                continue
            close()
            whole, run = False, texts if texts is not None else frozenset([""])
            if texts is None and piece.need is not None:
                needs.append(piece.need)
        if whole:
            return _Piece(run)
        close()
        return _Piece(None, None if not needs else needs[0] if len(needs) == 1 else All(tuple(needs)))

    def _repeated(self, piece: _Piece) -> _Piece:
        while found := _REPEAT.match(self._text, self._at):
            self._at = found.end()
            sign, least = found[0][0], found[1]
            if sign == "?" and piece.texts is not None and len(piece.texts) < MOST:
                piece = _Piece(piece.texts | {""})
            elif sign == "+" or (least is not None and int(least) > 0):
                piece = _Piece(None, piece.needed)
            else:
                piece = _OPEN
        return piece

    def _one(self) -> _Piece:
        sign = self._text[self._at]
        if sign == "(":
            return self._group()
        if sign == "[":
            if some := _SOME.match(self._text, self._at):
                self._at = some.end()
                return self._alternatives(some[1])
            return self._skip(_CLASS)
        self._at += 1
        if sign == "\\":
            return self._escape()
        return _OPEN if sign == "." else _EMPTY if sign in "^$" else self._alternatives(sign)

    def _group(self) -> _Piece:
        self._at += 1
        if self._text.startswith("?", self._at):
            self._skip(_GROUP)
        self._depth += 1
        if self._depth > DEEPEST:
            raise _Unsure
        found = self._choice()
        self._depth -= 1
        if not self._take(")"):
            raise _Unsure
        return found

    def _escape(self) -> _Piece:
        sign = self._text[self._at : self._at + 1]
        if sign and _SOME_OF_ONE.match(self._text, self._at):
            return self._skip(_SOME_OF_ONE)
        self._at += 1
        if sign in _NOTHING:
            return _EMPTY
        if sign in _ESCAPES:
            return self._alternatives(_ESCAPES[sign])
        if not sign.isascii() or sign.isalnum() or not sign:  # an end of a line or a tab may stand behind it too
            raise _Unsure
        return self._alternatives(sign)

    def _alternatives(self, characters: str) -> _Piece:
        """Return a character, or one of a class. Of ASCII, k and s alone have another letter that counts as the same, beside a capital."""
        if not self._ignores:
            return _Piece(frozenset(characters))
        if not characters.isascii():
            return _OPEN
        others = {"k": "\u212a", "s": "\u017f"}
        found = frozenset(characters.lower())
        return _Piece(found | {others[c] for c in found if c in others})

    def _skip(self, what: "re.Pattern[str]") -> _Piece:
        if not (found := what.match(self._text, self._at)):
            raise _Unsure
        self._at = found.end()
        return _OPEN

    def _take(self, sign: str) -> bool:
        taken = self._text.startswith(sign, self._at)
        self._at += taken
        return taken
