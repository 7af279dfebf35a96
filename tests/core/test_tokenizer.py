"""Ids are those of Hugging Face's tokenizer, on code, on adversarial text and on random text; sentinels in text stay text."""

import os
import pickle
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.core.tokenizer import SPECIAL_TOKENS, Tokenizer, huggingface_files, train

FILES = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
TEXTS = [p.read_text(errors="ignore") for p in FILES[:60]]
DATA = train(TEXTS, 2000)
TOKENIZER = Tokenizer.load(DATA)
ORACLE = tokenizers.Tokenizer.from_str(DATA.decode())
ORACLE.encode_special_tokens = True

ADVERSARIAL = [
    "",
    " " * 1_000_000,
    "\n" * 300_000 + "x",
    "a" * 200_000,
    "=" * 200_000,
    "x  12 345\r\n\r\n\t 6  7",
    "😀👩‍👩‍👧 e\u0301\u0301 \u200b\u00a0 ½ ² ٣٤ 漢字かな",
    "\x00\x01\x7f\x85\u2028",
    "don't DON'T we'll WE'LL 's 'S '1",
    "".join(SPECIAL_TOKENS),
    " ".join(SPECIAL_TOKENS) + "\n<file_sep",
]


def oracle(text: str) -> list[int]:
    return ORACLE.encode(text, add_special_tokens=False).ids


def test_the_fast_path_is_in_use() -> None:
    assert TOKENIZER._fast is not None


def test_real_code_has_the_same_ids() -> None:
    texts = [p.read_text(errors="ignore") for p in FILES]
    for text, ids in zip(texts, TOKENIZER.encode_batch(texts), strict=True):
        assert ids.dtype == np.uint16 and ids.tolist() == oracle(text)
        assert TOKENIZER.decode(ids) == text


@pytest.mark.parametrize("text", ADVERSARIAL, ids=lambda t: repr(t[:20]))
def test_adversarial_text_has_the_same_ids(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert ids.tolist() == oracle(text)
    assert TOKENIZER.decode(ids) == text
    assert not len(ids) or ids.min() >= len(SPECIAL_TOKENS), "plain text never gives a special id"


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" \n\t09'<>_aé漢\u0301")))
def test_random_text_has_the_same_ids(text: str) -> None:
    assert TOKENIZER.encode(text).tolist() == oracle(text)


def test_without_tiktoken_the_ids_are_the_same() -> None:
    slow = Tokenizer.load(DATA)
    slow.__dict__["_fast"] = None
    for text in [*ADVERSARIAL[4:], *TEXTS[:5]]:
        assert slow.encode(text).tolist() == TOKENIZER.encode(text).tolist()


def test_special_tokens_are_starcoder2s() -> None:
    assert len(SPECIAL_TOKENS) == 38 and TOKENIZER.eod == 0
    assert [TOKENIZER.special(t) for t in SPECIAL_TOKENS] == list(range(38))
    with pytest.raises(KeyError, match="<nope>"):
        TOKENIZER.special("<nope>")


def test_digits_stay_single() -> None:
    digits = [TOKENIZER.encode(d).tolist() for d in "0123456789"]
    assert all(len(d) == 1 for d in digits)
    assert TOKENIZER.encode("20240101").tolist() == [digits[int(c)][0] for c in "20240101"]


def test_training_is_deterministic_whatever_the_threads(tmp_path: Path) -> None:
    code = (
        "import sys, sysconfig, pathlib; from starmill.core.tokenizer import train\n"
        "texts = [p.read_text(errors='ignore') for p in sorted(pathlib.Path(sysconfig.get_path('stdlib')).glob('*.py'))[:60]]\n"
        "sys.stdout.buffer.write(train(texts, 2000))"
    )
    for threads in ("1", "2", "7"):
        environment = {**os.environ, "RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        assert subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True).stdout == DATA


def test_transformers_loads_the_folder(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    for name, content in huggingface_files(DATA).items():
        (tmp_path / name).write_bytes(content)
    loaded = AutoTokenizer.from_pretrained(str(tmp_path))
    assert loaded(TEXTS[0])["input_ids"] == TOKENIZER.encode(TEXTS[0]).tolist()
    assert loaded.eos_token_id == 0 and loaded.decode(loaded(TEXTS[1])["input_ids"]) == TEXTS[1]


def test_bad_input_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(ValueError, match=r"t\.json: not a tokenizer\.json"):
        Tokenizer.load(tmp_path / "t.json")
    with pytest.raises(ValueError, match="vocab_size=100"):
        train(["a"], 100)


def test_it_travels_as_its_bytes() -> None:
    again = pickle.loads(pickle.dumps(TOKENIZER))
    assert again.sha256 == TOKENIZER.sha256 and again.encode("x = 1").tolist() == TOKENIZER.encode("x = 1").tolist()


def test_a_cut_character_decodes_to_a_replacement() -> None:
    assert TOKENIZER.decode(TOKENIZER.encode("漢")[:1]) in {"\ufffd", "漢"}
