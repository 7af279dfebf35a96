"""FIM keeps its rates, loses nothing, and depends on no order: every sample is turned back into its document."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from starmill.core.shards import ShardReader, ShardWriter, TokenSpan
from starmill.core.tokenizer import Tokenizer, train
from starmill.trainer.config import Data, Fim
from starmill.trainer.data import fim
from starmill.trainer.data.corpus import Corpus
from starmill.trainer.data.units import read_units

CODE = "def größe(x):\n    return f'{x} 漢字 😀'  # <EMAIL> <fim_prefix>\n"
TOKENIZER = Tokenizer.load(train([CODE * 5], 420))
PUBLISHED = Fim()
EMAIL = TOKENIZER.special("<EMAIL>")
CHUNK = np.concatenate([TOKENIZER.encode(f"path/größe.py\n{CODE}"), np.array([EMAIL], np.uint16), TOKENIZER.encode(CODE)])
PREFIX, MIDDLE, SUFFIX = (TOKENIZER.special(f"<fim_{n}>") for n in ("prefix", "middle", "suffix"))
SEP, EOD, REPO = TOKENIZER.special("<file_sep>"), TOKENIZER.eod, TOKENIZER.special("<repo_name>")


def invert(ids: np.ndarray) -> tuple[str, str]:
    """Return the kind (PSM, SPM) and the text in its own order."""
    hole, end = (int(np.flatnonzero(ids == token)[0]) for token in (MIDDLE, SUFFIX))
    assert ids[0] == PREFIX and [(ids == t).sum() for t in (PREFIX, MIDDLE, SUFFIX)] == [1, 1, 1]
    pre, suf, mid = ids[1:end], ids[end + 1 : hole], ids[hole + 1 :]
    if end == 1 and len(mid):  # nothing before <fim_suffix>: SPM, or a PSM with an empty prefix, which reads the same
        return "SPM", TOKENIZER.decode([*mid, *suf])
    return "PSM", TOKENIZER.decode([*pre, *mid, *suf])


def sample(n: int, options: Fim = PUBLISHED) -> np.ndarray:
    return fim.rewrite(CHUNK, TOKENIZER, options, 0, 0, f"d{n}", 0)


def test_every_sample_is_its_document_again() -> None:
    whole = TOKENIZER.decode(CHUNK)
    kinds = []
    for n in range(3000):
        ids = sample(n)
        kind, text = invert(ids)
        kinds.append(kind)
        assert text == whole
        assert (ids == EMAIL).sum() == 1, "the placeholder survives as one token, the typed one as text"
    assert 0.46 < kinds.count("SPM") / len(kinds) < 0.54


def test_cuts_are_uniform_over_characters() -> None:
    middles = [len(TOKENIZER.decode(s[int(np.flatnonzero(s == MIDDLE)[0]) + 1 :])) for s in map(psm, range(3000))]
    length = len(TOKENIZER.decode(CHUNK)) - len("<EMAIL>") + 1
    assert abs(np.mean(middles) / length - 1 / 3) < 0.03, "the middle of two uniform cuts is a third on average"


def psm(n: int) -> np.ndarray:
    return sample(n, Fim(spm_rate=0))


# The rate of files, and of documents with a file that is rewritten. StarCoder's files are drawn each on its own.
@pytest.mark.parametrize(
    ("file_rate", "files", "rate", "any_rate"),
    [(0.5, 1, 0.5, 0.5), (0.5, 5, 0.25, 0.5 * (1 - 0.5**5)), (None, 1, 0.5, 0.5), (None, 5, 0.5, 1 - 0.5**5)],
)
def test_rates(file_rate: float | None, files: int, rate: float, any_rate: float) -> None:
    options = Fim(file_rate=file_rate)
    drawn = [fim.is_drawn(options, 0, 0, d, 2000) for d in range(2000)]
    assert sum(drawn) == 1000, "not on average: of each turn"
    chosen = [fim.is_chosen(options, drawn[d], 0, 0, f"d{d}", f, files) for d in range(2000) for f in range(files)]
    assert abs(np.mean(chosen) - rate) < 0.04
    assert abs(np.array(chosen).reshape(2000, files).any(1).mean() - any_rate) < 0.04


@pytest.mark.parametrize("rate", [0, 0.1, 1 / 3, 1])
def test_each_turn_draws_its_share_and_others(rate: float) -> None:
    drawn = np.array([[fim.is_drawn(Fim(rate=rate), 0, turn, unit, 90) for unit in range(90)] for turn in range(40)])
    assert (abs(drawn.sum(1) - 90 * rate) < 1).all(), "also in a small set of units"
    assert len({row.tobytes() for row in drawn}) == (1 if rate in (0, 1) else 40)
    assert abs(drawn.mean(0) - rate).max() < 0.35, "no unit is always drawn"


def test_choices_depend_on_nothing_but_the_place() -> None:
    forward = [sample(n).tolist() for n in range(20)]
    assert [sample(n).tolist() for n in reversed(range(20))] == forward[::-1]
    assert fim.rewrite(CHUNK, TOKENIZER, Fim(), 0, 1, "d0", 0).tolist() != forward[0], "another epoch, another cut"


@pytest.mark.parametrize("text", ["", "x", "é"])
def test_tiny_chunks(text: str) -> None:
    for n in range(20):
        made = fim.rewrite(TOKENIZER.encode(text), TOKENIZER, Fim(), 0, 0, f"{n}", 0)
        assert sorted(TOKENIZER.decode(i for i in made if i >= TOKENIZER.specials)) == sorted(text)


DOCUMENTS, LENGTHS = 150, (0, 1, 12, 19, 31)  # of 1 to 5 files, which have so many characters
SIZES = [[LENGTHS[(d // 5 + f) % len(LENGTHS)] for f in range(1 + d % 5)] for d in range(DOCUMENTS)]
IS_CODE = np.arange(DOCUMENTS) % 10 < 9  # the others are issues
# The bytes and the characters of each token: a special one has bytes that no text has, a placeholder is a character.
BYTES = [b"\xff%d" % i if i < TOKENIZER.specials else TOKENIZER.decode_bytes([i]) for i in range(TOKENIZER.vocab_size)]
CHARACTERS = np.array([0 if b[:1] == b"\xff" else sum(c & 0xC0 != 0x80 for c in b) for b in BYTES])
CHARACTERS[EMAIL] = 1


def repositories(place: Path, options: Fim) -> Corpus:
    writer = ShardWriter(EOD)
    for d, sizes in enumerate(SIZES):
        ids = [np.array([REPO], np.uint16), TOKENIZER.encode(f"r{d}")] if d % 2 else []
        spans, at = [], sum(map(len, ids))
        for f, size in enumerate(sizes):
            tail = np.array([EMAIL] if size > 12 else [], np.uint16)
            text = f"{d}.{f}\né<fim_middle>漢😀 = 1:\n\treturn größe"[: size - len(tail)]
            code = [TOKENIZER.encode(text), tail]
            spans.append(TokenSpan(f"{f}.py", f"{d}{f}", "Python", at + 1, sum(map(len, code))))
            ids += [np.array([SEP], np.uint16), *code]
            at += 1 + spans[-1].token_count
        writer.add(np.concatenate(ids), "code" if IS_CODE[d] else "issues", f"r{d}", "Python", spans)
    for suffix, data in writer.finish().items():
        (place / f"s.{suffix}").write_bytes(data)
    units = read_units([ShardReader(str(place / "s"))], 48)
    assert len(units) > DOCUMENTS + 50, "many a document is several units"
    return Corpus(units, TOKENIZER, Data(32, 1, 1, fim=options), seed=3)


@dataclass
class Found:
    """The bytes of a stream with each file put back; whether each file was rewritten; and of those that were:

    if nothing stands before <fim_suffix>, and how many characters the suffix and what follows <fim_middle> have.
    """

    text: bytes
    chosen: np.ndarray
    spm: np.ndarray
    suffix: np.ndarray
    middle: np.ndarray


def inverted(ids: np.ndarray) -> Found:
    opening, hole, end, seps = (np.flatnonzero(ids == token) for token in (PREFIX, MIDDLE, SUFFIX, SEP))
    borders = np.flatnonzero((ids == SEP) | (ids == EOD))
    close = borders[np.searchsorted(borders, opening)]
    assert len(opening) == len(hole) == len(end) and (opening < end).all() and (end < hole).all() and (hole < close).all()
    file = np.searchsorted(seps, opening) - 1
    assert (seps[file] + 1 == opening).all() and len(set(file)) == len(file), "a file is rewritten whole, and once"
    # In both modes what stands last belongs between the first part and the suffix.
    before = np.append(0, close)
    parts = [(before[:-1], opening), (opening + 1, end), (hole + 1, close), (end + 1, hole)]
    starts = np.append(np.stack([start for start, _ in parts], 1), before[-1])
    stops = np.append(np.stack([stop for _, stop in parts], 1), len(ids))
    sizes = stops - starts
    whole = ids[np.repeat(starts - np.append(0, np.cumsum(sizes)[:-1]), sizes) + np.arange(sizes.sum())]
    at = np.append(0, np.cumsum(CHARACTERS[ids]))
    text = b"".join([BYTES[i] for i in whole.tolist()])
    return Found(text, np.isin(np.arange(len(seps)), file), end == opening + 1, at[hole] - at[end], at[close] - at[hole])


def is_near(count: float, mean: float, variance: float) -> bool:
    return abs(count - mean) <= 5 * max(variance, 0.0) ** 0.5 + 1e-6


def chosen_of(options: Fim, units: list[int]) -> tuple[float, float, float]:
    """Return mean and variance of how many of a document's files are rewritten, and the chance that any is; `units` have so many files."""
    rate, share, files = options.rate, options.file_rate, sum(units)
    if share is None or files == 1:
        return files * rate, files * rate * (1 - rate), 1 - (1 - rate) ** files
    mean = rate * files * share
    variance = sum(rate * (n * share * (1 - share) + (n * share) ** 2) - (rate * n * share) ** 2 for n in units)
    return mean, variance, 1 - math.prod(1 - rate * (1 - (1 - share) ** n) for n in units)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "samples"),
    [(Fim(), 1_000_000), (Fim(rate=0.9, file_rate=0.3, spm_rate=0.2), 50_000), (Fim(file_rate=None), 50_000)],
    ids=["StarCoder2", "uneven", "StarCoder"],
)
def test_a_million_files_keep_the_rates_and_are_their_documents_again(tmp_path: Path, options: Fim, samples: int) -> None:
    made = repositories(tmp_path, options)
    plain = inverted(np.concatenate([made.units.shards[0].tokens(d) for d in range(DOCUMENTS)])).text
    sizes, files = np.concatenate(SIZES), np.array([len(s) for s in SIZES])
    code = np.repeat(IS_CODE, files)
    epochs, block = -(-samples // int(code.sum())), 50
    rewritten, cuts = [], []
    for first in range(0, epochs, block):
        count = min(block, epochs - first)
        stream = [made.ids(unit, epoch) for epoch in range(first, first + count) for unit in range(len(made.units))]
        found = inverted(np.concatenate(stream))
        assert found.text == plain * count
        rewritten.append(found.chosen.reshape(count, len(sizes)))
        cuts.append(np.stack([np.tile(sizes, count)[found.chosen], found.spm, found.suffix, found.middle]))

    chosen = np.concatenate(rewritten)
    assert chosen[:, code].size >= samples and not chosen[:, ~code].any(), "issues are read from left to right"
    counts = np.add.reduceat(chosen.astype(int), np.cumsum([0, *files[:-1]]), axis=1)
    cut: list[list[int]] = [[] for _ in files]
    for unit in map(made.units.__getitem__, range(len(made.units))):
        cut[unit.document].append(len(made.units.spans(unit)[0]))
    assert [sum(units) for units in cut] == files.tolist()
    for n in range(1, 6):
        of = IS_CODE & (files == n)
        these = counts[:, of]
        mean, variance, some = np.array([chosen_of(options, units) for units, here in zip(cut, of, strict=True) if here]).T
        epochs = len(these)
        assert is_near(these.sum(), epochs * mean.sum(), epochs * variance.sum()), n
        assert is_near((these > 0).sum(), epochs * some.sum(), epochs * (some * (1 - some)).sum()), n

    length, spm, suffix, middle = np.concatenate(cuts, 1)
    for size in LENGTHS:  # two cuts, each at one of size + 1 places
        front = 1 - (size / (size + 1)) ** 2  # PSM cut before the first character reads as SPM does
        share = options.spm_rate + (1 - options.spm_rate) * front
        of, psm = length == size, (length == size) & (spm == 0)
        assert is_near(spm[of].sum(), of.sum() * share, of.sum() * share * (1 - share)), size
        for n in range(size + 1):
            p = (2 * (size - n) + 1) / (size + 1) ** 2  # the later cut stands before the last n
            assert is_near((suffix[of] == n).sum(), of.sum() * p, of.sum() * p * (1 - p)), (size, n)
            p = (2 * (size - n) if n else size) / max(1, size**2)  # pairs of places after the first, n apart
            assert is_near((middle[psm] == n).sum(), psm.sum() * p, psm.sum() * p * (1 - p)), (size, n)
