r"""The two normal forms in which a text is compared with a benchmark, in Python: of benchmarks, and where a find lies in a text.

    squashed  lower-case, without white space: StarCoder2's form (paper, section 3.3)
    letters   the letters and digits alone, lower-case; `\n`, `\t` and `\r` after any number of backslashes are white space, and
              `\u00e9` is the character that it stands for

The letters of a file are those of the same file as a cell of a notebook, as a value in JSON, behind any comment leader, indented or
broken in any other way: all of these add marks, white space and escapes. The forms are bytes: a character beyond ASCII is 0xFF and three
bytes. `kernel.squash` and `kernel.letters` make the same of the bytes of a block; the tests compare the two.
"""

import functools
import re
from collections.abc import Iterator

import numpy as np

# What a byte is. The bytes of a character beyond ASCII are LATER but for the first, WIDE.
OTHER, LETTER, SPACE, BACKSLASH, LATER, WIDE = range(6)
NOT_PRINTED = 0x80000000  # in `lowers`: white space
NO_LETTER = 0x40000000
ESCAPE = 0xFF  # begins the four symbols of a character beyond ASCII
ROUND = 64  # by which a buffer is longer than what it holds
ESCAPED = re.compile(r"\\++(?:[ntr]|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4})?|(?s:[^\\])")

PIECE = re.compile(r"(?s:(?:\A|\\)(?:[ntr]|u?[0-9a-f]{0,4})([^\\]*))")  # behind what an escape may end with


def squashed(text: str) -> tuple[bytes, list[int]]:
    """Return the squashed text, and which character of `text` each byte is of.

    >>> squashed("A b\\n C")
    (b'abc', [0, 2, 5])
    """
    return _joined((at, _symbols(ord(char), NOT_PRINTED)) for at, char in enumerate(text))


def letters(text: str) -> tuple[bytes, list[int]]:
    r"""Return the letters and digits of `text`, and which character of `text` each byte is of.

    >>> letters('"# Aé(x)\\n",')[0] == letters("aÉ x")[0] == letters(r"a\u00e9x")[0]
    True
    """
    drop = NOT_PRINTED | NO_LETTER

    def pieces() -> Iterator[tuple[int, bytes]]:
        for found in ESCAPED.finditer(text):
            piece = found[0].lstrip("\\")
            if piece == found[0]:
                yield found.start(), _symbols(ord(piece), drop)
            elif len(piece) == 5:
                yield found.start(), _symbols(int(piece[1:], 16), drop)
            elif len(piece) == 11:
                high, low = int(piece[1:5], 16), int(piece[7:], 16)
                yield found.start(), _symbols(0x10000 + ((high & 1023) << 10) + (low & 1023), drop)

    return _joined(pieces())


def characters(symbols: bytes) -> int:
    """Return how many characters the symbols of a form are.

    >>> characters(squashed("a é")[0])
    2
    """
    count = at = 0
    while at < len(symbols):
        at += 4 if symbols[at] == ESCAPE else 1
        count += 1
    return count


def core(symbols: bytes) -> tuple[bytes, list[int]]:
    r"""Return what stands in the letters of every text whose squashed text has `symbols`, the most in a row, and which symbol each is.

    An escape is no letter of a text, so that letters are counted from where one surely has ended: the last of it may be the first of
    `symbols`, or what follows a backslash.

    >>> core(squashed(r'write(x, "a\nbcd") + y')[0])
    (b'writexa', [0, 1, 2, 3, 4, 6, 9])
    """
    chars, starts, at = "", list[int](), 0
    while at < len(symbols):
        wide = symbols[at] == ESCAPE
        chars += chr(int.from_bytes(symbols[at + 1 : at + 4]) if wide else symbols[at])
        starts.append(at)
        at += 4 if wide else 1
    best: tuple[bytes, list[int]] = (b"", [])
    for piece in PIECE.finditer(chars):
        made = [(starts[n], _symbols(ord(chars[n]), NOT_PRINTED | NO_LETTER)) for n in range(*piece.span(1))]
        found = b"".join(one for _, one in made)
        if len(found) > len(best[0]):
            best = found, [at + k for at, one in made for k in range(len(one))]
    return best


def _joined(pieces: Iterator[tuple[int, bytes]]) -> tuple[bytes, list[int]]:
    made, places = bytearray(), list[int]()
    for at, symbols in pieces:
        made += symbols
        places += [at] * len(symbols)
    return bytes(made), places


def _symbols(code: int, drop: int) -> bytes:
    one = int(lowers()[code])
    if one & drop:
        return b""
    one &= 0x1FFFFF
    return bytes((one,)) if one < 128 else bytes((ESCAPE, one >> 16, one >> 8 & 255, one & 255))


@functools.cache
def lowers() -> np.ndarray:
    """Return uint32[0x110000]: of each character the lower-case one, with `NOT_PRINTED` for white space and NO_LETTER."""
    made = np.arange(0x110000, dtype=np.uint32)
    for code in range(0x110000):
        char = chr(code)
        if char.isspace():
            made[code] |= NOT_PRINTED
        elif not char.isalnum():
            made[code] |= NO_LETTER
        elif len(low := char.lower()) == 1:
            made[code] = ord(low)
    made[ord("ς")] = ord("σ")  # lower-casing a word chooses between the two by what follows
    made.setflags(write=False)
    return made


@functools.cache
def kinds() -> tuple[np.ndarray, np.ndarray]:
    """Return uint8[256] of what each byte is, and uint8[256] of each byte in lower case."""
    found, lower = np.zeros(256, np.uint8), np.arange(256, dtype=np.uint8)
    for code in range(128):
        char = chr(code)
        letter = LETTER if char.isalnum() else OTHER
        found[code] = SPACE if char.isspace() else BACKSLASH if char == "\\" else letter
        lower[code] = ord(char.lower())
    found[0x80:0xC0] = LATER
    found[0xC0:] = WIDE
    return found, lower


@functools.cache
def folded() -> np.ndarray:
    """Return uint8[256]: a letter in lower case, ESCAPE for a backslash and what is beyond ASCII, and 0 for all else."""
    found, lower = kinds()
    return np.where(found == LETTER, lower, np.where(found >= BACKSLASH, ESCAPE, 0)).astype(np.uint8)
