"""The four tokens behind the shards' vocabulary: ids, template, and AutoTokenizer over the published files."""

from pathlib import Path

from transformers import AutoTokenizer

from starmill.core.tokenizer import Tokenizer, train
from starmill.model.encoder.tokens import CLS, MASK, PAD, SEP, TOKENS, published_files, tokenizer_json

DATA = train(["def f(x):\n    return x + 1\n"] * 3, 320)


def test_the_tokens_follow_the_vocabulary_and_the_shards_tokenizer_stays_what_it_is() -> None:
    before, after = Tokenizer(DATA), Tokenizer(tokenizer_json(DATA))
    assert [after.special(token) for token in TOKENS] == [before.vocab_size + i for i in (CLS, SEP, MASK, PAD)]
    assert after.encode("def f(<mask>)").tolist() == before.encode("def f(<mask>)").tolist(), "text stays text"


def test_transformers_loads_the_files(tmp_path: Path) -> None:
    for name, data in published_files(DATA, 512).items():
        (tmp_path / name).write_bytes(data)
    theirs, size = AutoTokenizer.from_pretrained(tmp_path), Tokenizer(DATA).vocab_size
    inside = Tokenizer(DATA).encode("return x").tolist()
    assert theirs("return x")["input_ids"] == [size + CLS, *inside, size + SEP]
    assert theirs("return x", "return x")["token_type_ids"] == [0] * (len(inside) + 2) + [1] * (len(inside) + 1)
    assert (theirs.mask_token, theirs.pad_token, theirs.cls_token) == ("<mask>", "<pad>", "<cls>")
    assert theirs.model_max_length == 512
