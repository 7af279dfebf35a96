"""What a step does with gradients: AdamW, Muon for the matrices of blocks where the recipe says so, and the weights' moving average.

The learning rate has a linear warm-up, a plateau if there is one, then falls to `min_lr`.
"""

import math
from typing import Any

import torch
from torch import nn

from starmill.trainer.muon import MOMENTUM, MuonOptimizer
from starmill.trainer.parallel import local
from starmill.trainer.rates import AdamW

MOMENTS = ("exp_avg", "exp_avg_sq")
AVERAGE = "average"  # in names of a checkpoint's tensors


class Optimizer:
    """All weights of a model, each with its rule, its weight decay and its rate."""

    def __init__(self, model: nn.Module, options: AdamW) -> None:
        """Sort the model's weights; moments and averages are made by the first step."""
        self._model, self._options = model, options
        groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                groups.setdefault(self._rule(name, parameter), []).append(parameter)
        made = [
            (by_muon, {"params": parameters, "weight_decay": decay, "scale": scale})
            for (by_muon, decay, scale), parameters in groups.items()
        ]
        betas = (options.beta1, options.beta2)
        self.adam = torch.optim.AdamW(
            [group for by_muon, group in made if not by_muon], lr=options.lr, betas=betas, eps=options.epsilon, fused=True
        )
        self.muon = None
        if options.muon is not None:
            self.muon = MuonOptimizer([group for by_muon, group in made if by_muon], options.muon, options.lr)
        self._averages: dict[nn.Parameter, torch.Tensor] = {}

    def set_rate(self, step: int, steps: int) -> None:
        """Set the rate of step 1, 2, ..., `steps`."""
        rate = learning_rate(step, steps, self._options)
        for group in [*self.adam.param_groups, *(self.muon.param_groups if self.muon is not None else ())]:
            group["lr"] = rate * group["scale"]

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights by their gradients."""
        self.adam.step()
        if self.muon is not None:
            self.muon.step()
        if self._options.average:
            for parameter in self._trained().values():
                average = self._averages.get(parameter)
                if average is None:  # it begins with the weights of the first step
                    self._averages[parameter] = parameter.detach().clone()
                else:
                    local(average).lerp_(local(parameter.detach()), 1 - self._options.average)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._model.parameters():
            parameter.grad = None

    def tensors(self, step: int) -> dict[str, torch.Tensor]:
        """Return moments and averages by name, as a checkpoint holds them. Missing ones are created, as of step `step`."""
        found = {}
        by_muon = {p for group in self.muon.param_groups for p in group["params"]} if self.muon is not None else set()
        for name, parameter in self._trained().items():
            if parameter in by_muon and self.muon is not None:
                state = self.muon.state[parameter]
                state.setdefault(MOMENTUM, torch.zeros_like(parameter.detach()))
                found[f"{MOMENTUM}.{name}"] = state[MOMENTUM]
            else:
                state = self.adam.state[parameter]
                if not state:
                    state["step"] = torch.tensor(float(step), device=local(parameter.detach()).device)
                    state |= {moment: torch.zeros_like(parameter.detach()) for moment in MOMENTS}
                found |= {f"{moment}.{name}": state[moment] for moment in MOMENTS}
            if self._options.average:
                found[f"{AVERAGE}.{name}"] = self._averages.setdefault(parameter, parameter.detach().clone())
        return found

    def _trained(self) -> dict[str, nn.Parameter]:
        return {name: p for name, p in self._model.named_parameters() if p.requires_grad}

    def _rule(self, name: str, parameter: nn.Parameter) -> tuple[bool, float, float]:
        """Return whether Muon learns a weight, its weight decay, and its rate as a share of the rate."""
        options, wider = self._options, width_ratio(self._model, self._options)
        if parameter.dim() < 2:
            return False, options.vector_weight_decay, 1 / wider if name.startswith("norm.") else 1.0
        if not name.startswith("blocks."):
            embeddings = options.embedding_weight_decay
            return False, options.weight_decay if embeddings is None else embeddings, 1.0
        if options.muon is not None:
            return True, options.weight_decay, 1.0 if options.muon.lr is None else options.muon.lr / options.lr
        return False, options.weight_decay * wider, 1 / wider


def width_ratio(model: nn.Module, options: AdamW) -> float:
    """Return how many times as wide a model is as the one whose rate and initial weights the recipe has."""
    config: Any = getattr(model, "config", None)
    return 1.0 if options.base_width is None else config.hidden_size / options.base_width


@torch.no_grad()
def scale_initial(model: nn.Module, options: AdamW) -> None:
    """Scale the initial weights of a whole model to its width; the final norm's, by which the logits are divided, in place of these."""
    wider = width_ratio(model, options)
    for name, parameter in model.named_parameters() if wider != 1 else ():
        if name == "norm.weight":
            parameter.div_(wider)
        elif parameter.dim() >= 2 and name.startswith("blocks."):
            parameter.div_(math.sqrt(wider))


def learning_rate(step: int, steps: int, options: AdamW) -> float:
    """Return the rate of step 1, 2, ..., `steps`; the last one is `min_lr`, unless the rate is constant."""
    if step <= options.warmup_steps:
        return options.lr * step / options.warmup_steps
    falls = steps - options.warmup_steps if options.decay_steps is None else options.decay_steps
    gone = min(1.0, max(0, step - (steps - falls)) / max(1, falls))
    shares = {"cosine": (1 + math.cos(math.pi * gone)) / 2, "linear": 1 - gone, "1-sqrt": 1 - math.sqrt(gone)}
    return options.min_lr + (options.lr - options.min_lr) * shares[options.decay]
