"""Ids are those of Hugging Face's tokenizer, on code and on adversarial text; sentinels in text stay text."""

import json
import os
import pickle
import random
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tedious_texts
import tokenizers
from tedious_texts import tedious

from starmill.core.errors import InputError
from starmill.core.tokenizer import SPECIAL_TOKENS, Tokenizer, _cut, huggingface_files, train, untrained

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


def wide() -> Tokenizer:
    """A tokenizer of 70,000 ids whose merged tokens come last."""
    values = json.loads(DATA)
    moved = {token: number if number < 294 else number + 68_000 for token, number in values["model"]["vocab"].items()}
    values["model"]["vocab"] = moved | {f"ĀāĂă{number:x}": number for number in range(294, 68_294)}
    return Tokenizer(json.dumps(values).encode())


def test_ids_above_uint16_come_back() -> None:
    made, narrow = wide(), Tokenizer(DATA)
    assert (made.vocab_size, made.dtype, narrow.dtype) == (70_000, np.uint32, np.uint16)
    for text in (*TEXTS[:50], "x" * 5000 + " 1\n"):
        ids = made.encode(text)
        assert ids.dtype == np.uint32 and made.decode(ids.tolist()) == text
        assert [number - 68_000 * (number >= 294) for number in ids.tolist()] == narrow.encode(text).tolist()
    assert made.encode(TEXTS[0]).max() > 65_535


def test_real_code_has_the_same_ids() -> None:
    texts = [p.read_text(errors="ignore") for p in FILES[::2]]
    for text, ids in zip(texts, TOKENIZER.encode_batch(texts), strict=True):
        assert ids.dtype == np.uint16 and ids.tolist() == oracle(text)
        assert TOKENIZER.decode(ids) == text


@pytest.mark.parametrize("text", ADVERSARIAL, ids=lambda t: repr(t[:20]))
def test_adversarial_text_has_the_same_ids(text: str) -> None:
    ids = TOKENIZER.encode(text)
    assert ids.tolist() == oracle(text)
    assert TOKENIZER.decode(ids) == text
    assert not len(ids) or ids.min() >= len(SPECIAL_TOKENS), "plain text never gives a special id"


def test_no_trainer_sees_a_word_that_takes_it_time_quadratic_in_the_text() -> None:
    split = untrained().pre_tokenizer
    for name, text in tedious_texts.texts(20_000):
        cut = [*_cut(text)]
        longest = max(end - start for piece in cut for _, (start, end) in split.pre_tokenize_str(piece))
        assert "".join(cut) == text and longest <= 512, name


def test_encoding_and_training_do_not_dwell_on_any_text() -> None:
    assert tedious(TOKENIZER.encode) == []
    train(["ab" * 500_000, "".join(random.Random(1).choices("abcdefgh", k=1_000_000))], 400)  # hours, if time were quadratic


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
    for threads in ("1", "7"):
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


def broken(change: Callable[[dict[str, Any]], object]) -> Tokenizer:
    found = json.loads(DATA)
    change(found)
    return Tokenizer.load(json.dumps(found).encode())


PLAIN = {
    "id": 2000,
    "content": "return",
    "single_word": False,
    "lstrip": False,
    "rstrip": False,
    "normalized": False,
    "special": True,
}
CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    r"normalizer: .*must be null": lambda t: t.update(normalizer={"type": "Lowercase"}),
    r"normalizer: .*Strip": lambda t: t.update(normalizer={"type": "Strip", "strip_left": True, "strip_right": True}),
    r"truncation: ": lambda t: t.update(
        truncation={"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    ),
    r"model\.dropout: 0\.1": lambda t: t["model"].update(dropout=0.1),
    r"model\.vocab: zzzz: 100 .*an id of its own; \S+ has it": lambda t: t["model"]["vocab"].update(zzzz=100),
    r"model\.vocab: zzzz: 4000000000 .*an id below 2001": lambda t: t["model"]["vocab"].update(zzzz=4_000_000_000),
    r"model\.vocab: \u6f22: 2000": lambda t: t["model"]["vocab"].update({"\u6f22": 2000}),
    r"added_tokens: return: ": lambda t: t["added_tokens"].append(PLAIN),
    r"added_tokens: <fim_suffix>: .*strip nothing": lambda t: t["added_tokens"][3].update(lstrip=True),
    r"pre_tokenizer or model: .def f.* does not come back": lambda t: t["pre_tokenizer"]["pretokenizers"][1].update(
        add_prefix_space=True
    ),
}


@pytest.mark.parametrize("message", CHANGES)
def test_a_tokenizer_that_changes_text_is_refused_by_its_field(message: str) -> None:
    TOKENIZER.check_lossless()
    with pytest.raises(InputError, match=message):
        broken(CHANGES[message]).check_lossless()


def test_it_travels_as_its_bytes() -> None:
    again = pickle.loads(pickle.dumps(TOKENIZER))
    assert again.sha256 == TOKENIZER.sha256 and again.encode("x = 1").tolist() == TOKENIZER.encode("x = 1").tolist()


def test_a_cut_character_decodes_to_a_replacement() -> None:
    assert TOKENIZER.decode(TOKENIZER.encode("漢")[:1]) in {"\ufffd", "漢"}


def test_more_special_tokens_follow_starcoder2s() -> None:
    more = ("<commit_before>", "<commit_msg>", "<commit_after>")
    made = Tokenizer(train(TEXTS[:5], 400, more))
    made.check_lossless()
    assert made.specials == 41 and [made.special(t) for t in (*SPECIAL_TOKENS, *more)] == list(range(41))
    assert made.encode("".join(more)).min() >= 41, "a literal is text"
    assert made.decode([38, *made.encode("x"), 40]) == "<commit_before>x<commit_after>"
    files = huggingface_files(made.data)
    assert json.loads(files["special_tokens_map.json"])["additional_special_tokens"] == [*SPECIAL_TOKENS, *more]
    with pytest.raises(ValueError, match="must be from 297 to"):
        train(["a"], 296, more)
    apart = json.loads(DATA)
    apart["added_tokens"].append({**PLAIN, "content": "<commit_msg>"})
    with pytest.raises(InputError, match=r"added_tokens: <commit_msg>: .*ids 0 to 37"):
        Tokenizer(json.dumps(apart).encode()).check_lossless()
