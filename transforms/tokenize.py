"""Documents to token ids: text is encoded as text, sentinels by id, and each file's span of pieces becomes a span of tokens."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from starmill.core.document import Document, Special
from starmill.core.shards import TokenSpan
from starmill.core.tokenizer import Tokenizer


@dataclass(frozen=True)
class TokenizedDocument:
    """The ids of a document, without its final `<|endoftext|>`, and where its files lie in them."""

    document: Document
    ids: np.ndarray
    files: tuple[TokenSpan, ...]


def tokenize(documents: Iterable[Document], tokenizer: Tokenizer) -> Iterator[TokenizedDocument]:
    """Yield each document with its ids. Every text piece is encoded on its own, as Hugging Face's tokenizer does between sentinels."""
    from starmill.transforms import bpe  # numba, which takes its time to import

    encode = bpe.encoder(tokenizer) or tokenizer.encode_batch
    for document in documents:
        texts = iter(encode([p for p in document.pieces if isinstance(p, str)]))
        pieces = [
            np.array([tokenizer.special(p.token)], tokenizer.dtype) if isinstance(p, Special) else next(texts)
            for p in document.pieces
        ]
        ends = np.cumsum([0, *map(len, pieces)])
        files = tuple(
            TokenSpan(f.path, f.content_id, f.language, int(ends[f.start]), int(ends[f.end] - ends[f.start]))
            for f in document.files
        )
        yield TokenizedDocument(document, np.concatenate(pieces) if pieces else np.zeros(0, tokenizer.dtype), files)
