"""The hot loops of near-deduplication, compiled by numba straight over Arrow's string buffer.

All hashes are polynomials modulo 2**64 with a final mix: a word over its bytes, a shingle over its words' hashes, rolling.
A 32-bit signature is 32-bit throughout: one uint64 among the uint32 of the inner loop makes it several times slower.
"""

import numba
import numpy as np
from numba import extending

from starmill.core import seeds
from starmill.transforms.jit import jit

BLOCK = 512  # shingle hashes that stay in the first-level cache while every permutation passes over them

# Bases of the polynomial hashes, odd, modulo 2**64.
_WORD_BASE, _SHINGLE_BASE = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)
_LONGEST_OPERATOR = 4  # bytes, as >>>=; of one character over and over, as ===, one less
_32, _61, _MERSENNE = np.uint64(32), np.uint64(61), np.uint64((1 << 61) - 1)

mix = jit(seeds.mix)


@jit
def unspaced(data, i, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the bytes of the character at `i` if it is of a script that puts no spaces between words, else 0.

    By Unicode's blocks, which never change: Thai, Lao, Tibetan, Myanmar, Khmer; kana, Han and their punctuation and wide forms; the planes
    of rare Han characters. Hangul has spaces.
    """
    first = data[i]
    if first < 0xF0:
        if i + 2 >= end or data[i + 1] & 0xC0 != 0x80 or data[i + 2] & 0xC0 != 0x80:
            return 0
        c = (np.int64(first & 0x0F) << 12) | (np.int64(data[i + 1] & 0x3F) << 6) | np.int64(data[i + 2] & 0x3F)
        if c < 0x2E80:
            return 3 if 0x0E00 <= c < 0x10A0 or 0x1780 <= c < 0x1800 else 0
        return (
            3
            if c < 0x3130 or 0x31A0 <= c < 0xA000 or 0xF900 <= c < 0xFB00 or 0xFE30 <= c < 0xFE50 or 0xFF00 <= c < 0xFFA0
            else 0
        )
    if i + 3 >= end or first > 0xF4:
        return 0
    c = (np.int64(first & 0x07) << 6) | np.int64(data[i + 1] & 0x3F)  # without the last twelve bits
    return 4 if 0x20 <= c < 0x40 else 0


@jit
def hash_shingles(data, start, end, kinds, words, ring, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write the hash of each shingle of `data[start:end]` to `out`, in order, repeats included; return their number.

    `kinds` says what a byte is: 0 nothing, 1 of a word, 2 of a word or the first of a character that is a word alone, 3 an operator.
    """
    leaving = np.uint64(1)
    for _ in range(words):
        leaving *= _SHINGLE_BASE
    ring[:] = np.uint64(0)
    shingle = np.uint64(0)
    word = np.uint64(0)
    seen, slot = 0, 0
    inside = False
    i = start
    while i <= end:
        kind = kinds[data[i]] if i < end else 0
        length = 1
        if kind >= 2:
            if kind == 2:
                length = unspaced(data, i, end)
                if length == 0:
                    kind = 1
            else:
                same = 1
                while i + length < end and kinds[data[i + length]] == 3:
                    same += data[i + length] == data[i]
                    length += 1
                if length > _LONGEST_OPERATOR or same == _LONGEST_OPERATOR:  # a line that is drawn, as in headings
                    kind = 0
        if kind == 1:
            word = word * _WORD_BASE + np.uint64(data[i])
            inside = True
            i += 1
            while i < end and kinds[data[i]] == 1:
                word = word * _WORD_BASE + np.uint64(data[i])
                i += 1
            continue
        if kind == 0 and not inside:
            i += length
            continue
        for turn in range(2):  # the word that ends here, then the one that is here
            if turn == 1:
                if kind == 0:
                    break
                for k in range(i, i + length):
                    word = word * _WORD_BASE + np.uint64(data[k])
            elif not inside:
                continue
            word = mix(word)
            shingle = shingle * _SHINGLE_BASE + word - ring[slot] * leaving
            ring[slot] = word
            seen += 1
            slot = slot + 1 if slot + 1 < words else 0
            if seen >= words:
                out[seen - words] = mix(shingle)
            word = np.uint64(0)
        inside = False
        i += length
    return max(seen - words + 1, 0)


def fold(shingles, n, multipliers, addends, row):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Lower each `row[p]` to the least `permutation p` of the first `n` shingle hashes; the type of `row` says which family."""
    raise NotImplementedError("compiled code only")


@extending.overload(fold)
def _fold(shingles, n, multipliers, addends, row):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    return _fold32 if row.dtype == numba.uint32 else _fold61


def _fold32(shingles, n, multipliers, addends, row):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    block = np.empty(BLOCK, np.uint32)
    for first in range(0, n, BLOCK):
        size = min(BLOCK, n - first)
        for j in range(size):
            block[j] = np.uint32(shingles[first + j] >> _32)
        for p in range(len(multipliers)):
            a, b = multipliers[p], addends[p]
            least = row[p]
            for j in range(size):
                least = min(least, np.uint32(a * block[j] + b))
            row[p] = least


def _fold61(shingles, n, multipliers, addends, row):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    for first in range(0, n, BLOCK):
        block = shingles[first : min(first + BLOCK, n)]
        for p in range(len(multipliers)):
            a, b = multipliers[p], addends[p]
            least = row[p]
            for j in range(len(block)):
                # x mod 2**61 - 1 of a 64-bit x: fold the upper three bits in, then subtract the prime at most once.
                x = a * block[j] + b
                x = (x & _MERSENNE) + (x >> _61)
                least = min(least, min(x, x - _MERSENNE))  # the difference wraps to a huge number where x was below the prime
            row[p] = least


@jit
def signatures(data, offsets, kinds, words, multipliers, addends, out, counts):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Lower `out[i]` to the minima over the shingles of `data[offsets[i]:offsets[i + 1]]`; `counts[i]` is their number."""
    longest = 0
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    shingles = np.empty(longest // 2 + 1, np.uint64)
    ring = np.empty(words, np.uint64)
    for i in range(len(offsets) - 1):
        n = hash_shingles(data, offsets[i], offsets[i + 1], kinds, words, ring, shingles)
        counts[i] = n
        fold(shingles, n, multipliers, addends, out[i])


@jit
def jaccards(hashes, offsets, left, right, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Fill `out[k]` with |A & B| / |A | B| of the sorted sets `hashes[offsets[s]:offsets[s + 1]]`, s = left[k] and right[k]."""
    for k in range(len(left)):
        i, i_end = offsets[left[k]], offsets[left[k] + 1]
        j, j_end = offsets[right[k]], offsets[right[k] + 1]
        total = (i_end - i) + (j_end - j)
        common = 0
        while i < i_end and j < j_end:
            x, y = hashes[i], hashes[j]
            common += x == y
            i += x <= y
            j += y <= x
        out[k] = common / (total - common) if total > common else 0.0


@jit
def join(elements, ordered, offsets, variants, threshold, rivals, bits):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Do the work of `hot.neighbors`."""
    n = len(offsets) - 1
    shift = np.uint64(64 - bits)
    spread = np.uint64(0x9E3779B97F4A7C15)
    # Lists of (set, next) by slot. A pair's smaller set is found by its short prefix, its larger one by its long prefix.
    heads = np.full((2, 1 << bits), -1, np.int64)
    room, used = 1024, 0
    who, following = np.empty(room, np.int64), np.empty(room, np.int64)
    space, found = 1024, 0
    above, below, similar = np.empty(space, np.int64), np.empty(space, np.int64), np.empty(space, np.float64)
    met = np.full(n, -1, np.int64)
    follows = np.zeros(n, np.bool_)
    for i in range(n):
        start, end = offsets[i], offsets[i + 1]
        size = end - start
        rare = ordered[start:end]
        rare.sort()
        # The least overlap with a set of at least the threshold's size, and with one that is no smaller than this one.
        long = size - int(np.ceil(threshold * size - 1e-6)) + 1
        short = size - int(np.ceil(2 * threshold / (1 + threshold) * size - 1e-6)) + 1
        for side in range(2 if i >= rivals else 0):
            for p in range(min(long if side == 0 else short, size)):
                entry = heads[side, np.int64((rare[p] * spread) >> shift)]
                while entry >= 0:
                    j = who[entry]
                    entry = following[entry]
                    other = offsets[j + 1] - offsets[j]
                    if met[j] == i or (other > size) != (side == 1) or min(size, other) < threshold * max(size, other) - 1e-6:
                        continue
                    met[j] = i
                    x, y, common = start, offsets[j], 0
                    while x < end and y < offsets[j + 1]:
                        left, right = elements[x], elements[y]
                        common += left == right
                        x += left <= right
                        y += right <= left
                    if common < threshold * (size + other - common) or (common == size == other and variants[i] != variants[j]):
                        continue
                    if found == space:
                        space *= 2
                        above, below = np.append(above, np.empty_like(above)), np.append(below, np.empty_like(below))
                        similar = np.append(similar, np.empty_like(similar))
                    above[found], below[found], similar[found] = j, i, common / (size + other - common)
                    found += 1
                    follows[i] = True
        if follows[i] or i >= rivals >= 0:
            continue
        for side in range(2):
            for p in range(min(short if side == 0 else long, size)):
                if used == room:
                    room *= 2
                    who, following = np.append(who, np.empty_like(who)), np.append(following, np.empty_like(following))
                slot = np.int64((rare[p] * spread) >> shift)
                who[used], following[used] = i, heads[side, slot]
                heads[side, slot] = used
                used += 1
    return above[:found], below[:found], similar[:found], follows
