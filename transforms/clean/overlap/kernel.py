"""The passes over the bytes of a block that find texts of benchmarks: compiled by numba straight over Arrow's string buffer.

`letters` writes the letters of a text (forms.py says in Python what they are), and `squash`, of the few texts that may hold a
needle of it, the squashed text. Of either every eighth byte begins a window of sixteen bytes, two aligned words of a machine, that is
looked up in a filter and then in a table. The table knows a window at each of its eight shifts, so that no text that has one can be
missed; that is a lookup for eight bytes and not for one. What the table knows is compared symbol by symbol, or judged (search.py).
Texts of benchmarks that are shorter than LONG have windows of eight bytes, looked up at every fourth, and short cores (forms.core) of five.

Time is linear in the bytes. A text made of nothing but a benchmark's windows takes longer by the length of that benchmark's texts.
"""

import numpy as np

from starmill.transforms.clean.overlap.forms import ESCAPE, NO_LETTER, NOT_PRINTED, ROUND, SPACE, WIDE
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
def character(data, i):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the character of several bytes that begins at `data[i]`, and where it ends."""
    code = np.int64(data[i])
    if code < 0xE0:
        return (code & 31) << 6 | np.int64(data[i + 1]) & 63, i + 2
    if code < 0xF0:
        return (code & 15) << 12 | (np.int64(data[i + 1]) & 63) << 6 | np.int64(data[i + 2]) & 63, i + 3
    code = (code & 7) << 18 | (np.int64(data[i + 1]) & 63) << 12 | (np.int64(data[i + 2]) & 63) << 6
    return code | np.int64(data[i + 3]) & 63, i + 4


@jit
def put(made, count, code):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write a lower-case character that is no byte of its own, or is one, and return how many symbols there are."""
    if code < 128:
        made[count] = code
        return count + 1
    made[count], made[count + 1], made[count + 2], made[count + 3] = ESCAPE, code >> 16, code >> 8 & 255, code & 255
    return count + 4


@jit
def squash(data, start, end, kinds, lower, lowers, made):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write the squashed text of the valid UTF-8 `data[start:end]` into `made`; return how many symbols it has.

    `kinds`, uint8[256]: what a byte is. `lower`, uint8[256]: a byte in lower case. `lowers`, uint32[0x110000]: a character in lower
    case, with NOT_PRINTED or NO_LETTER where it is such.
    """
    count, i = 0, start
    while i < end:
        byte = data[i]
        if kinds[byte] < WIDE:
            made[count] = lower[byte]
            count += kinds[byte] != SPACE
            i += 1
        else:
            code, i = character(data, i)
            one = np.int64(lowers[code])
            if not one & NOT_PRINTED:
                count = put(made, count, one & 0x1FFFFF)
    for k in range(ROUND):  # what a longer text left there is no part of a window
        made[count + k] = 0
    return count


@jit
def letters(data, start, end, folded, lowers, made):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write the letters of the valid UTF-8 `data[start:end]` into `made`; return how many symbols they are.

    `folded`, uint8[256]: a letter in lower case, 0 for what is none, ESCAPE for what begins more than itself. Indexes without a sign
    spare numba its look at negative ones.
    """
    count, i = 0, start
    while i < end:
        at, to = np.uint64(i), np.uint64(count)
        while at + np.uint64(4) <= np.uint64(end):
            one, two = folded[data[at]], folded[data[at + np.uint64(1)]]
            three, four = folded[data[at + np.uint64(2)]], folded[data[at + np.uint64(3)]]
            if one | two | three | four >= 128:
                break
            made[to] = one
            to += np.uint64(one != 0)
            made[to] = two
            to += np.uint64(two != 0)
            made[to] = three
            to += np.uint64(three != 0)
            made[to] = four
            to += np.uint64(four != 0)
            at += np.uint64(4)
        while at < np.uint64(end) and folded[data[at]] < 128:
            made[to] = folded[data[at]]
            to += np.uint64(made[to] != 0)
            at += np.uint64(1)
        i, count = np.int64(at), np.int64(to)
        if i == end:
            break
        if data[i] == 92:
            i += 1
            if i < end and (data[i] == 110 or data[i] == 116 or data[i] == 114):
                i += 1
                continue
            code = hexadecimal(data, i + 1) if i + 4 < end and data[i] == 117 else -1
            if code < 0:
                continue
            i += 5
            if 0xD800 <= code < 0xDC00 and i + 5 < end and data[i] == 92 and data[i + 1] == 117:
                second = hexadecimal(data, i + 2)
                if 0xDC00 <= second < 0xE000:
                    code = 0x10000 + ((code & 1023) << 10) + (second & 1023)
                    i += 6
        else:
            code, i = character(data, i)
        one = np.int64(lowers[code])
        if not one & (NOT_PRINTED | NO_LETTER):
            count = put(made, count, one)
    for k in range(ROUND):
        made[count + k] = 0
    return count
