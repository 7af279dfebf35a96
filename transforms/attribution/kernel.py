"""The hot loops of attribution, compiled by numba over the bytes of UTF-8 texts.

A gram is WIDTH characters of a squashed text; its hash is a polynomial over its bytes modulo 2**64, mixed. Offsets are of bytes, and a
gram is called by the number of its first character.
"""

import numpy as np

from starmill.core import seeds
from starmill.transforms.jit import jit

WIDTH = 50  # characters of a gram
BESIDE = 49  # characters on each side of a gram that are its surroundings: no span of 99 with the gram reaches further
LONGEST = 4 * (WIDTH + 2 * BESIDE)  # bytes of a gram with its surroundings
TRIED = 64  # places of a gram in a file that are compared: a longer list is one gram over and over
LEFT = 1000  # bytes that a match is extended to the left, so that time is linear in a text

# What a byte is: of a letter, white space, an end of a line, or perhaps the first byte of white space.
LETTER, SPACE, LINE, PERHAPS = 0, 1, 2, 3
_BASE = np.uint64(0x9E3779B97F4A7C15)  # odd

mix = jit(seeds.mix)


def _turns() -> np.ndarray:
    """Return for each byte what it does in each of five states, four bits a state: the next state, and 8 where it is written.

    States: 0 after a letter, 1 after a space, 2 after an LF, 3 after a space that an LF swallowed, 4 before the first letter.
    """
    after = {LETTER: (8, 8, 8, 8, 8), SPACE: (9, 1, 3, 3, 4), LINE: (10, 10, 2, 10, 4), PERHAPS: (0, 0, 0, 0, 0)}
    turns = np.zeros(256, np.uint32)
    for byte in range(256):
        kind = SPACE if byte in b"\t\x0b\x0c\x1c\x1d\x1e\x1f " else LINE if byte in b"\r\n" else LETTER
        kind = PERHAPS if byte in (0xC2, 0xE1, 0xE2, 0xE3) else kind
        turns[byte] = sum(turn << 4 * state for state, turn in enumerate(after[kind]))
    return turns


TURNS = _turns()
WRITTEN = np.array([32 if b in b"\t\x0b\x0c\x1c\x1d\x1e\x1f " else 10 if b in b"\r\n" else b for b in range(256)], np.uint8)
POWERS = np.array([pow(int(_BASE), n, 1 << 64) for n in range(LONGEST + 1)], np.uint64)


@jit
def space_at(data, i, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the bytes of the white space at `i`, a first byte that is PERHAPS one, or 0: what `\\s` of Python's `re` is beyond ASCII."""
    first = data[i]
    if first == 0xC2:
        return 2 if i + 1 < end and (data[i + 1] == 0x85 or data[i + 1] == 0xA0) else 0
    if i + 2 >= end:
        return 0
    second, third = data[i + 1], data[i + 2]
    if first == 0xE1:
        return 3 if second == 0x9A and third == 0x80 else 0  # U+1680
    if first == 0xE3:
        return 3 if second == 0x80 and third == 0x80 else 0  # U+3000
    if second == 0x80:
        return 3 if third <= 0x8A or third == 0xA8 or third == 0xA9 or third == 0xAF else 0  # U+2000 to 200A, 2028, 2029, 202F
    return 3 if second == 0x81 and third == 0x9F else 0  # U+205F


@jit
def squash(data, start, end, turns, written, out, where):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write `data[start:end]` squashed to `out`, and unless `where` is empty where each byte stood; return the number of bytes.

    A run of CR and LF becomes one LF, a run of other white space one space, white space after an LF nothing, and both ends are stripped.
    `out` has room for a byte more. There is no branch on what a byte is: in code every sixth would be mispredicted.
    """
    size, marked = 0, len(where) > 0
    state = np.uint32(16)  # four times its number
    i = start
    while i < end:
        byte = data[i]
        turn, length = turns[byte], 1
        out[size] = written[byte]
        if turn == 0:  # PERHAPS
            length = space_at(data, i, end)
            if length:
                turn = turns[32]
                out[size] = 32
            else:
                turn, length = turns[48], 1  # as a letter
        if marked:
            where[size] = i
        turn >>= state
        size += np.int64((turn >> np.uint32(3)) & np.uint32(1))
        state = (turn & np.uint32(7)) << np.uint32(2)
        i += length
    while size and (out[size - 1] == 32 or out[size - 1] == 10):
        size -= 1
    return size


@jit
def tiles(text, size, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write the hash of each whole gram of `text[:size]`, one after the other without overlap, to `out`; return their number."""
    count = characters = 0
    value = np.uint64(0)
    for i in range(size):
        byte = text[i]
        if byte & 0xC0 != 0x80:
            if characters == WIDTH:
                out[count] = mix(value)
                count += 1
                value = np.uint64(0)
                characters = 0
            characters += 1
        value = value * _BASE + np.uint64(byte)
    if characters == WIDTH:
        out[count] = mix(value)
        count += 1
    return count


@jit
def tiles_of(data, offsets, turns, written, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write the hashes of the `tiles` of every text `data[offsets[i]:offsets[i + 1]]`, squashed, to `out`; return their number."""
    text, nowhere = np.empty(longest(offsets) + 1, np.uint8), np.empty(0, np.int64)
    count = 0
    for i in range(len(offsets) - 1):
        size = squash(data, offsets[i], offsets[i + 1], turns, written, text, nowhere)
        count += tiles(text, size, out[count:])
    return count


@jit
def longest(offsets):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the bytes of the longest text."""
    most = 0
    for i in range(len(offsets) - 1):
        most = max(most, offsets[i + 1] - offsets[i])
    return most


@jit
def starts_of(text, size, starts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write the offset of each character of `text[:size]` to `starts`, and `size` after the last; return the number of characters."""
    count = 0
    for i in range(size):
        starts[count] = i
        count += text[i] & 0xC0 != 0x80  # a byte that goes on is written over
    starts[count] = size
    return count


@jit
def grams(text, starts, characters, powers, sums, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write the hash of the gram at each character to `out`; return their number. `sums`: room for a number per byte and one more."""
    size = starts[characters]
    value = np.uint64(0)
    sums[0] = value
    for i in range(size):
        value = value * _BASE + np.uint64(text[i])
        sums[i + 1] = value
    count = max(0, characters - WIDTH + 1)
    for i in range(count):
        first, last = starts[i], starts[i + WIDTH]
        out[i] = mix(sums[last] - sums[first] * powers[last - first])
    return count


@jit
def winnow(hashes, count, window, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write where the fingerprints of `hashes[:count]` are to `out`; return their number.

    Of each `window` hashes in a row the least is one, of equal ones the last; of fewer hashes the least of all. (Schleimer, Wilkerson,
    Aiken 2003, Winnowing: Local Algorithms for Document Fingerprinting, section 3.)
    """
    found, least = 0, -1
    for end in range(min(window, count), count + 1):
        if count == 0:
            break
        begin = max(0, end - window)
        if least < begin:
            least = begin
            for i in range(begin + 1, end):
                if hashes[i] <= hashes[least]:
                    least = i
        elif hashes[end - 1] <= hashes[least]:
            least = end - 1
        if found == 0 or out[found - 1] != least:
            out[found] = least
            found += 1
    return found


@jit
def fingerprints_of(data, offsets, turns, written, powers, window, hashes, rows, around):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write the fingerprints of every text, the text's number and the hash of the gram with its surroundings; return how many they are.

    One stands again where it does in its text.
    """
    room = longest(offsets) + 1
    text, nowhere = np.empty(room, np.uint8), np.empty(0, np.int64)
    starts, chosen = np.empty(room, np.int64), np.empty(room, np.int64)
    sums, every = np.empty(room, np.uint64), np.empty(room, np.uint64)
    count = 0
    for i in range(len(offsets) - 1):
        size = squash(data, offsets[i], offsets[i + 1], turns, written, text, nowhere)
        characters = starts_of(text, size, starts)
        found = winnow(every, grams(text, starts, characters, powers, sums, every), window, chosen)
        for k in range(found):
            hashes[count], rows[count] = every[chosen[k]], i
            first = starts[max(0, chosen[k] - BESIDE)]
            last = starts[min(characters, chosen[k] + WIDTH + BESIDE)]
            around[count] = mix(sums[last] - sums[first] * powers[last - first])
            count += 1
    return count


@jit
def mark(hashes, probes, bits, words):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Set the `probes` bits of each hash in a Bloom filter of `bits` bits, fewer than 2**32, which are bytes of 8."""
    low = np.uint64(0xFFFFFFFF)
    for value in hashes:
        at, step = value & low, mix(value) | np.uint64(1)
        for _ in range(probes):
            bit = ((at & low) * np.uint64(bits)) >> np.uint64(32)
            words[bit >> np.uint64(3)] |= np.uint8(1) << np.uint8(bit & np.uint64(7))
            at += step


@jit
def has(hashes, probes, bits, words, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Fill `out` with whether all bits of each hash are set."""
    low = np.uint64(0xFFFFFFFF)
    for i in range(len(hashes)):
        value = hashes[i]
        at, step = value & low, mix(value) | np.uint64(1)
        held = True
        for _ in range(probes):
            bit = ((at & low) * np.uint64(bits)) >> np.uint64(32)
            if not (words[bit >> np.uint64(3)] >> np.uint8(bit & np.uint64(7))) & np.uint8(1):
                held = False
                break
            at += step
        out[i] = held


@jit
def matches(asked, starts, text, places, lows, highs, grams_asked, text_size, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write (from, to, from, to) of what a text and a file have in common to `out`: bytes of the text, bytes of the file; return how many.

    `places[lows[i]:highs[i]]` are the offsets in the file of grams whose hash is that of gram i. From left to right the longest match at a
    gram is taken, and then the first gram that is not in it; each is maximal, at least WIDTH characters, and compared byte by byte.
    """
    count, i, floor = 0, 0, 0
    size = starts[grams_asked + WIDTH - 1]
    while i < grams_asked and count < len(out):
        begin, gram_end = starts[i], starts[i + WIDTH]
        best, best_at = 0, 0
        for k in range(lows[i], min(highs[i], lows[i] + TRIED)):
            at = places[k]
            length = 0
            while begin + length < size and at + length < text_size and asked[begin + length] == text[at + length]:
                length += 1
            if length > best:
                best, best_at = length, at
        if best < gram_end - begin:  # another text of the same hash
            i += 1
            continue
        end = begin + best
        while end < size and asked[end] & 0xC0 == 0x80:  # in the middle of a character
            end -= 1
        back, most = 0, min(begin - floor, best_at, LEFT)
        while back < most and asked[begin - back - 1] == text[best_at - back - 1]:
            back += 1
        while asked[begin - back] & 0xC0 == 0x80:
            back -= 1
        out[count, 0], out[count, 1] = begin - back, end
        out[count, 2], out[count, 3] = best_at - back, best_at + end - begin
        count += 1
        floor = begin
        while i < grams_asked and starts[i + WIDTH] <= end:
            i += 1
    return count


@jit
def edits(left, right):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the Levenshtein distance of two short arrays of bytes."""
    row = np.arange(len(right) + 1)
    for i in range(len(left)):
        above, row[0] = row[0], i + 1
        for j in range(len(right)):
            cost = above + (left[i] != right[j])
            above = row[j + 1]
            row[j + 1] = min(cost, row[j] + 1, above + 1)
    return row[len(right)]
