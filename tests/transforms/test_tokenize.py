"""Documents to ids: those of Hugging Face's tokenizer over the written-out text, with every file's span exact."""

import sysconfig
from pathlib import Path

import tokenizers

from starmill.core.document import Document, FileSpan, Special
from starmill.core.tokenizer import Tokenizer, train
from starmill.transforms.render.code import text
from starmill.transforms.tokenize import tokenize

TEXTS = [p.read_text(errors="ignore") for p in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:20]]
TOKENIZER = Tokenizer.load(train(TEXTS, 600))


def document(*codes: str) -> Document:
    pieces = [piece for code in codes for piece in (Special("<file_sep>"), code)]
    files = tuple(FileSpan(f"{i}.py", f"id{i}", "Python", 2 * i + 1, 2 * i + 2) for i in range(len(codes)))
    return Document("code", "r", "Python", tuple(pieces), files)


def test_ids_are_hugging_faces() -> None:
    oracle = tokenizers.Tokenizer.from_str(TOKENIZER.data.decode())
    for made in tokenize([document(*TEXTS[:3]), document(*TEXTS[3:9])], TOKENIZER):
        assert made.ids.tolist() == oracle.encode(text(made.document), add_special_tokens=False).ids
        for code, span in zip((p for p in made.document.pieces if isinstance(p, str)), made.files, strict=True):
            assert TOKENIZER.decode(made.ids[span.token_start : span.token_start + span.token_count]) == code


def test_a_typed_sentinel_is_text() -> None:
    (made,) = tokenize([document("x = '<fim_prefix><file_sep>'\n")], TOKENIZER)
    assert (made.ids[1:] >= TOKENIZER.specials).all() and made.ids[0] == TOKENIZER.special("<file_sep>")


def test_nothing_gives_nothing() -> None:
    (made,) = tokenize([Document("code", "r", "", (), ())], TOKENIZER)
    assert len(made.ids) == 0 and made.files == ()
