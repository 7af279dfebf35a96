"""Linear layers whose float32 products run on oneDNN where PyTorch would take MKL, in training and in generation.

MKL gives processors of other makers than Intel kernels for old vectors: on a Zen 5 it does 115 GFLOP/s per core, oneDNN 250
(benchmarks/results/train.md). PyTorch computes all other products: other types, GPUs, sharded tensors, and few rows, where reading the
weights takes the time.
Shapes: N rows, I inputs, O outputs.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

FEWEST_ROWS = 16
# Elements of a matrix from which on few rows, and one row, take less time with the matrix first (benchmarks/generate.py).
LARGE, LARGEST = 1 << 19, 1 << 23
# Read at import: compiled code cannot.
BOTH = torch.backends.mkl.is_available() and torch.backends.mkldnn.is_available()
# Rows from which on that holds: on its maker's processors MKL takes half the time for two and three.
PROCESSOR = Path("/proc/cpuinfo")
FEW = 4 if PROCESSOR.exists() and b"GenuineIntel" in PROCESSOR.read_bytes() else 2


class Linear(nn.Linear):
    """torch.nn.Linear with the same weights, on the faster of the two libraries.

    >>> Linear(4, 2)(torch.zeros(3, 4)).shape
    torch.Size([3, 2])
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x @ weight.T + bias."""
        if not is_onednn_better(x, self.weight):
            return few(x, self.weight, self.bias) if is_few(x, self.weight) else F.linear(x, self.weight, self.bias)
        rows_NI = x.reshape(-1, x.shape[-1])
        return _Linear.apply(rows_NI, self.weight, self.bias).view(*x.shape[:-1], -1)


def is_onednn_better(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Say whether a product of these goes to oneDNN."""
    return BOTH and x.numel() >= FEWEST_ROWS * x.shape[-1] and _is_plain(x, weight)


def _is_plain(x: torch.Tensor, weight: torch.Tensor) -> bool:
    plain = type(weight) in (torch.Tensor, nn.Parameter) and x.device.type == "cpu"  # a sharded tensor has another type
    return plain and x.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")


def is_few(x: torch.Tensor, weight: torch.Tensor) -> bool:
    """Say whether a product in generation, of few rows and a matrix that no cache holds, goes to oneDNN with the matrix first."""
    rows = x.numel() // x.shape[-1]
    large = weight.numel() >= (LARGEST if rows == 1 else LARGE) and (rows == 1 or rows >= FEW)
    return large and not torch.is_grad_enabled() and BOTH and _is_plain(x, weight)


def few(x: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None) -> torch.Tensor:
    """Return x @ weight.T + bias: with the matrix first it is read once, and not once for a few of the rows. No gradients."""
    made_NO = _onednn(weight_OI, x.reshape(-1, x.shape[-1]), None).t()
    return (made_NO if bias_O is None else made_NO + bias_O).reshape(*x.shape[:-1], -1)


def product(x_NI: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None = None) -> torch.Tensor:
    """Return x @ weight.T + bias by oneDNN, which reads transposed matrices as they lie. No gradients: see `Linear`."""
    if bias_O is None and not x_NI.is_contiguous() and (weight_OI.is_contiguous() or len(weight_OI) < len(x_NI)):
        # The operator copies a transposed first matrix, but not a second one: the smaller goes first.
        return product(weight_OI, x_NI).t()
    if torch.compiler.is_compiling():  # the compiler knows this operator with constant weights only
        return _opaque(x_NI, weight_OI, bias_O)
    return _onednn(x_NI, weight_OI, bias_O)


def _onednn(x_NI: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None) -> torch.Tensor:
    made: torch.Tensor = torch.ops.mkldnn._linear_pointwise(_dense(x_NI), _dense(weight_OI), bias_O, "none", [], "")
    return made


def _dense(matrix: torch.Tensor) -> torch.Tensor:
    # Rows or columns without gaps between them: with gaps oneDNN takes a thousand times as long.
    return matrix if matrix.is_contiguous() or matrix.t().is_contiguous() else matrix.contiguous()


@torch.library.custom_op("starmill::linear", mutates_args=())
def _opaque(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return _onednn(x, weight, bias)


@_opaque.register_fake
def _(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return x.new_empty(x.shape[0], weight.shape[0])


def multiply(a_NI: torch.Tensor, b_OI: torch.Tensor) -> torch.Tensor:
    """Return a @ b.T on the faster library. No gradients."""
    return product(a_NI, b_OI) if is_onednn_better(a_NI, b_OI) else a_NI @ b_OI.t()


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_NI: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None) -> torch.Tensor:
        ctx.save_for_backward(x_NI, weight_OI)
        ctx.biased = bias_O is not None
        return product(x_NI, weight_OI, bias_O)

    @staticmethod
    def backward(ctx: Any, gradient_NO: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x_NI, weight_OI = ctx.saved_tensors
        return (
            product(gradient_NO, weight_OI.t()) if ctx.needs_input_grad[0] else None,
            product(gradient_NO.t(), x_NI.t()) if ctx.needs_input_grad[1] else None,
            gradient_NO.sum(0) if ctx.biased and ctx.needs_input_grad[2] else None,
        )
