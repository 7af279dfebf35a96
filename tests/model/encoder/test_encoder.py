"""The encoder beside transformers' Bert with the same random weights, both ways; what a token sees; the losses of training."""

import dataclasses
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForPreTraining, BertForTokenClassification

from starmill.model.config import ModelConfig, TaggerConfig, parameter_shapes
from starmill.model.encoder.encoder import NO_TARGET, Encoder
from starmill.model.exchange import huggingface
from starmill.model.exchange.families import ExchangeError

CONFIG = ModelConfig(
    120, 3, 48, 4, 4, 96, "learned", 64, norm_epsilon=1e-12, activation="gelu", dropout=0.1, attention="bidirectional"
)
LABELS = ("O", "B-NAME", "I-NAME")
TAGGER = TaggerConfig(**vars(CONFIG), labels=LABELS)
THEIRS = BertConfig(
    vocab_size=120, hidden_size=48, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96, max_position_embeddings=64
)


def some(config: ModelConfig, seed: int = 1) -> Encoder:
    encoder = Encoder(config)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(seed)
        for parameter in encoder.parameters():
            parameter.normal_(0, 0.2, generator=generator)
    return encoder.eval()


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 120, (3, 17), generator=generator)
    padding = torch.arange(17) >= torch.tensor([[17], [9], [12]])
    return tokens, padding, (torch.arange(17) > 6).long().expand(3, -1)


def test_parameters_are_those_of_its_shapes() -> None:
    for config in (CONFIG, TAGGER):
        shapes = {name: tuple(parameter.shape) for name, parameter in Encoder(config).named_parameters()}
        assert shapes == parameter_shapes(config)


@torch.no_grad()
def test_logits_of_training_are_those_of_transformers_which_loads_what_is_saved(tmp_path: Path) -> None:
    ours = some(CONFIG)
    huggingface.save(ours, tmp_path)
    theirs, told = BertForPreTraining.from_pretrained(tmp_path, output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"] and not told["mismatched_keys"]
    tokens, padding, types = batch()
    words, pairs = ours.heads(tokens, padding, types)
    found = theirs.eval()(tokens, attention_mask=(~padding).long(), token_type_ids=types)
    assert (words - found.prediction_logits)[~padding].abs().max() < 1e-4
    assert (pairs - found.seq_relationship_logits).abs().max() < 1e-4


@torch.no_grad()
def test_a_folder_of_transformers_is_read_with_equal_logits(tmp_path: Path) -> None:
    torch.manual_seed(3)
    theirs = BertForPreTraining(THEIRS).eval()
    theirs.save_pretrained(tmp_path)
    ours = huggingface.load_encoder(tmp_path)
    assert ours.config == dataclasses.replace(CONFIG, dropout=0.1)
    tokens, padding, types = batch()
    words, pairs = ours.heads(tokens, padding, types)
    found = theirs(tokens, attention_mask=(~padding).long(), token_type_ids=types)
    assert (words - found.prediction_logits)[~padding].abs().max() < 1e-4
    assert (pairs - found.seq_relationship_logits).abs().max() < 1e-4


@torch.no_grad()
def test_a_tagger_goes_both_ways_with_its_labels(tmp_path: Path) -> None:
    ours = some(TAGGER)
    huggingface.save(ours, tmp_path / "ours")
    theirs = BertForTokenClassification.from_pretrained(tmp_path / "ours").eval()
    assert theirs.config.id2label == dict(enumerate(LABELS))
    theirs.save_pretrained(tmp_path / "theirs")
    again = huggingface.load_encoder(tmp_path / "theirs")
    assert isinstance(again.config, TaggerConfig) and again.config.labels == LABELS
    tokens, padding, _ = batch()
    wanted = theirs(tokens, attention_mask=(~padding).long()).logits
    for model in (ours, again):
        assert (model.labels(tokens, padding) - wanted)[~padding].abs().max() < 1e-4


@torch.no_grad()
def test_every_token_sees_every_other_and_no_padding() -> None:
    ours = some(CONFIG)
    tokens, padding, _ = batch()
    for place in (0, 8):
        other = tokens.clone()
        other[1, place] = (other[1, place] + 1) % 120
        moved = (ours(tokens, padding) - ours(other, padding)).abs().amax(-1)[1]
        assert (moved[:9] > 1e-4).all(), "those before it, too"
    other = tokens.clone()
    other[1, 9:] = 5
    assert torch.equal(ours(tokens, padding)[1, :9], ours(other, padding)[1, :9])


def test_losses_are_those_of_all_logits() -> None:
    ours = some(CONFIG)
    tokens, padding, types = batch()
    targets = torch.where(torch.rand(tokens.shape, generator=torch.Generator().manual_seed(1)) < 0.2, tokens, NO_TARGET)
    targets[padding] = NO_TARGET
    is_random = torch.tensor([0, 1, 0])
    losses = ours.loss(tokens, targets, is_random, padding, types)
    words, pairs = ours.heads(tokens, padding, types)
    wanted = torch.nn.functional.cross_entropy(words.flatten(0, 1), targets.flatten(), ignore_index=NO_TARGET)
    wanted = wanted + torch.nn.functional.cross_entropy(pairs, is_random)
    assert torch.allclose(losses.total, wanted, atol=1e-5)
    assert ((losses.tokens_BT > 0) == (targets != NO_TARGET)).all()
    losses.total.backward()
    assert all(p.grad is not None for p in ours.parameters())


def test_a_batch_without_a_mask_has_a_loss() -> None:
    tokens, padding, types = batch()
    losses = some(CONFIG).loss(tokens, torch.full_like(tokens, NO_TARGET), torch.zeros(3, dtype=torch.long), padding, types)
    assert torch.isfinite(losses.total)


def test_what_is_no_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="positions=rope: an encoder has BERT's layout; set positions=learned"):
        dataclasses.replace(CONFIG, positions="rope")
    with pytest.raises(ValueError, match="bidirectional"):
        Encoder(dataclasses.replace(CONFIG, attention="causal"))
    with pytest.raises(ValueError, match="longer than max_positions=64"):
        some(CONFIG)(torch.zeros(1, 65, dtype=torch.long))
    huggingface.save(some(CONFIG), tmp_path)
    with pytest.raises(ExchangeError, match="an encoder, which continues no text"):
        huggingface.load(tmp_path)


def test_weights_of_a_seed() -> None:
    first, second = (Encoder.empty(CONFIG, "cpu") for _ in range(2))
    for each in (first, second):
        each.init_weights(torch.Generator().manual_seed(7))
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert abs(first.tokens.weight.std().item() - CONFIG.init_std) < 0.002
