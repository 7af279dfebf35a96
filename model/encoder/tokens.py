"""The encoder's four tokens, behind those of the shards' tokenizer: `<cls>` A `<sep>`, or `<cls>` A `<sep>` B `<sep>` for a pair."""

import json

import tokenizers
from tokenizers import AddedToken, processors

from starmill.core.tokenizer import huggingface_files
from starmill.model.config import ModelConfig

TOKENS = ("<cls>", "<sep>", "<mask>", "<pad>")
CLS, SEP, MASK, PAD = range(len(TOKENS))  # ids, counted from the size of the shards' vocabulary


def tokenizer_json(data: bytes) -> bytes:
    """Return the shards' tokenizer.json with the four tokens behind its vocabulary, and the template that puts them around a text."""
    tokenizer = tokenizers.Tokenizer.from_str(data.decode())
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in TOKENS])
    cls, sep = ((TOKENS[i], tokenizer.token_to_id(TOKENS[i])) for i in (CLS, SEP))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls[0]} $A {sep[0]}", pair=f"{cls[0]} $A {sep[0]} $B:1 {sep[0]}:1", special_tokens=[cls, sep]
    )
    return str(tokenizer.to_str(pretty=True)).encode()


def files_of(config: ModelConfig, data: bytes) -> dict[str, bytes]:
    """Return the tokenizer's files beside a model that was trained on shards of this tokenizer.json."""
    return (published_files if config.is_encoder else huggingface_files)(data, config.max_positions)


def published_files(data: bytes, longest: int) -> dict[str, bytes]:
    """Return the files that make an encoder's folder loadable by AutoTokenizer, from the shards' tokenizer.json; `longest` in tokens."""
    files = huggingface_files(tokenizer_json(data))
    named = {f"{name[1:-1]}_token": name for name in TOKENS}
    known = {"model_max_length": longest, "model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}
    for name, more in (("tokenizer_config.json", known), ("special_tokens_map.json", {})):
        files[name] = (json.dumps({**json.loads(files[name]), **named, **more}, indent=2) + "\n").encode()
    return files
