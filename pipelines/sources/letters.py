"""How well bytes read as a text in each encoding of before Unicode: the cost in nats of its letters, by how often they stand together.

An encoding of single bytes with a language is a table over pairs of bytes, so that all of them are one product with the pairs of a text.
One of more bytes is decoded, and its characters are looked up: what was counted, else the levels into which the standards of East Asia
themselves divide characters by use. Both are the probability of the same bytes, and so can be compared.
"""

import codecs
import functools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FILE = Path(__file__).with_name("letters.txt")  # made by benchmarks/letters.py, which says what its lines hold
EAST = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
PRIVATE = re.compile("[\ue000-\uf8ff]")
LONE = "|"  # behind a character in the counts: it stood alone, as a word of one letter does

SIGNS_ALONE = ""  # the language of English code with a sign or a name in it
WEST = ("de", "fr", "es", "it", "pt", "sv", "da", "nb", "nl", "fi", "ca", "is", "sq", SIGNS_ALONE)
CENTRAL = ("cs", "pl", "hu", "hr", "sl", "sk", "ro", "sr_Latn", "de")
# (encoding, its languages, nats that it is less likely than Windows-1252 before a byte is seen)
SINGLE: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("WINDOWS-1252", WEST, 0.0),
    ("ISO-8859-15", (*WEST[:-1], "et"), 2.5),
    ("WINDOWS-1250", CENTRAL, 2.0),
    ("ISO-8859-2", CENTRAL, 2.0),
    ("WINDOWS-1251", ("ru", "uk", "bg", "be", "sr", "mk"), 1.0),
    ("ISO-8859-5", ("ru", "bg", "sr", "mk"), 3.0),
    ("KOI8-R", ("ru",), 2.0),
    ("KOI8-U", ("uk",), 2.5),
    ("CP866", ("ru", "be"), 3.0),
    ("MAC-CYRILLIC", ("ru",), 4.0),
    ("WINDOWS-1253", ("el",), 2.0),
    ("ISO-8859-7", ("el",), 2.0),
    ("WINDOWS-1254", ("tr",), 2.0),
    ("WINDOWS-1255", ("he",), 2.0),
    ("ISO-8859-8", ("he",), 3.0),
    ("WINDOWS-1256", ("ar", "fa"), 2.5),
    ("ISO-8859-6", ("ar",), 3.0),
    ("WINDOWS-1257", ("lt", "lv", "et"), 2.5),
    ("ISO-8859-13", ("lt", "lv"), 3.0),
    ("CP874", ("th",), 2.0),
)
# Of several names the first that reads the bytes: the wider one has what is rare.
MULTI: tuple[tuple[tuple[str, ...], str, float], ...] = (
    (("GB18030",), "zh_Hans", 1.5),
    (("BIG5", "CP950", "BIG5-HKSCS"), "zh_Hant", 1.5),
    (("SHIFT_JIS", "CP932"), "ja", 1.5),
    (("EUC-JP",), "ja", 1.0),
    (("EUC-KR", "CP949"), "ko", 1.5),
)
# Nats of what the counts do not have, among what lies beyond ASCII: by how people use signs in code and prose.
SIGNS = {
    "©": 1.5,
    **dict.fromkeys("°«»–—’“”…·•§®±×µ", 3.5),
    **dict.fromkeys("\xa0‘„²³´€£™¿¡№äöüéèßåøñç", 5.0),
    **dict.fromkeys("½¼¾÷¹¶‚‹›ºª¢¥†‡áàâêëíóôúÄÖÜÉÅØ", 6.5),
}
EAST_SIGNS = {**dict.fromkeys("、。，（）：「」ー", 6.0), **dict.fromkeys("“”‘’…—；！？・『』【】《》\u3000", 8.0)}
LETTER, SIGN = 13.0, 15.0  # nats of any other letter, and of any other sign
OTHERS = 0.15  # the share of what a language was not counted with
BLEND = 4.0  # pairs that a letter's own frequency weighs as much as
TOUCH = 3.5  # nats more where a letter of ASCII touches one of another script
APART = 2.5  # and where it, or another sign, touches a sign that stands apart, as a fraction does
OF_ONE, ALL_OF_ONE = 2.0, 6.0  # for a word of one letter, and where the text has no other word
WORD, LONELY, NARROW = 2.0, 2.5, 4.0  # in East Asia: for a run of characters, one of a single one, and of one of half width
NOBODY = (
    20.0  # where a character of half width stands alone: they make words, and a sign of the West before a number looks like one
)
MOST, MOST_EAST, SLACK = (
    5.0,
    10.0,
    18.0,
)  # nats of a pair of bytes and of a character in a text, and of what is rare in a short one
MOST_TIMES = 2.0  # that a pair of bytes or of characters weighs
SCALE, WHOLE = 12, 16  # units of a table per nat, and those of a weight
BLANK = np.array([b < 128 and not chr(b).isalnum() for b in range(256)])
Floats = npt.NDArray[np.float64]
Units = npt.NDArray[np.uint8]


class Reading(NamedTuple):
    """A way to read bytes: the encoding, what of its text differs from others', the cost in nats, and what a text may cost at most."""

    encoding: str
    text: str
    cost: float
    most: float


class Tables(NamedTuple):
    """Of each encoding with a language: its number in SINGLE, the cost of each pair of bytes and of each byte that stands alone."""

    of: list[int]
    pairs: Units  # (tables, 65536)
    alone: Units  # (tables, 256)


def readings(sample: bytes, whole: bool) -> list[Reading]:
    """Return the ways to read bytes that are not all ASCII, the cheapest first.

    `whole`: the last character is not cut off. What comes again weighs less, and at most twice: one word a thousand times is one word.
    """
    codes = np.frombuffer(b"\n" + sample + b"\n", np.uint8).astype(np.uint16)
    pairs = (codes[:-1] << 8) | codes[1:]
    kinds, times = np.unique(pairs[(pairs & 0x8080) != 0], return_counts=True)
    weights = _weights(times)
    alone, said = np.unique(codes[1:-1][BLANK[codes[:-2]] & BLANK[codes[2:]] & (codes[1:-1] > 127)], return_counts=True)
    of = tables()
    costs = of.pairs[:, kinds].astype(np.int64) @ weights
    costs += of.alone[:, alone].astype(np.int64) @ _weights(said)
    words = int(said.sum()) < int((codes > 127).sum())
    high = bytes(np.unique(codes[codes > 127]).astype(np.uint8))
    most = MOST * int(weights.sum()) / WHOLE + SLACK
    found = dict[str, Reading]()
    for number, units in zip(of.of, costs.tolist(), strict=True):
        name, _, prior = SINGLE[number]
        cost = units / (SCALE * WHOLE) + prior
        if name not in found or found[name].cost > cost:
            found[name] = Reading(name, high.decode(name, "replace"), cost, most)
    readable = [one for one in found.values() if "\ufffd" not in one.text]
    for names, language, prior in MULTI:
        for name in names:
            try:
                text = codecs.getincrementaldecoder(name)().decode(sample, final=whole)
            except UnicodeDecodeError:
                continue
            if PRIVATE.search(text):  # where a standard has no character
                continue
            cost, weight = _east(text, language)
            readable.append(Reading(name, text, cost + prior, MOST_EAST * weight + SLACK))
            break
    if not words:
        readable = [r._replace(cost=r.cost + ALL_OF_ONE) if any(map(str.isalpha, r.text)) else r for r in readable]
    return sorted(readable, key=lambda r: r.cost)


def _weights(times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return what so many times weigh, in whole numbers: their sums are the same on every machine."""
    return np.rint(np.minimum(np.sqrt(times), MOST_TIMES) * WHOLE).astype(np.int64)


def _weight(times: int) -> float:
    return min(math.sqrt(times), MOST_TIMES)


def folded(text: str) -> str:
    """Return a text as pairs are counted in it: letters in lower case, digits as 0, the rest of ASCII as blanks."""
    return "".join(_fold(c) for c in text)


@functools.lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    low = character.lower() if len(character.lower()) == 1 else character
    return low if not low.isascii() or low.isalpha() else "0" if low.isdigit() else " "


@functools.lru_cache(maxsize=1)
def counts() -> Mapping[str, Mapping[str, float]]:
    """Return for each language how often pairs, and characters of East Asia, were seen."""
    found: dict[str, dict[str, float]] = {SIGNS_ALONE: {}}
    for line in FILE.read_text(encoding="utf-8").splitlines():
        language, *levels = line.split("\t")
        seen = found.setdefault(language, {})
        for level in levels:
            times, at = 2 ** ((ord(level[0]) - 65) / 2), 1
            while at < len(level):
                size = 1 if EAST.match(level[at]) else 2
                seen[level[at : at + size]] = times
                at += size
    return found


@functools.lru_cache(maxsize=1)
def characters() -> frozenset[str]:
    """Return what beyond ASCII is in use: letters that were counted, and signs."""
    used = {c for seen in counts().values() for what in seen for c in what if not c.isascii()}
    return frozenset(used | {c.upper() for c in used} | {*SIGNS, *EAST_SIGNS})


@functools.lru_cache(maxsize=1)
def tables() -> Tables:
    """Return the tables of the encodings of single bytes, made once in a process: some ten milliseconds a language."""
    made = [
        (number, *_table(name, *_pair_costs(language)))
        for number, (name, languages, _) in enumerate(SINGLE)
        for language in languages
    ]
    numbers, pairs, alone = zip(*made, strict=True)
    return Tables([*numbers], np.stack(pairs).reshape(len(made), -1), np.stack(alone))


@functools.cache
def _pair_costs(language: str) -> tuple[dict[str, int], Floats, Floats]:
    """Return the characters of a language's encodings by their numbers, the cost of each pair, and of each that stands alone."""
    seen = counts()[language]
    shown = {c for name, of, _ in SINGLE if language in of for c in _characters(name)}
    number = {c: n for n, c in enumerate(sorted({*map(_fold, shown)}))}
    times = np.zeros((len(number), len(number)))
    for pair, n in seen.items():
        if pair[0] in number and pair[-1] in number:
            times[number[pair[0]], number[pair[-1]]] = n
    high = np.array([not c.isascii() for c in number])
    least = np.array([math.exp(-_nats(c)) for c in number]) * high
    single = times[:, high].sum(axis=0)
    own = np.zeros(len(number))
    own[high] = single / max(1.0, single.sum())
    own = own * (1 - OTHERS) + OTHERS * least if seen else least
    # Behind ASCII only what lies beyond counts; behind a letter of the language anything may come.
    ends = times[high].sum(axis=0) + np.array([40.0 if c == " " else 1.0 if c.isascii() else 0.0 for c in number])
    follow = np.where(high, own / 2, ends / ends[~high].sum() / 2)
    base = np.where(high[:, None], follow[None, :], own[None, :])
    counted = np.where(high[:, None] | high[None, :], times, 0.0)
    likely = (counted + BLEND * base) / (counted.sum(axis=1, keepdims=True) + BLEND)
    pairs = -np.log(np.maximum(likely, 1e-9))
    alone = np.zeros(len(number))
    for c, n in number.items():
        if c.isalpha() and not c.isascii():
            ratio = (seen.get(c + LONE, 0.0) + 0.1) / (seen.get(" " + c, 0.0) + 2)
            alone[n] = max(0.0, -math.log(ratio) - pairs[n, number[" "]]) + OF_ONE
    return number, pairs, alone


def _table(name: str, number: dict[str, int], pairs: Floats, alone: Floats) -> tuple[Units, Units]:
    """Return the costs of pairs of bytes and of lone bytes, with what capitals and mixed scripts cost."""
    shown = _characters(name)
    at = np.array([number[_fold(c)] for c in shown])
    high = np.arange(256) > 127
    upper = np.array([c.lower() != c for c in shown])
    lower = np.array([c.upper() != c for c in shown])
    latin = np.array([c.isascii() and c.isalpha() for c in shown])
    other = np.array(
        [unicodedata.category(c)[0] == "L" and "LATIN" not in unicodedata.name(c, "") and c not in "µªº" for c in shown]
    )
    cost = pairs[np.ix_(at, at)]
    # The second is a capital: behind a small letter, a capital, or neither.
    cost += np.select([~upper[None, :] & high[:, None], lower[:, None], upper[:, None]], [0.0, 4.0, 1.5], 1.0) * upper[None, :]
    cost += TOUCH * ((latin[:, None] & other[None, :]) | (other[:, None] & latin[None, :]))
    sign = np.array([unicodedata.category(c) in ("No", "So", "Sm") and c not in "²³°" for c in shown])
    behind = sign & np.array([c not in "®™" for c in shown])  # these two stand behind a word
    cost += APART * ((latin[:, None] & behind[None, :]) | (sign[:, None] & latin[None, :]))
    mark = (sign & np.array([c != "¹" for c in shown])) | np.array([c in "¡¿§¶°£¢¥¤" for c in shown])
    cost += APART * (mark[:, None] & mark[None, :])
    cost[~(high[:, None] | high[None, :])] = 0
    return _units(cost), _units(alone[at] * high)


def _units(cost: Floats) -> Units:
    return np.minimum(np.round(cost * SCALE), 255).astype(np.uint8)


def _characters(name: str) -> list[str]:
    return [bytes([b]).decode(name, "replace") for b in range(256)]


def _nats(character: str) -> float:
    return SIGNS.get(character, LETTER if unicodedata.category(character)[0] in "LM" else SIGN)


def _east(text: str, language: str) -> tuple[float, float]:
    """Return the cost of a text of East Asia, and the weight of its characters."""
    pairs = Counter(zip(" " + text, text, strict=False))
    events = [(_weight(n), c) for (_, c), n in pairs.items() if not c.isascii()]
    total = sum(n * _character(c, language) for n, c in events)
    runs = Counter(re.findall(r"[\x00-\x7f][^\x00-\x7f]{1,2}", "\n" + text))
    total += WORD * sum(map(_weight, runs.values()))
    single = Counter(re.findall(r"[\x00-\x7f][^\x00-\x7f](?=[\x00-\x7f])", f"\n{text}\n"))
    total += LONELY * sum(map(_weight, single.values()))
    total += NOBODY * any("\uff61" <= run[1] <= "\uff9f" for run in single)
    touching = Counter(re.findall(r"(?=([A-Za-z][^\x00-\x7f]|[^\x00-\x7f][A-Za-z]))", text))
    return total + TOUCH * sum(map(_weight, touching.values())), sum(n for n, _ in events)


@functools.lru_cache(maxsize=20_000)
def _character(c: str, language: str) -> float:
    """Return the nats of a character of East Asia: as it was counted, else by the level of its standard."""
    seen = counts()[language]
    if c in seen:
        return math.log(_total(language)) - math.log(seen[c]) + 0.1
    if c in EAST_SIGNS:
        return EAST_SIGNS[c]
    if c < "\u0100" or unicodedata.category(c)[0] not in "LM":
        return SIGN if c < "\u0100" else 12.0
    if "\uff61" <= c <= "\uff9f":
        return 5.0 + NARROW
    # The first level of each standard has what is in use, the second what is rare; then come what others added.
    levels: tuple[str, int, int] = {
        "zh_Hans": ("gb2312", 0xB0, 0xD7),
        "zh_Hant": ("big5", 0xA4, 0xC6),
        "ja": ("euc_jp", 0xA4, 0xCF),
        "ko": ("euc_kr", 0xB0, 0xC8),
    }[language]
    try:
        lead = c.encode(levels[0])
    except UnicodeEncodeError:
        return 15.0
    return 15.0 if len(lead) > 2 else 11.0 if levels[1] <= lead[0] <= levels[2] else 13.5


@functools.cache
def _total(language: str) -> float:
    return sum(n for what, n in counts()[language].items() if len(what) == 1)
