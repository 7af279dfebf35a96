"""Answers by any causal model that transformers loads from a folder: batches, seeds and the choice of tokens are as for ours."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from starmill.core import seeds
from starmill.core.errors import InputError, MachineError, one_line
from starmill.evaluation.run.endpoint import written
from starmill.evaluation.run.generate import Decoding, Reply, Request
from starmill.evaluation.run.ours import digest
from starmill.model import devices


class Transformers:
    """A folder that transformers loads. No code in it is executed. Raises InputError for one that cannot be loaded."""

    def __init__(
        self, folder: Path, batch: int = 16, dtype: str = "stored", device: str | None = None, chat: bool = False
    ) -> None:
        """Load the model; `batch` rows are written at once. `chat`: a template has written the special tokens of prompts."""
        self.chat = chat
        try:
            import transformers
        except ModuleNotFoundError:
            raise MachineError(f"{folder} needs transformers, which is not installed: pip install transformers") from None
        import torch

        try:
            # Of a folder alone, whose weights are no pickles and whose code is not run.
            only: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
            self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, **only)
            kept = "auto" if dtype == "stored" else getattr(torch, dtype)
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=kept, use_safetensors=True, **only)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise InputError(
                f"{folder}: transformers cannot load it: {one_line(error):.300}; give a folder with safetensors"
            ) from None
        self.model: Any = model.eval().to(devices.usable(device))
        self.batch, config = batch, self.model.config
        self.room = int(getattr(config, "max_position_embeddings", 0) or 1 << 20)
        self.ends = {self.tokenizer.eos_token_id, config.eos_token_id}
        self.identity = {"model": digest(folder), "dtype": dtype, "by": f"transformers {transformers.__version__}"}

    def answers(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[tuple[int, str, str]]:
        """Yield answers, batch by batch, the longest prompts first."""
        for index, reply in self.replies(requests, decoding):
            yield index, reply.text, reply.refused

    def replies(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[tuple[int, Reply]]:
        """Yield answers with why they end and what they took: one that has as many tokens as it may have was cut."""
        prompts: list[list[int]] = [
            self.tokenizer(written(request.prompt), add_special_tokens=not self.chat)["input_ids"] for request in requests
        ]
        for index, ids in enumerate(prompts):
            if not 0 < len(ids) < self.room:
                yield index, Reply("", f"a prompt of {len(ids):,} tokens, and the model has {self.room:,} positions")
        order = sorted((i for i, ids in enumerate(prompts) if 0 < len(ids) < self.room), key=lambda i: (-len(prompts[i]), i))
        for start in range(0, len(order), self.batch):
            rows = order[start : start + self.batch]
            made = self._batch([prompts[i] for i in rows], [requests[i].name for i in rows], decoding)
            for i, (text, told) in zip(rows, made, strict=True):
                cut = told >= min(decoding.max_new_tokens, self.room - len(prompts[i]))
                yield i, Reply(text, "", "length" if cut else "stop", len(prompts[i]), told)

    def likelihoods(self, requests: Sequence[Request]) -> Iterator[tuple[int, str, str]]:
        """Yield log-likelihoods of texts behind the token that begins a text, or where there is none, ends one."""
        import torch

        first = next((token for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id) if token is not None), None)
        for index, request in enumerate(requests):
            found = []
            for text in request.choices:
                ids = [*[first] * (first is not None), *self.tokenizer(text, add_special_tokens=False)["input_ids"]]
                tokens = torch.tensor([ids[: self.room]], device=self.model.device)
                with torch.inference_mode():
                    logs = self.model(tokens).logits[:, :-1].float().log_softmax(-1)
                found.append(float(logs.gather(2, tokens[:, 1:, None]).double().sum()))
            yield index, json.dumps(found), ""

    def _batch(self, prompts: list[list[int]], names: list[str], decoding: Decoding) -> list[tuple[str, int]]:
        import torch

        from starmill.model.generation import choose

        device, longest = self.model.device, max(map(len, prompts))
        tokens = torch.tensor([[0] * (longest - len(p)) + p for p in prompts], device=device)
        mask = torch.tensor([[0] * (longest - len(p)) + [1] * len(p) for p in prompts], device=device)
        places, cache = (mask.cumsum(1) - 1).clamp(min=0), None
        new: list[list[int]] = [[] for _ in prompts]
        rows = [*range(len(prompts))]
        with torch.inference_mode():
            while True:
                out = self.model(tokens, attention_mask=mask, position_ids=places, past_key_values=cache, use_cache=True)
                cache = out.past_key_values
                uniform = [seeds.uniform(decoding.seed, "generate", names[row], len(new[row])) for row in rows]
                chosen = choose(out.logits[:, -1].float(), decoding.temperature, decoding.top_p, 0, uniform)
                kept = []
                for at, (row, token) in enumerate(zip(rows, chosen, strict=True)):
                    if token in self.ends:
                        continue
                    new[row].append(token)
                    full = len(new[row]) >= min(decoding.max_new_tokens, self.room - len(prompts[row]))
                    if not full and not self._stopped(new[row], decoding.stops):
                        kept.append(at)
                if not kept:
                    return [(self.tokenizer.decode(ids, skip_special_tokens=False), len(ids)) for ids in new]
                index = torch.tensor(kept, device=device)
                if len(kept) < len(rows):  # finished rows leave the batch
                    cache.batch_select_indices(index)
                rows = [rows[at] for at in kept]
                tokens = torch.tensor([[chosen[at]] for at in kept], device=device)
                mask = torch.cat([mask[index], mask.new_ones(len(kept), 1)], dim=1)
                places = places[index][:, -1:] + 1

    def _stopped(self, ids: list[int], stops: Sequence[str]) -> bool:
        if not stops:
            return False
        tail = self.tokenizer.decode(ids[-max(map(len, stops)) :], skip_special_tokens=False)  # a token is at least a character
        return any(stop in tail for stop in stops)
