"""The search for docstrings that are told in other words: where most of their words stand together, in any order, between others.

Around a pair of words that a docstring has (words.py), the densest run that is as long as the docstring counts: by its share of the
docstring's bits, and of its different words. Compiled by numba, as kernel.py is.
"""

import numpy as np

from starmill.transforms.clean.overlap.index import END, MATCHER, NEVER, RETOLD, ROW, SLOTS, START, WHICH
from starmill.transforms.clean.overlap.lookup import MULTIPLY, marks, mixed
from starmill.transforms.clean.overlap.words import EXTRA, LEAST, PRIME, REACH, RUN, STOP_BITS
from starmill.transforms.jit import jit

mixing, marks_of = jit(mixed), jit(marks)


@jit
def place_of(word, slots, stamps, places, stamp):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return which word of the unit in the table `word` is, or -1."""
    slot = (word * MULTIPLY) >> np.uint64(40) & np.uint64(SLOTS - 1)
    while stamps[slot] == stamp:
        if slots[slot] == word:
            return np.int64(places[slot])
        slot = (slot + np.uint64(1)) & np.uint64(SLOTS - 1)
    return np.int64(-1)


@jit
def densest(tokens, low, high, span, wanted, weights, slots, stamps, places, stamp, marks):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return (weight, different words, first, last) of the run of `span` words in `tokens[low:high]` with most weight of `wanted`.

    `first` and `last` are the first and the last of its words that `wanted` has. A word counts once.
    """
    mask = np.uint64(SLOTS - 1)
    for i in range(len(wanted)):
        marks[i] = 0
        slot = (wanted[i] * MULTIPLY) >> np.uint64(40) & mask
        while stamps[slot] == stamp:
            slot = (slot + np.uint64(1)) & mask
        stamps[slot], slots[slot], places[slot] = stamp, wanted[i], i
    weight, different, best, most, end = 0, 0, 0, 0, low
    for at in range(low, high):
        i = place_of(tokens[at], slots, stamps, places, stamp)
        if i >= 0:
            if marks[i] == 0:
                weight += np.int64(weights[i])
                different += 1
            marks[i] += 1
        if at - span >= low:
            i = place_of(tokens[at - span], slots, stamps, places, stamp)
            if i >= 0:
                marks[i] -= 1
                if marks[i] == 0:
                    weight -= np.int64(weights[i])
                    different -= 1
        if weight > best or (weight == best and different > most):
            best, most, end = weight, different, at
    first = max(low, end - span + 1)
    while first < end and place_of(tokens[first], slots, stamps, places, stamp) < 0:
        first += 1
    return best, most, first, end


@jit
def edges_of(data, start, end, within, edges):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write into `edges` where each word of `data[start:end]` begins and ends; return how many words there are."""
    at, count, was = np.uint64(start), np.uint64(0), np.uint8(0)  # without a sign: see kernel.letters
    while at < np.uint64(end):
        now = within[data[at]]
        edges[count] = at
        count += np.uint64(now ^ was)
        was = now
        at += np.uint64(1)
    edges[count] = end
    return (np.int64(count) + 1) // 2


@jit
def prose_of(data, edges, count, prose):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write into `prose` which of `count` words stand in a row of RUN or more with one space between two; return how many do."""
    found, row = 0, 0
    for k in range(1, count):
        begin = edges[2 * k]
        row = (row + 1) * ((begin - edges[2 * k - 1] == 1) & (data[begin - 1] == 32))
        if row >= RUN - 1:
            if row == RUN - 1:
                for n in range(RUN - 1):
                    prose[found + n] = k - RUN + 1 + n
                found += RUN - 1
            prose[found] = k
            found += 1
    return found


@jit
def hash_of(data, lower, first, start, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return the hash (words.hashed) of the word `data[start:end]` of a text from `first` on; `lower`, uint8[256]: a byte in lower case."""
    if start > first and data[start - 1] == 92 and (data[start] == 110 or data[start] == 116 or data[start] == 114):
        start += 1  # of an escape, as JSON has it
    made = np.uint64(0)
    for i in range(np.uint64(start), np.uint64(end - (lower[data[end - 1]] == 115))):
        made = (made ^ np.uint64(lower[data[i]])) * np.uint64(PRIME)
    return made


@jit
def search_words(text, row, windows, stops, units, state, scratch, every, finds, found):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Tell the docstrings that are told again in a text.

    `text`: (data, where in `data` it begins, bytes in lower case, `edges` of `count` words, the `several` words of `prose` that are
    looked up, room for hashes of words, count, several). `windows`, `units`, `state`: words.tables.
    """
    data, start, lower, edges, prose, tokens, count, several = text
    bits, filter, bucket_bits, firsts, tags, which, _ = windows
    hashes, bounds, weights, lengths, least, fewest, alone = units
    rows, until, judged, hit = state
    slots, stamps, places, marks, clock = scratch
    near, far = np.uint64(0), np.uint64(0)
    near_at, far_at = -REACH - 1, -REACH - 1
    for nth in range(several):
        k = prose[nth]
        begin, end = edges[2 * k], edges[2 * k + 1]
        if end - begin < LEAST:
            continue
        word = hash_of(data, lower, start, begin, end)
        if stops[(word * MULTIPLY) >> np.uint64(64 - STOP_BITS)]:
            continue
        for turn in range(2):
            other, place = (far, far_at) if turn else (near, near_at)
            if other == word or k - place > REACH:
                continue
            hash = mixing(other + word, other ^ word)
            marked = marks_of(hash)
            if filter[hash >> bits] & marked != marked:
                continue
            bucket = hash >> bucket_bits
            tag = np.uint32(hash & np.uint64(0xFFFFFFFF))
            for e in range(firsts[bucket], firsts[bucket + np.uint64(1)]):
                n = which[e]
                if tags[e] != tag:
                    continue
                if rows[n] != row:
                    rows[n], until[n], judged[n], hit[n] = row, -1, -1, NEVER
                if k < judged[n] or (until[n] >= 0 and (not every or k < until[n])):
                    continue
                span = lengths[n] + EXTRA
                before, hit[n] = hit[n], k
                if not alone[n] and (before == NEVER or k - before > span):  # one pair of many is anywhere
                    continue
                judged[n] = k + lengths[n] // 4
                clock[0] += 1
                low, high = max(0, k - span + 1), min(count, k + span)
                for at in range(low, high):
                    tokens[at] = hash_of(data, lower, start, np.int64(edges[2 * at]), np.int64(edges[2 * at + 1]))
                weight, different, first, last = densest(
                    tokens, low, high, span, hashes[bounds[n] : bounds[n + 1]],
                    weights[bounds[n] : bounds[n + 1]], slots, stamps, places, clock[0], marks,
                )  # fmt: skip
                if weight >= least[n] and different >= fewest[n]:
                    until[n] = last + 1
                    if found < len(finds):
                        finds[found, ROW], finds[found, MATCHER], finds[found, WHICH] = row, RETOLD, n
                        finds[found, START], finds[found, END] = edges[2 * first] - start, edges[2 * last + 1] - start
                    found += 1
        far, far_at, near, near_at = near, near_at, word, k
    return found
