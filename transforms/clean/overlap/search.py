"""The search of a block for the texts of an index: windows that the index knows, and what is judged where one is (kernel.py has the rest).

Compiled by numba, as kernel.py is. `index.Tables` holds the arrays that the functions take.
"""

import numpy as np

from starmill.transforms.clean.overlap.index import (
    EDITED,
    END,
    EXACT,
    GRAM,
    HIDDEN,
    MATCHER,
    NEVER,
    PORTED,
    ROW,
    SHORT_STEP,
    SLOTS,
    START,
    STEP,
    WHICH,
)
from starmill.transforms.clean.overlap.kernel import letters, squash
from starmill.transforms.clean.overlap.lookup import MULTIPLY, marks, mixed
from starmill.transforms.clean.overlap.retold import edges_of, prose_of, search_words
from starmill.transforms.jit import jit

of_window, marks_of = jit(mixed), jit(marks)


@jit
def is_at(made, count, at, wanted):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Say whether the symbols of `wanted` stand in `made`, of which there are `count`, from `at` on."""
    if at < 0 or at + len(wanted) > count:
        return False
    for i in range(len(wanted)):  # noqa: SIM110  a loop is what numba compiles
        if made[at + i] != wanted[i]:
            return False
    return True


@jit
def times_in(made, start, end, wanted):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return how many times the symbols of `wanted`, at least one, stand in `made[start:end]`."""
    times = 0
    for at in range(start, end - len(wanted) + 1):
        times += made[at] == wanted[0] and is_at(made, end, at, wanted)
    return times


@jit
def covered(made, start, end, wanted, weights, slots, stamps, places, stamp, marks):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Return (weight, first, last): what of `wanted` is in pieces of GRAM letters that `made[start:end]` has too, in any order.

    `first` and `last` are where the first of these pieces begins in `made`, and where the last one ends.
    """
    mask = np.uint64(SLOTS - 1)
    piece = np.uint64(0)  # the last eight letters
    for i in range(len(wanted)):
        marks[i] = 0
        piece = piece >> np.uint64(8) | np.uint64(wanted[i]) << np.uint64(56)
        if i >= GRAM - 1:
            slot = (piece * MULTIPLY) >> np.uint64(40) & mask
            while stamps[slot] == stamp and slots[slot] != piece:
                slot = (slot + np.uint64(1)) & mask
            if stamps[slot] != stamp:
                stamps[slot], slots[slot], places[slot] = stamp, piece, i - GRAM + 1
    first, last = NEVER, -1
    for at in range(start, end):
        piece = piece >> np.uint64(8) | np.uint64(made[at]) << np.uint64(56)
        if at >= start + GRAM - 1:
            slot = (piece * MULTIPLY) >> np.uint64(40) & mask
            while stamps[slot] == stamp:
                if slots[slot] == piece:
                    for k in range(places[slot], places[slot] + GRAM):
                        marks[k] = 1
                    first, last = min(first, at - GRAM + 1), at + 1
                    break
                slot = (slot + np.uint64(1)) & mask
    weight = 0
    for i in range(len(wanted)):
        weight += marks[i] * np.int64(weights[i])
    return weight, first, last


@jit
def tell(finds, found, row, matcher, which, start, end):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write a find, if there is room, and return how many there are now."""
    if found < len(finds):
        finds[found, ROW], finds[found, MATCHER], finds[found, WHICH] = row, matcher, which
        finds[found, START], finds[found, END] = start, end
    return found + 1


@jit
def search_squashed(made, words, count, row, windows, before, needles, state, every, finds, found):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Tell the needles of `needles` (texts, bounds) that stand in the squashed text.

    `before`: -1 for needles with windows of sixteen bytes; else how many of those there are, before these whose windows have eight.
    `words` is `made` as words of four bytes. `windows`: (bits of a filter, filter, bits of a bucket, firsts, tags, which, shifts).
    """
    bits, filter, bucket_bits, firsts, tags, which, shifts = windows
    texts, bounds = needles
    rows, until = state
    short, first_name = before >= 0, max(0, before)
    step = SHORT_STEP if short else STEP
    stride = step // 4
    for k in range((count + step - 1) // step):
        first = np.uint64(words[k * stride]) | np.uint64(words[k * stride + 1]) << np.uint64(32)
        second = np.uint64(0)
        if not short:
            second = np.uint64(words[k * stride + 2]) | np.uint64(words[k * stride + 3]) << np.uint64(32)
        hash = of_window(first, second)
        wanted = marks_of(hash)
        if filter[hash >> bits] & wanted != wanted:
            continue
        bucket = hash >> bucket_bits
        tag = np.uint32(hash & np.uint64(0xFFFFFFFF))
        for e in range(firsts[bucket], firsts[bucket + np.uint64(1)]):
            n = which[e]
            start = k * step - shifts[e]
            if tags[e] != tag or (rows[n] == row and (not every or start < until[n])):
                continue
            if is_at(made, count, start, texts[bounds[n] : bounds[n + 1]]):
                rows[n], until[n] = row, start + bounds[n + 1] - bounds[n]
                found = tell(finds, found, row, EXACT, first_name + n, start, until[n])
    return found


@jit
def has_core(made, words, count, windows, needles):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Say whether one of the short cores `needles` (texts, bounds) stands in the letters `made`, as words of four bytes `words`."""
    bits, filter, bucket_bits, firsts, tags, which, shifts = windows
    texts, bounds = needles
    for k in range(np.uint64(count // SHORT_STEP + 1)):
        first = np.uint64(words[k]) | np.uint64(made[(k + np.uint64(1)) * np.uint64(SHORT_STEP)]) << np.uint64(32)
        hash = of_window(first, np.uint64(0))
        wanted = marks_of(hash)
        if filter[hash >> bits] & wanted != wanted:
            continue
        bucket = hash >> bucket_bits
        tag = np.uint32(hash & np.uint64(0xFFFFFFFF))
        for e in range(firsts[bucket], firsts[bucket + np.uint64(1)]):
            n = which[e]
            start = np.int64(k) * SHORT_STEP - shifts[e]
            if tags[e] == tag and is_at(made, count, start, texts[bounds[n] : bounds[n + 1]]):
                return True
    return False


@jit
def search_letters(made, words, count, row, windows, units, state, scratch, every, finds, found):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Tell the units that stand in the letters of a text: whole (HIDDEN), or by what of them is covered (EDITED, PORTED).

    Return how many finds there are now, and whether the core of a needle stands there: a text behind those of the units.

    `units`: (texts, bounds, weights, whole, edited, ported, names, name_bounds): where `whole` is not 0 a unit may be found whole;
    `edited` is the weight that must be covered, `ported` that beside the unit's name; NEVER for a unit that is not looked for so.
    """
    bits, filter, bucket_bits, firsts, tags, which, shifts = windows
    texts, bounds, weights, whole, edited, ported, names, name_bounds = units
    rows, until, judged = state
    slots, stamps, places, marks, clock = scratch
    cored = False
    for window in range(np.uint64((count + STEP - 1) // STEP)):
        hash = of_window(words[window], words[window + np.uint64(1)])
        wanted = marks_of(hash)
        if filter[hash >> bits] & wanted != wanted:
            continue
        bucket = hash >> bucket_bits
        tag = np.uint32(hash & np.uint64(0xFFFFFFFF))
        at = np.int64(window) * STEP
        for e in range(firsts[bucket], firsts[bucket + np.uint64(1)]):
            n = which[e]
            if tags[e] != tag:
                continue
            if n >= len(rows):
                cored = cored or is_at(made, count, at - shifts[e], texts[bounds[n] : bounds[n + 1]])
                continue
            if rows[n] != row:
                rows[n], until[n], judged[n] = row, -1, -1
            if until[n] >= 0 and (not every or at < until[n]):
                continue
            unit = texts[bounds[n] : bounds[n + 1]]
            start = at - shifts[e]
            if whole[n] and is_at(made, count, start, unit):
                until[n] = start + len(unit)
                found = tell(finds, found, row, HIDDEN, n, start, until[n])
                continue
            least = min(edited[n], ported[n])
            if least == NEVER or at < judged[n]:
                continue
            if not is_at(made, count, at, unit[shifts[e] : shifts[e] + 2 * STEP]):
                continue
            judged[n] = at + len(unit) // 4
            slack = len(unit) // 2 + 32
            low, high = max(0, start - slack), min(count, start + len(unit) + slack)
            clock[0] += 1
            weight, first, last = covered(
                made, low, high, unit, weights[bounds[n] : bounds[n + 1]], slots, stamps, places, clock[0], marks
            )
            matcher = -1
            if weight >= edited[n]:
                matcher = EDITED
            elif weight >= ported[n]:
                name = names[name_bounds[n] : name_bounds[n + 1]]
                # The docstring may say the words of the name: the name stands there once more.
                own = times_in(unit, 0, len(unit), name)
                if times_in(made, max(0, low - slack), min(count, high + slack), name) > own:
                    matcher = PORTED
            if matcher >= 0:
                until[n] = last
                found = tell(finds, found, row, matcher, n, first, last)
    return found, cored


@jit
def search(data, offsets, forms, buffers, needles, units, state, told, words, stops, scratch, every, finds):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    """Write into `finds`, int64[room, COLUMNS], what the texts `data[offsets[r]:offsets[r + 1]]` hold; return how many finds there are.

    `forms`: (kinds, lower, folded, lowers, within). `buffers`: room for a form, as bytes and as words of four and eight of them, and for
    the words of a text. `needles`: (exact, short, cores, each): (windows, needles, state) of those in the squashed text, which is made
    where a core of one stands in the letters, or where `each` is true. `units` and `state` (windows, state): texts and cores in the
    letters. `told` and `words`: docstrings told again. What has no window is not looked for.
    `every`: tell each place of a needle, and not only that a row has the needle.
    """
    kinds, lower, folded, lowers, within = forms
    made, fours, eights, edges, prose, tokens = buffers
    exact, short, cores, each = needles
    found = 0
    for row in range(len(offsets) - 1):
        start, end = offsets[row], offsets[row + 1]
        cored = each
        if len(state[0][4]) or len(cores[0][4]):
            count = letters(data, start, end, folded, lowers, made)
            found, one = search_letters(made, eights, count, row, state[0], units, state[1], scratch, every, finds, found)
            cored = cored or one or (len(cores[0][4]) > 0 and has_core(made, fours, count, cores[0], cores[1]))
        if cored:
            count = squash(data, start, end, kinds, lower, lowers, made)
            for several, before in ((exact, -1), (short, len(exact[2][0]))):
                found = search_squashed(
                    made, fours, count, row, several[0], before, several[1], several[2], every, finds, found
                )
        if len(words[0][4]):
            count = edges_of(data, start, end, within, edges)
            text = data, start, lower, edges, prose, tokens, count, prose_of(data, edges, count, prose)
            found = search_words(text, row, words[0], stops, told, words[1], scratch, every, finds, found)
    return found
