"""The passes over the bytes of a block that find texts of benchmarks: compiled by numba straight over Arrow's string buffer.

`spread` writes two normal forms of a text (forms.py says in Python what they are): the squashed text, and its letters. Of these every
eighth byte begins a window of sixteen bytes, two aligned words of a machine, that is looked up in a bitmap and then in a table. The
table knows a window at each of its eight shifts, so that no text that has one can be missed; that is a lookup for eight bytes and not
for one. What the table knows is compared symbol by symbol, or judged (search.py). Texts of benchmarks that are shorter than LONG have
windows of eight bytes, looked up at every fourth.

Time is linear in the bytes. A text made of nothing but a benchmark's windows takes longer by the length of that benchmark's texts.
"""

import numpy as np

from starmill.transforms.clean.overlap.forms import BACKSLASH, ESCAPE, LETTER, NO_LETTER, NOT_PRINTED, ROUND, SPACE
from starmill.transforms.jit import jit


@jit
def hexadecimal(data, i):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the number that the four hexadecimal digits from `data[i]` are, or -1."""
    value = 0
    for k in range(i, i + 4):
        digit = np.int64(data[k])
        if 48 <= digit <= 57:
            value = value * 16 + digit - 48
        elif 97 <= digit | 32 <= 102:
            value = value * 16 + (digit | 32) - 87
        else:
            return -1
    return value


@jit
def put(made, count, code):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write a lower-case character that is no byte of its own, or is one, and return how many symbols there are."""
    if code < 128:
        made[count] = code
        return count + 1
    made[count], made[count + 1], made[count + 2], made[count + 3] = ESCAPE, code >> 16, code >> 8 & 255, code & 255
    return count + 4


@jit
def spread(data, start, end, kinds, lower, lowers, plain, bare):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write the squashed text of the valid UTF-8 `data[start:end]` into `plain` and its letters into `bare`; return how many symbols.

    `kinds`, uint8[256]: what a byte is. `lower`, uint8[256]: a byte in lower case. `lowers`, uint32[0x110000]: a character in lower
    case, with NOT_PRINTED or NO_LETTER where it is such.
    """
    squashes, letters = 0, 0
    i = start
    while i < end:
        byte = data[i]
        kind = kinds[byte]
        if kind < BACKSLASH:
            small = lower[byte]
            plain[squashes] = small
            squashes += kind != SPACE
            bare[letters] = small
            letters += kind == LETTER
            i += 1
        elif kind == BACKSLASH:
            plain[squashes] = byte
            squashes += 1
            i += 1
            if i < end and (data[i] == 110 or data[i] == 116 or data[i] == 114):
                plain[squashes] = data[i]
                squashes += 1
                i += 1
            elif i + 4 < end and data[i] == 117:
                code = hexadecimal(data, i + 1)
                if code >= 0:
                    for k in range(i, i + 5):
                        plain[squashes] = lower[data[k]]
                        squashes += 1
                    i += 5
                    if 0xD800 <= code < 0xDC00 and i + 5 < end and data[i] == 92 and data[i + 1] == 117:
                        second = hexadecimal(data, i + 2)
                        if 0xDC00 <= second < 0xE000:
                            code = 0x10000 + ((code & 1023) << 10) + (second & 1023)
                            for k in range(i, i + 6):
                                plain[squashes] = lower[data[k]]
                                squashes += 1
                            i += 6
                    one = np.int64(lowers[code])
                    if not one & (NOT_PRINTED | NO_LETTER):
                        letters = put(bare, letters, one)
        else:
            code = np.int64(byte)
            if code < 0xE0:
                code = (code & 31) << 6 | np.int64(data[i + 1]) & 63
                i += 2
            elif code < 0xF0:
                code = (code & 15) << 12 | (np.int64(data[i + 1]) & 63) << 6 | np.int64(data[i + 2]) & 63
                i += 3
            else:
                code = (code & 7) << 18 | (np.int64(data[i + 1]) & 63) << 12 | (np.int64(data[i + 2]) & 63) << 6
                code |= np.int64(data[i + 3]) & 63
                i += 4
            one = np.int64(lowers[code])
            if not one & NOT_PRINTED:
                squashes = put(plain, squashes, one & 0x1FFFFF)
                if not one & NO_LETTER:
                    letters = put(bare, letters, one)
    for k in range(ROUND):  # what a longer text left there is no part of a window
        plain[squashes + k] = 0
        bare[letters + k] = 0
    return squashes, letters
