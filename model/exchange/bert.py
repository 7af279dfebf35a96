"""BERT's files, which StarEncoder and StarPII have: names of weights, and what config.json says beside the sizes.

A model in training has BertForPreTraining's heads; a tagger's config.json names BertForTokenClassification and the labels of that head.
"""

from typing import Any

from starmill.core.recipe import convert
from starmill.model.config import ModelConfig, TaggerConfig
from starmill.model.exchange.layouts import ExchangeError, Family, Layout

PRETRAINING, TAGGING = "BertForPreTraining", "BertForTokenClassification"
MOST_LABELS = 10_000  # far above any label set that there is

_HEADS = {
    "transform": "cls.predictions.transform.dense",
    "transform_norm": "cls.predictions.transform.LayerNorm",
    "pooler": "bert.pooler.dense",
    "next": "cls.seq_relationship",
    "classifier": "classifier",
}
BERT = Family(
    title="StarEncoder",
    model_type="bert",
    architecture=PRETRAINING,
    layout=Layout(
        prefix="bert.",
        tokens="embeddings.word_embeddings",
        places="embeddings.position_embeddings",
        blocks="encoder.layer",
        block={
            "attention.query": "attention.self.query",
            "attention.key": "attention.self.key",
            "attention.value": "attention.self.value",
            "attention.output": "attention.output.dense",
            "attention_norm": "attention.output.LayerNorm",
            "up": "intermediate.dense",
            "down": "output.dense",
            "mlp_norm": "output.LayerNorm",
        },
        fused=None,
        norm="embeddings.LayerNorm",
        others={
            "types.weight": "bert.embeddings.token_type_embeddings.weight",
            "token_bias": "cls.predictions.bias",
            **{f"{own}.{kind}": f"{name}.{kind}" for own, name in _HEADS.items() for kind in ("weight", "bias")},
        },
    ),
    keys={
        "hidden_size": "hidden_size",
        "mlp_size": "intermediate_size",
        "layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "max_positions": "max_position_embeddings",
    },
    activation="hidden_act",
    norm_epsilon="layer_norm_eps",
    dropouts=("hidden_dropout_prob", "attention_probs_dropout_prob"),
    constants={"type_vocab_size": 2, "position_embedding_type": "absolute", "is_decoder": False},
    shape={"attention": "bidirectional"},
)
# Tensors of such files that a model lacks: the head that shares the embedding's matrix, and the pooler that a tagger has no use for.
TIED = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
UNUSED = ("bert.embeddings.position_ids", "bert.pooler.dense.weight", "bert.pooler.dense.bias")


def values(config: ModelConfig) -> dict[str, Any]:
    """Return what config.json says of an encoder beside its sizes: for a tagger its architecture and its labels."""
    if not isinstance(config, TaggerConfig):
        return {"use_cache": False}
    named = {str(number): label for number, label in enumerate(config.labels)}
    return {
        "use_cache": False,
        "architectures": [TAGGING],
        "id2label": named,
        "label2id": {label: number for number, label in enumerate(config.labels)},
    }


def labels(values: dict[str, Any]) -> tuple[str, ...]:
    """Return the labels of a config.json by id; none if it is no tagger's. Raises ExchangeError for ids with gaps.

    >>> labels({"architectures": ["BertForTokenClassification"], "id2label": {"1": "B-NAME", "0": "O"}})
    ('O', 'B-NAME')
    """
    if TAGGING not in convert(values.get("architectures") or [], list[str], "architectures"):
        return ()
    given = values.get("id2label") or {}
    given = {str(number): label for number, label in given.items()} if isinstance(given, dict) else given
    named = convert(given, dict[str, str], "id2label")
    wanted = [str(number) for number in range(min(len(named), MOST_LABELS))]
    if sorted(named) != sorted(wanted) or not named:
        raise ExchangeError(f"id2label names {len(named)} labels, whose ids are not 0, 1, ...; export the model again")
    return tuple(named[number] for number in wanted)
