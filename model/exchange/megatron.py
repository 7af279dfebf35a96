"""Import of Megatron-LM checkpoints of the StarCoder kind (BigCode's fork and plain GPT): tensor and pipeline ranks to one model.

Column-parallel weights are cut by rows, row-parallel ones by columns; with one key head `key_value` is whole on every rank, key first.
Names and cuts: Megatron-LM, core/tensor_parallel and model/language_model; orders of query_key_value: its checkpoint versions.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

import torch

from starmill.core import recipe
from starmill.core.errors import one_line
from starmill.model.config import ModelConfig, parameter_shapes
from starmill.model.decoder import Decoder
from starmill.model.exchange import huggingface
from starmill.model.exchange.megatron_ranks import MegatronError, read_ranks

# Our names inside a block -> theirs, and the dimension that tensor parallelism cuts (None: whole on every rank).
LAYER: dict[str, tuple[str, int | None]] = {
    "attention_norm.weight": ("input_layernorm.weight", None),
    "attention_norm.bias": ("input_layernorm.bias", None),
    "attention.output.weight": ("self_attention.dense.weight", 1),
    "attention.output.bias": ("self_attention.dense.bias", None),
    "mlp_norm.weight": ("post_attention_layernorm.weight", None),
    "mlp_norm.bias": ("post_attention_layernorm.bias", None),
    "up.weight": ("mlp.dense_h_to_4h.weight", 0),
    "up.bias": ("mlp.dense_h_to_4h.bias", 0),
    "down.weight": ("mlp.dense_4h_to_h.weight", 1),
    "down.bias": ("mlp.dense_4h_to_h.bias", None),
}
ELSEWHERE = "word_embeddings.weight position_embeddings.weight output_layer.weight final_layernorm.weight final_layernorm.bias"
FUSED = [f"self_attention.{part}.{kind}" for part in ("query", "key_value", "query_key_value") for kind in ("weight", "bias")]
KNOWN = frozenset([*ELSEWHERE.split(), *FUSED, *(theirs for theirs, _ in LAYER.values())])


class MegatronWeights(Mapping[str, torch.Tensor]):
    """A checkpoint's weights under the decoder's names, joined when they are read; the files are memory-mapped."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Open `iter_...` or the folder above it. Raises MegatronError naming what is missing or not of this kind."""
        self._ranks = read_ranks(folder)
        names = {name for stage in self._ranks.stages for rank in stage for name in rank}
        unknown = sorted(n for n in names if re.sub(r"^layers\.[0-9]{1,3}\.", "", n) not in KNOWN)
        if unknown:  # another architecture: logits would be silently wrong
            raise MegatronError(
                f"{self._ranks.place}: {len(unknown)} tensors that no StarCoder has, first {unknown[0]!r:.200}; give another checkpoint"
            )
        self._layers = [
            (stage, local)
            for stage, ranks in enumerate(self._ranks.stages)
            for local in range(1 + max((int(n.split(".")[1]) for n in ranks[0] if n.startswith("layers.")), default=-1))
        ]
        self.multi_query = "layers.0.self_attention.key_value.weight" in self._ranks.stages[0][0]
        self.config = self._config()
        self.shapes = parameter_shapes(self.config)

    def __getitem__(self, name: str) -> torch.Tensor:
        """Return one weight. Raises KeyError for a name that the decoder lacks, MegatronError for one that the files lack."""
        if name not in self.shapes:
            raise KeyError(name)
        try:
            tensor = self._find(name)
        except (RuntimeError, IndexError) as error:  # ranks whose shapes do not fit each other
            raise MegatronError(f"{self._ranks.place}: {name} ({one_line(error)}); fetch the checkpoint again") from None
        if not tensor.is_floating_point():
            raise MegatronError(
                f"{self._ranks.place}: {name} is of {tensor.dtype}, and weights are floating point; fetch it again"
            )
        if tensor.shape != self.shapes[name]:
            raise MegatronError(
                f"{self._ranks.place}: {name} has shape {tuple(tensor.shape)}, expected {tuple(self.shapes[name])}"
            )
        return tensor

    def __iter__(self) -> Iterator[str]:
        """Iterate over the decoder's names."""
        return iter(self.shapes)

    def __len__(self) -> int:
        """Return how many weights there are."""
        return len(self.shapes)

    def _find(self, name: str) -> torch.Tensor:
        module, _, kind = name.rpartition(".")
        if module in ("tokens", "places"):
            return self._ranks.joined(
                0, f"{'word' if module == 'tokens' else 'position'}_embeddings.weight", 0 if module == "tokens" else None
            )
        if module == "head":
            return self._ranks.joined(-1, "output_layer.weight", 0)
        if module == "norm":
            return self._ranks.joined(-1, f"final_layernorm.{kind}", None)
        _, number, own = name.split(".", 2)
        stage, local = self._layers[int(number)]
        if own in LAYER:
            theirs, cut = LAYER[own]
            return self._ranks.joined(stage, f"layers.{local}.{theirs}", cut)
        part = ("query", "key", "value").index(own.split(".")[1])
        attention = f"layers.{local}.self_attention"
        if not self.multi_query:
            ranks = [
                self._ranks.part(stage, t, f"{attention}.query_key_value.{kind}") for t in range(len(self._ranks.stages[stage]))
            ]
            return torch.cat([self._heads(rows, part) for rows in ranks])
        if part == 0:
            return self._ranks.joined(stage, f"{attention}.query.{kind}", 0)
        return self._ranks.joined(stage, f"{attention}.key_value.{kind}", None).chunk(2)[part - 1]

    def _heads(self, rows: torch.Tensor, part: int) -> torch.Tensor:
        """Return queries, keys or values of one rank's fused rows; the order of the dimensions depends on the version."""
        size = self.config.head_size
        if self._ranks.version >= 2:
            return rows.unflatten(0, (-1, 3, size))[:, part].flatten(0, 1)
        if self._ranks.version >= 1:
            return rows.unflatten(0, (-1, size, 3))[:, :, part].flatten(0, 1)
        return rows.unflatten(0, (3, -1, size))[part].flatten(0, 1)

    def _config(self) -> ModelConfig:
        a, hints = self._ranks.arguments, get_type_hints(ModelConfig, include_extras=True)
        words = (self._ranks.part(0, t, "word_embeddings.weight") for t in range(len(self._ranks.stages[0])))
        try:
            fused = a.get("bias_gelu_fusion", True) or a.get("openai_gelu", False)  # both are the tanh approximation
            values = dict[str, Any](
                vocab_size=sum(word.shape[0] if word.ndim else 0 for word in words),
                layers=len(self._layers),
                hidden_size=a["hidden_size"],
                heads=a["num_attention_heads"],
                kv_heads=1 if self.multi_query else a["num_attention_heads"],
                mlp_size=a.get("ffn_hidden_size") or 4 * a["hidden_size"],
                positions="learned",
                # A RoPE model has none.
                max_positions=next(iter(self._ranks.part(0, 0, "position_embeddings.weight").shape), 0),
                norm_epsilon=a.get("layernorm_epsilon", 1e-5),
                activation="gelu_tanh" if fused else "gelu",
                init_std=a.get("init_method_std", 0.02),
                dropout=a.get("hidden_dropout", 0.0),
                tie_embeddings="output_layer.weight" not in self._ranks.stages[-1][0],
            )
            # Within the ranges of our fields, before anything of that size is made.
            return ModelConfig(**{name: recipe.convert(value, hints[name], name) for name, value in values.items()})
        except KeyError as error:
            raise MegatronError(f"{self._ranks.place}: the checkpoint's args lack {error}") from None
        except ValueError as error:
            raise MegatronError(f"{self._ranks.place}: {error}") from None


def load(folder: str | os.PathLike[str], dtype: torch.dtype | None = None, device: str | torch.device = "cpu") -> Decoder:
    """Return the model of a checkpoint, in its own type or `dtype`. Raises MegatronError."""
    weights = MegatronWeights(folder)
    decoder = Decoder.empty(weights.config, device, dtype or weights["tokens.weight"].dtype)
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            parameter.copy_(weights[name])
    return decoder.eval()


def convert(
    folder: str | os.PathLike[str], out: str | os.PathLike[str], tokenizer_files: dict[str, bytes] | None = None
) -> None:
    """Write a checkpoint as a folder that transformers loads, with the memory of one output file. Raises MegatronError."""
    weights = MegatronWeights(folder)
    huggingface.write(weights.config, weights, out, tokenizer_files)
