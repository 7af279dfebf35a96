"""The one pass over the bytes that `text.Measure` asks for, compiled by numba straight over Arrow's string buffer.

The three kinds of encoded data are those of StarCoder2 (paper, section 2.1), as patterns of RE2 over bytes:

    [a-zA-Z0-9+/\\n=]{64,}
    (?:\\b(?:0x|\\\\x)?[0-9a-fA-F]{2}(?:,|\\b\\s*)){8,}
    (?:\\\\u[0-9a-fA-F]{4}){8,}

Each is a chain of units that can be read in one way only, so that its leftmost match is the chain from the first place where one
begins, and no later place inside a chain that was too short can begin a longer one. So the time is linear in the bytes.
"""

import numpy as np

from starmill.transforms.jit import jit

# What a byte is. White space is RE2's `\s`; letters and digits are those of ASCII.
BASE64, HEX, WORD, SPACE, LETTER, ALNUM, LINE_END, LATER = (1 << bit for bit in range(8))
MIN_BASE64, MIN_UNITS = 64, 8
# The columns of `measure`'s answer.
CHARS, LINES, LONGEST_LINE, LINE_CHARS, LETTERS, ALNUMS, LONGEST_RUN, RUN_CHARS, HEAD = range(9)
MEASURES = 9


def byte_kinds() -> np.ndarray:
    """Return uint8[256]: the flags of each byte. LATER marks the second and later bytes of a character."""
    kinds = np.zeros(256, np.uint8)
    for byte in range(128):
        char = chr(byte)
        plain = BASE64 | WORD | ALNUM if char.isalnum() else 0
        kinds[byte] = (
            plain
            | (LETTER if char.isalpha() else 0)
            | (BASE64 if char in "+/\n=" else 0)
            | (HEX if char in "0123456789abcdefABCDEF" else 0)
            | (WORD if char == "_" else 0)
            | (SPACE if char in "\t\n\f\r " else 0)
            | (LINE_END if char in "\n\r" else 0)
        )
    kinds[0x80:0xC0] = LATER
    return kinds


@jit
def code_point(data, i):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the character that begins at `data[i]`, a byte of 0xC0 or more of valid UTF-8."""
    first = np.int64(data[i])
    if first < 0xE0:
        return (first & 31) << 6 | np.int64(data[i + 1]) & 63
    if first < 0xF0:
        return (first & 15) << 12 | (np.int64(data[i + 1]) & 63) << 6 | np.int64(data[i + 2]) & 63
    high = (first & 7) << 18 | (np.int64(data[i + 1]) & 63) << 12
    return high | (np.int64(data[i + 2]) & 63) << 6 | np.int64(data[i + 3]) & 63


@jit
def hex_chain(data, start, end, bytes_of):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return (units, where the last one ends) of hexadecimal bytes from `start`, a boundary of a word."""
    units, at = 0, start
    while True:
        # A unit begins at a boundary. After a comma or white space that is a digit; after a digit it is a backslash.
        i = at
        if i + 1 < end and data[i + 1] == 120 and (data[i] == 48 or data[i] == 92):
            i += 2
        if i + 1 >= end or not bytes_of[data[i]] & bytes_of[data[i + 1]] & HEX:
            return units, at
        i += 2
        if i < end and data[i] == 44:
            i += 1
            boundary = i < end and bytes_of[data[i]] & WORD != 0
        else:
            if i < end and bytes_of[data[i]] & WORD:
                return units, at
            spaces = i
            while i < end and bytes_of[data[i]] & SPACE:
                i += 1
            boundary = i == spaces or (i < end and bytes_of[data[i]] & WORD != 0)
        units += 1
        at = i
        if not boundary:
            return units, at


@jit
def escape_chain(data, start, end, bytes_of):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return (units, where the last one ends) of `\\uXXXX` from `start`."""
    units, at = 0, start
    while at + 5 < end and data[at] == 92 and data[at + 1] == 117:
        digits = bytes_of[data[at + 2]] & bytes_of[data[at + 3]] & bytes_of[data[at + 4]] & bytes_of[data[at + 5]]
        if not digits & HEX:
            break
        units += 1
        at += 6
    return units, at


@jit
def measure(data, offsets, bytes_of, chars_of, head_lines, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Fill row r of `out`, int64[n, MEASURES], from the valid UTF-8 of `data[offsets[r]:offsets[r + 1]]`.

    `bytes_of`: `byte_kinds()`. `chars_of[c]` is 2 for an alphabetic character, 1 for another alphanumeric one. HEAD is the number of
    bytes of the first `head_lines` lines, without the last one's end.
    """
    for r in range(len(offsets) - 1):
        start, end = offsets[r], offsets[r + 1]
        later, letters, alnums = 0, 0, 0
        lines, longest_line, line_chars, line_start = 0, 0, 0, 0
        longest, total = 0, 0
        base64_from, hex_from, escape_from = start, start, start  # where the next run of each kind may begin
        head = end - start
        was_word = False
        for i in range(start, end):
            byte = data[i]
            kind = bytes_of[byte]
            if not kind & BASE64:
                if i - base64_from >= MIN_BASE64:
                    total += i - base64_from
                    longest = max(longest, i - base64_from)
                base64_from = i + 1
            word = kind & WORD != 0
            # A hexadecimal run begins at a boundary of a word: at a digit after none, or at a backslash after a letter or digit.
            if word != was_word and i >= hex_from and (kind & HEX or byte == 92):
                units, stop = hex_chain(data, i, end, bytes_of)
                if units >= MIN_UNITS:
                    total += stop - i
                    longest = max(longest, stop - i)
                hex_from = stop
            was_word = word
            if byte == 92 and i >= escape_from:
                units, stop = escape_chain(data, i, end, bytes_of)
                if units >= MIN_UNITS:
                    total += stop - i
                    longest = max(longest, stop - i)
                escape_from = stop
            letters += (kind & LETTER) // LETTER
            alnums += (kind & ALNUM) // ALNUM
            later += kind // LATER
            if kind & LINE_END:
                chars = i - start - later
                if byte == 13 or i == start or data[i - 1] != 13:
                    lines += 1
                    line_chars += chars - line_start
                    longest_line = max(longest_line, chars - line_start)
                    if lines == head_lines:
                        head = i - start
                line_start = chars + 1
            elif byte >= 0xC0:
                c = chars_of[code_point(data, i)]
                letters += c == 2
                alnums += c != 0
        if end - base64_from >= MIN_BASE64:
            total += end - base64_from
            longest = max(longest, end - base64_from)
        chars = end - start - later
        if chars > line_start:
            lines += 1
            line_chars += chars - line_start
            longest_line = max(longest_line, chars - line_start)
        out[r, CHARS], out[r, LINES], out[r, LONGEST_LINE], out[r, LINE_CHARS] = chars, lines, longest_line, line_chars
        out[r, LETTERS], out[r, ALNUMS] = letters, alnums
        out[r, LONGEST_RUN], out[r, RUN_CHARS], out[r, HEAD] = longest, total, head
