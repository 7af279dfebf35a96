"""FIM keeps its rates, loses nothing, and depends on no order: every sample is turned back into its document."""

import numpy as np
import pytest

from starmill.core.tokenizer import Tokenizer, train
from starmill.trainer import fim
from starmill.trainer.config import Fim

CODE = "def größe(x):\n    return f'{x} 漢字 😀'  # <EMAIL> <fim_prefix>\n"
TOKENIZER = Tokenizer.load(train([CODE * 5], 420))
PUBLISHED = Fim()
EMAIL = TOKENIZER.special("<EMAIL>")
CHUNK = np.concatenate([TOKENIZER.encode(f"path/größe.py\n{CODE}"), np.array([EMAIL], np.uint16), TOKENIZER.encode(CODE)])
PREFIX, MIDDLE, SUFFIX = (TOKENIZER.special(f"<fim_{n}>") for n in ("prefix", "middle", "suffix"))


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


@pytest.mark.parametrize(("files", "expected"), [(1, 0.5), (5, 0.25)])
def test_rates(files: int, expected: float) -> None:
    chosen = [fim.is_chosen(Fim(), 0, 0, f"d{d}", f, files) for d in range(2000) for f in range(files)]
    assert abs(np.mean(chosen) - expected) < 0.04
    per_document = np.array(chosen).reshape(2000, files).any(1)
    assert abs(per_document.mean() - (0.5 if files == 1 else 0.5 * (1 - 0.5**files))) < 0.04


def test_choices_depend_on_nothing_but_the_place() -> None:
    forward = [sample(n).tolist() for n in range(20)]
    assert [sample(n).tolist() for n in reversed(range(20))] == forward[::-1]
    assert fim.rewrite(CHUNK, TOKENIZER, Fim(), 0, 1, "d0", 0).tolist() != forward[0], "another epoch, another cut"


@pytest.mark.parametrize("text", ["", "x", "é"])
def test_tiny_chunks(text: str) -> None:
    for n in range(20):
        made = fim.rewrite(TOKENIZER.encode(text), TOKENIZER, Fim(), 0, 0, f"{n}", 0)
        assert sorted(TOKENIZER.decode(i for i in made if i >= TOKENIZER.specials)) == sorted(text)
