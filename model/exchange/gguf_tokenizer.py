"""The tokenizer in a GGUF file's metadata to and from the files of transformers: tokens, merges, special tokens, chat template.

`tokenizer.ggml.pre` names how a text is cut before merges, by a list in llama.cpp; a name that is not in CUTS is refused, because
another cut gives other ids.
"""

import json
from collections.abc import Mapping
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers

from starmill.model.config import ModelConfig
from starmill.model.exchange.layouts import ExchangeError

NORMAL, CONTROL, USER = 1, 3, 4  # gguf.TokenType: text, special, and text that is never cut
UNUSED = 5
NUMBERED = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def _split(pattern: str) -> pre_tokenizers.PreTokenizer:
    cut = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([cut, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _digits() -> pre_tokenizers.PreTokenizer:
    single = pre_tokenizers.Digits(individual_digits=True)
    return pre_tokenizers.Sequence([single, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])


def _cut(name: str) -> pre_tokenizers.PreTokenizer:
    """Return the cut of a name. Raises ExchangeError for one that is not here."""
    if name in ("starcoder", "smollm", "refact"):  # first what we write
        return _digits()
    if name in ("gpt-2", "default"):
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    if name in ("llama-bpe", "qwen2"):
        return _split(NUMBERED % ("{1,3}" if name == "llama-bpe" else ""))
    raise ExchangeError(f"tokenizer.ggml.pre={name:.100}: how it cuts texts is not known here; take the model's tokenizer.json")


CUTS = ("starcoder", "gpt-2", "llama-bpe", "qwen2")


def files(values: Mapping[str, Any], config: ModelConfig) -> dict[str, bytes]:
    """Return tokenizer.json, its configuration and the chat template of a file's metadata. Raises ExchangeError, KeyError."""
    if (kind := values["tokenizer.ggml.model"]) != "gpt2":
        raise ExchangeError(f"tokenizer.ggml.model={kind!s:.100}: only byte-level BPE (gpt2) is read")
    tokens, merges = values["tokenizer.ggml.tokens"], values["tokenizer.ggml.merges"]
    kinds = values.get("tokenizer.ggml.token_type") or [NORMAL] * len(tokens)
    if not len(tokens) == len(kinds) == len({*tokens}) or len(tokens) > config.vocab_size:
        raise ExchangeError(
            f"tokenizer.ggml.tokens: {len(tokens)} tokens for {config.vocab_size} embeddings, or one of them twice"
        )
    pre = str(values.get("tokenizer.ggml.pre", "default"))
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    try:
        made = tokenizers.Tokenizer(models.BPE(vocabulary, pairs, ignore_merges=pre == "llama-bpe"))
    except Exception as error:  # the library raises bare Exception
        raise ExchangeError(f"tokenizer.ggml.merges: {error!s:.200}") from None
    made.pre_tokenizer, made.decoder = _cut(pre), decoders.ByteLevel()
    if pre == "qwen2":
        made.normalizer = normalizers.NFC()
    for token, number in zip(tokens, kinds, strict=True):
        if number == CONTROL:
            made.add_special_tokens([AddedToken(token, special=True, normalized=False)])
        elif number == USER:
            made.add_tokens([AddedToken(token, special=False, normalized=False)])

    def named(key: str) -> str | None:
        number = values.get(f"tokenizer.ggml.{key}_token_id")
        return tokens[number] if number is not None and number < len(tokens) else None

    about: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "model_max_length": config.max_positions,
        **{f"{key[:3]}_token": named(key) for key in ("bos", "eos", "unknown", "padding") if named(key) is not None},
    }
    found = {"tokenizer.json": made.to_str(pretty=True).encode(), "tokenizer_config.json": json.dumps(about, indent=2).encode()}
    template = values.get("tokenizer.chat_template")
    return found if template is None else {**found, "chat_template.jinja": str(template).encode()}


def add(writer: Any, config: ModelConfig, files: Mapping[str, bytes]) -> None:
    """Add a folder's tokenizer to a gguf.GGUFWriter; ids beyond its tokens, which pad a vocabulary, are marked unused."""
    data = json.loads(files["tokenizer.json"])
    if data["model"].get("type", "BPE") != "BPE":
        raise ExchangeError(f"tokenizer.json: model.type={data['model']['type']!s:.100}: only byte-level BPE is written")
    pre = next((name for name in CUTS if json.loads(_as_json(_cut(name))) == _plain(data["pre_tokenizer"])), None)
    if pre is None:
        raise ExchangeError("tokenizer.json: llama.cpp has no name for its pre_tokenizer; export safetensors instead")
    vocabulary = {**data["model"]["vocab"], **{token["content"]: token["id"] for token in data["added_tokens"]}}
    tokens = [f"<unused_{number}>" for number in range(config.vocab_size)]
    kinds = [UNUSED] * config.vocab_size
    for token, number in vocabulary.items():
        tokens[number], kinds[number] = token, NORMAL
    for token in data["added_tokens"]:
        kinds[token["id"]] = CONTROL if token["special"] else USER
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in data["model"]["merges"]])
    writer.add_bos_token_id(config.bos_id)
    writer.add_eos_token_id(config.eos_id)
    writer.add_add_bos_token(False)
    if "chat_template.jinja" in files:
        writer.add_chat_template(files["chat_template.jinja"].decode())


def _as_json(cut: pre_tokenizers.PreTokenizer) -> str:
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = cut
    return json.dumps(_plain(json.loads(made.to_str())["pre_tokenizer"]))


def _plain(cut: Any) -> Any:
    """Return a cut without `trim_offsets`, which says nothing of ids."""
    if isinstance(cut, dict):
        return {key: _plain(value) for key, value in cut.items() if key != "trim_offsets"}
    return [_plain(each) for each in cut] if isinstance(cut, list) else cut
