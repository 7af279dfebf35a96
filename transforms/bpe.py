"""Byte-level BPE as one compiled pass over UTF-8: the ids of Hugging Face's tokenizer at some thirty times its speed.

A pre-token ends where a class changes (letters, numbers, white space, others), so that the regex is a few comparisons a byte; most
pre-tokens have been seen before, and their ids are in a table. Classes are those of the installed `tokenizers` (characters.py).
"""

import functools
import itertools
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from starmill.core import seeds
from starmill.core.tokenizer import BYTES, PROBES, Tokenizer, untrained
from starmill.transforms import characters
from starmill.transforms.characters import LETTER, NUMBER, OTHER, SPACE
from starmill.transforms.jit import jit

LONGEST = 512  # bytes of a pre-token that is merged here: the time is quadratic in it. `tokenizers` merges longer ones
KEPT = 64  # bytes of a pre-token that a table keeps
SHORT = 7  # bytes of one that is its own key
ENTRIES = 1 << 18  # of each table, which is emptied when full

_NONE = np.int64(1 << 62)  # the rank of two ids that no merge joins
_EMPTY = np.uint64(0xFFFF_FFFF_FFFF_FFFF)
_TWENTY = np.uint64(0xF_FFFF)  # bits of an id
_mix = jit(seeds.mix)


class _Tables(NamedTuple):
    """What the loop reads and keeps. `pairs`: keys (left << 32 | right) and values (rank << 32 | id) of merges, by hash.

    `short`: keys (length << 56 | bytes) and values (count << 60 | ids of 20 bits). `long`: hash, place of the bytes, length,
    place of the ids, count. `held`: entries of `short`, then entries, bytes and ids of `long`.
    """

    classes: np.ndarray  # uint8[0x110000]
    byte_ids: np.ndarray  # int64[256]
    pairs: np.ndarray  # uint64[slots]
    merged: np.ndarray  # int64[slots]
    short: np.ndarray  # uint64[slots]
    short_ids: np.ndarray  # uint64[slots]
    long: np.ndarray  # int64[slots, 5]
    long_bytes: np.ndarray  # uint8
    long_ids: np.ndarray  # int32
    held: np.ndarray  # int64[4]


@jit
def _fill(keys, values, pairs, merged):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    mask = len(pairs) - 1
    for k in range(len(keys)):
        slot = np.int64(_mix(keys[k]) & np.uint64(mask))
        while pairs[slot] != _EMPTY and pairs[slot] != keys[k]:
            slot = (slot + 1) & mask
        pairs[slot] = keys[k]
        merged[slot] = values[k]


@jit
def _joined(left, right, pairs, merged):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    key = (np.uint64(left) << np.uint64(32)) | np.uint64(right)
    mask = len(pairs) - 1
    slot = np.int64(_mix(key) & np.uint64(mask))
    while pairs[slot] != _EMPTY:
        if pairs[slot] == key:
            return merged[slot]
        slot = (slot + 1) & mask
    return _NONE


@jit
def _merge(data, start, end, byte_ids, pairs, merged, ids, ranks):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write the ids of one pre-token to `ids`, and return their number: the lowest rank first, and of equal ones the leftmost."""
    n = end - start
    for k in range(n):
        ids[k] = byte_ids[data[start + k]]
    for k in range(n - 1):
        ranks[k] = _joined(ids[k], ids[k + 1], pairs, merged)
    while n > 1:
        best, at = _NONE, -1
        for k in range(n - 1):
            if ranks[k] < best:
                best, at = ranks[k], k
        if at < 0:
            break
        ids[at] = best & 0xFFFF_FFFF
        for k in range(at + 1, n - 1):
            ids[k] = ids[k + 1]
            ranks[k] = ranks[k + 1]
        n -= 1
        if at > 0:
            ranks[at - 1] = _joined(ids[at - 1], ids[at], pairs, merged)
        if at < n - 1:
            ranks[at] = _joined(ids[at], ids[at + 1], pairs, merged)
    return n


@jit
def _wide(data, i, classes):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return the class of the character of several bytes at `i`, and its length."""
    first = np.int64(data[i])
    second = np.int64(data[i + 1]) & 63
    if first < 0xE0:
        return classes[(first & 31) << 6 | second], 2
    third = np.int64(data[i + 2]) & 63
    if first < 0xF0:
        return classes[(first & 15) << 12 | second << 6 | third], 3
    return classes[(first & 7) << 18 | second << 12 | third << 6 | (np.int64(data[i + 3]) & 63)], 4


@jit
def _end(data, i, end, classes):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Return where the pre-token ends that begins at `i`: digits split one by one, then GPT-2's pattern."""
    kind, size = classes[data[i]], 1
    if data[i] >= 128:
        kind, size = _wide(data, i, classes)
    if kind == NUMBER:
        return i + size
    if data[i] == 39 and i + 1 < end:  # 's 't 'm 'd 'll 've 're
        letter = data[i + 1]
        if letter == 115 or letter == 116 or letter == 109 or letter == 100:
            return i + 2
        if i + 2 < end:
            last = data[i + 2]
            if (letter == 108 and last == 108) or (last == 101 and (letter == 118 or letter == 114)):
                return i + 3
    at = i + size
    if data[i] == 32 and at < end:  # one space leads letters, or others
        following, length = classes[data[at]], 1
        if data[at] >= 128:
            following, length = _wide(data, at, classes)
        if following in (LETTER, OTHER):
            kind = following
            at += length
    last = i
    while at < end:
        following, length = classes[data[at]], 1
        if data[at] >= 128:
            following, length = _wide(data, at, classes)
        if following != kind:
            # Of white space the last leads what follows, but for a number, before which the text was cut.
            return last if kind == SPACE and following != NUMBER and last > i else at
        last = at
        at += length
    return at


@jit
def _encode(data, offsets, tables, ids, ends, left, work, ranks):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
    """Write the ids of texts `data[offsets[k]:offsets[k + 1]]`, and to `ends` where each text's end; return how many stand in `left`.

    `left` gets the pre-tokens that are too long: where their ids belong, and the first and the last byte.
    """
    # Taken out once: each look into the tuple would count references.
    classes, byte_ids, pairs, merged, short, short_ids, long, long_bytes, long_ids, held = tables
    n, missing = 0, 0
    mask = 2 * ENTRIES - 1
    for text in range(len(offsets) - 1):
        i, end = offsets[text], offsets[text + 1]
        while i < end:
            j = _end(data, i, end, classes)
            size = j - i
            if size == 1:
                ids[n] = byte_ids[data[i]]
                n += 1
                i = j
                continue
            if size > LONGEST:
                left[missing, 0], left[missing, 1], left[missing, 2] = n, i, j
                missing += 1
                i = j
                continue
            if size <= SHORT:
                key = np.uint64(size) << np.uint64(56)
                for k in range(size):
                    key |= np.uint64(data[i + k]) << np.uint64(8 * k)
                slot = np.int64(_mix(key) & np.uint64(mask))
                while short[slot] != np.uint64(0) and short[slot] != key:
                    slot = (slot + 1) & mask
                if short[slot] == key:
                    value = short_ids[slot]
                    for k in range(np.int64(value >> np.uint64(60))):
                        ids[n + k] = (value >> np.uint64(20 * k)) & _TWENTY
                    n += np.int64(value >> np.uint64(60))
                    i = j
                    continue
                count = _merge(data, i, j, byte_ids, pairs, merged, work, ranks)
                if count <= 3:
                    if held[0] >= ENTRIES:
                        short[:] = np.uint64(0)
                        held[0] = 0
                        slot = np.int64(_mix(key) & np.uint64(mask))
                    value = np.uint64(count) << np.uint64(60)
                    for k in range(count):
                        value |= np.uint64(work[k]) << np.uint64(20 * k)
                    short[slot] = key
                    short_ids[slot] = value
                    held[0] += 1
            else:
                code = np.uint64(size)
                for k in range(i, j):
                    code = code * np.uint64(0x100000001B3) + np.uint64(data[k])
                code = _mix(code)
                signed = np.int64(code)
                slot = np.int64(code & np.uint64(mask))
                found = False
                while long[slot, 4] != 0 and not found:
                    if long[slot, 0] == signed and long[slot, 2] == size:
                        place, k = long[slot, 1], 0
                        while k < size and long_bytes[place + k] == data[i + k]:
                            k += 1
                        found = k == size
                    if not found:
                        slot = (slot + 1) & mask
                if found:
                    place, count = long[slot, 3], long[slot, 4]
                    for k in range(count):
                        ids[n + k] = long_ids[place + k]
                    n += count
                    i = j
                    continue
                count = _merge(data, i, j, byte_ids, pairs, merged, work, ranks)
                if size <= KEPT:
                    if held[1] >= ENTRIES or held[2] + size > len(long_bytes) or held[3] + count > len(long_ids):
                        long[:] = 0
                        held[1:] = 0
                        slot = np.int64(code & np.uint64(mask))
                    long[slot, 0], long[slot, 1], long[slot, 2], long[slot, 3], long[slot, 4] = (
                        signed,
                        held[2],
                        size,
                        held[3],
                        count,
                    )
                    for k in range(size):
                        long_bytes[held[2] + k] = data[i + k]
                    for k in range(count):
                        long_ids[held[3] + k] = work[k]
                    held[1] += 1
                    held[2] += size
                    held[3] += count
            for k in range(count):
                ids[n + k] = work[k]
            n += count
            i = j
        ends[text + 1] = n
    return missing


class Encoder:
    """Encodes texts as `Tokenizer.encode_batch` does. Make one with `encoder`. Several threads may share one, and take turns.

    >>> from starmill.core.tokenizer import train
    >>> tokenizer = Tokenizer(train(["def area(width, height):", "    return width * height"] * 9, vocab_size=300))
    >>> [ids] = encoder(tokenizer)(["return height * 12"])
    >>> ids.tolist() == tokenizer.encode("return height * 12").tolist()
    True
    """

    def __init__(self, tokenizer: Tokenizer, model: dict[str, Any], classes: np.ndarray) -> None:
        """Of a tokenizer and the `model` of its tokenizer.json."""
        vocabulary = model["vocab"]
        byte_ids = np.zeros(256, np.int64)
        for character, byte in BYTES.items():
            byte_ids[byte] = vocabulary[character]
        pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
        keys = np.array([vocabulary[a] << 32 | vocabulary[b] for a, b in pairs], np.uint64)
        values = np.array([rank << 32 | vocabulary[a + b] for rank, (a, b) in enumerate(pairs)], np.int64)
        slots = 1 << (4 * len(pairs) + 4).bit_length()
        self._tables = _Tables(
            classes,
            byte_ids,
            np.full(slots, _EMPTY, np.uint64),
            np.zeros(slots, np.int64),
            np.zeros(2 * ENTRIES, np.uint64),
            np.zeros(2 * ENTRIES, np.uint64),
            np.zeros((2 * ENTRIES, 5), np.int64),
            np.zeros(24 * ENTRIES, np.uint8),
            np.zeros(8 * ENTRIES, np.int32),
            np.zeros(4, np.int64),
        )
        _fill(keys, values, self._tables.pairs, self._tables.merged)
        self._work, self._ranks = np.zeros(LONGEST, np.int64), np.zeros(LONGEST, np.int64)
        self._tokenizer, self._lock = tokenizer, threading.Lock()

    def __call__(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Return the ids of each text, in the tokenizer's `dtype`."""
        encoded = [text.encode() for text in texts]
        offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
        data = np.frombuffer(b"".join((*encoded, b"\0")), np.uint8)  # never empty
        ids, ends = np.empty(len(data), np.uint32), np.zeros(len(offsets), np.int64)  # of one type: it is compiled once
        left = np.empty((len(data) // LONGEST + 1, 3), np.int64)
        with self._lock:
            missing = _encode(data, offsets, self._tables, ids, ends, left, self._work, self._ranks)
        if not missing:
            ids = ids[: ends[-1]].astype(self._tokenizer.dtype)
            return [ids[start:end] for start, end in itertools.pairwise(ends)]
        return [*self._filled(data, offsets, ids, ends, left[:missing])]

    def _filled(
        self, data: np.ndarray, offsets: np.ndarray, ids: np.ndarray, ends: np.ndarray, left: np.ndarray
    ) -> Iterator[np.ndarray]:
        """Yield the ids of each text with those of the pre-tokens that were left out, which are pre-tokens by themselves, too."""
        bounds = np.searchsorted(left[:, 1], offsets)
        for (start, end), (some, more) in zip(itertools.pairwise(ends), itertools.pairwise(bounds), strict=True):
            pieces = []
            for place, first, last in left[some:more].tolist():
                pieces += [ids[start:place], self._tokenizer.encode(data[first:last].tobytes().decode())]
                start = place
            yield np.concatenate((*pieces, ids[start:end])).astype(self._tokenizer.dtype)


@functools.lru_cache(maxsize=1)
def encoder(tokenizer: Tokenizer) -> "Encoder | None":
    """Return the encoder of a tokenizer; None for one that splits or merges in another way, whose ids would not be the same."""
    found = json.loads(tokenizer.data)
    model, added = found["model"], found.get("added_tokens") or ()
    other = (
        "dropout",
        "unk_token",
        "continuing_subword_prefix",
        "end_of_word_suffix",
        "fuse_unk",
        "byte_fallback",
        "ignore_merges",
    )
    ours = untrained()
    split = json.loads(ours.to_str())["pre_tokenizer"]
    plain = found.get("normalizer") is None and found.get("pre_tokenizer") == split and all(t["special"] for t in added)
    if (
        not plain
        or model.get("type", "BPE") != "BPE"
        or any(model.get(f) for f in other)
        or not BYTES.keys() <= model["vocab"].keys()
    ):
        return None
    classes = characters.classes(ours.pre_tokenizer)  # which is the tokenizer's, too
    if classes is None:
        return None
    made = Encoder(tokenizer, model, classes)
    same = all(np.array_equal(ids, tokenizer.encode(text)) for text, ids in zip(PROBES, made(PROBES), strict=True))
    return made if same else None
