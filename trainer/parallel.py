"""The only file that knows meshes: FSDP2 over the ranks that share out a batch, tensor parallelism over those that share a matrix.

`torchrun` starts the ranks; without torchrun there is one. The mesh is (replica, shard, tensor), tensor innermost, so that it stays
within a node. A replica has all weights, shared out among its ranks (HSDP); replica and shard together are the data ranks. Tensor
parallelism is Megatron-LM's (Shoeybi et al. 2019, section 3): queries, keys, values and the MLP's first matrix by columns, the
projections back by rows, embedding and head by vocabulary. The one key head of MQA is on every rank. Sequence parallelism (Korthikanti et
al. 2022, section 4.2.2) shares out what lies between the matrices, norms, dropout and residuals, by places of the sequence: an all-reduce
becomes a reduce-scatter after a matrix and an all-gather before the next.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch._C._distributed_c10d import PrefixStore
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, Partial, Placement, Replicate, Shard, distribute_module, distribute_tensor
from torch.distributed.tensor.parallel import ColwiseParallel, ParallelStyle, RowwiseParallel, parallelize_module
from torch.utils.checkpoint import checkpoint

from starmill.core.errors import MachineError, StarmillError, UsageError, one_line
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.encoder.encoder import Encoder
from starmill.trainer.config import Parallel
from starmill.trainer.watch import Watch

T = TypeVar("T")
Network = Decoder | Encoder
MEETING = "STARMILL_RANKS"  # in the environment of the ranks of one machine: the file in which they meet


@dataclass(frozen=True)
class Ranks:
    """This process among all: share `data` of `data_ranks` of each batch, piece `rank % tensor_ranks` of each matrix.

    >>> alone = Ranks(torch.device("cpu"))
    >>> alone.sums(1.5, 2.0), alone.gathered("one value for each data rank")
    ([1.5, 2.0], ['one value for each data rank'])
    """

    device: torch.device
    rank: int = 0
    world: int = 1
    data: int = 0
    data_ranks: int = 1
    tensor_ranks: int = 1
    mesh: DeviceMesh | None = None
    messages: Any = None  # a gloo group for all messages but tensors
    writers: Any = None  # another for checkpoints, which a thread may write at the same time
    watch: Watch | None = None

    def sums(self, *values: float) -> list[float]:
        """Return each value summed over the data ranks, in float64 (tensor ranks hold equal values)."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total, group=self.messages)
        return (total / self.tensor_ranks).tolist()

    def gathered(self, value: T) -> list[T]:
        """Return the value of every data rank, in their order."""
        if self.world == 1:
            return [value]
        found: list[Any] = [None] * self.world
        dist.all_gather_object(found, value, group=self.messages)
        return found[:: self.tensor_ranks]

    def doing(self, what: str) -> None:
        """Say what this rank begins, which all ranks do in the same order: who is behind is named when the others wait for long."""
        if self.watch is not None:
            self.watch.doing(what)

    def wait(self) -> None:
        """Wait until all ranks call this."""
        if self.world > 1:
            dist.barrier(group=self.messages)


@contextmanager
def joined(device: str, tensor_ranks: int, timeout_s: int = Parallel.timeout_s, replicas: int = 1) -> Iterator[Ranks]:
    """Join the ranks that torchrun started (nccl on GPUs, gloo on CPUs), and leave them at the end.

    Raises UsageError for ranks that do not divide into groups of `tensor_ranks`, or into `replicas` of such groups, and MachineError,
    naming a rank, where one is waited for longer than `timeout_s`.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    kind = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    if world % tensor_ranks:
        raise UsageError(f"parallel.tensor={tensor_ranks} does not divide the {world} ranks; start a multiple with torchrun")
    if (world // tensor_ranks) % replicas:
        raise UsageError(
            f"parallel.replicas={replicas} does not divide the {world // tensor_ranks} data ranks; start a multiple with torchrun"
        )
    if world == 1:
        yield Ranks(torch.device(kind))
        return
    if kind == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    meeting = f"file://{os.environ[MEETING]}" if MEETING in os.environ else None
    which, world_size = (int(os.environ["RANK"]), world) if meeting else (-1, -1)
    backend = "cpu:gloo,cuda:nccl" if kind == "cuda" else "gloo"
    timeout = timedelta(seconds=timeout_s)
    dist.init_process_group(backend, meeting, timeout, rank=which, world_size=world_size)
    store = dist.distributed_c10d._get_default_store().clone()  # a connection of its own, for a thread
    watch = Watch(PrefixStore("watch", store), dist.get_rank(), world, timeout_s / 2)
    watch.start()
    try:
        shape = replicas, world // tensor_ranks // replicas, tensor_ranks
        mesh = init_device_mesh(kind, shape, mesh_dim_names=("replica", "shard", "tensor"))
        here = torch.device(kind, torch.cuda.current_device()) if kind == "cuda" else torch.device(kind)
        rank = dist.get_rank()
        messages, writers = (dist.new_group(backend="gloo", timeout=timeout) for _ in range(2))
        yield Ranks(
            here, rank, world, rank // tensor_ranks, world // tensor_ranks, tensor_ranks, mesh, messages, writers, watch
        )
    except RuntimeError as error:
        if isinstance(error, StarmillError) or not watch.finding:
            raise
        raise MachineError(
            f"{watch.finding}. That is longer than parallel.timeout_s={timeout_s} allows, or a rank has ended ({one_line(error)}); the "
            "same command goes on from the last checkpoint"
        ) from error
    finally:
        watch.stop()
        dist.destroy_process_group()


def network(config: ModelConfig) -> type[Decoder] | type[Encoder]:
    """Return the class of a model of this shape.

    >>> network(ModelConfig(10, 1, 8, 2, 1, 16, "rope", 32)).__name__
    'Decoder'
    """
    return Encoder if config.is_encoder else Decoder


def build(
    config: ModelConfig,
    options: Parallel,
    ranks: Ranks,
    initialize: Callable[[Any], None],
    prepare: Callable[[Any], None] = lambda decoder: None,
) -> Network:
    """Return the model of this rank, with the weights that `initialize` gives a whole one; `prepare` adds adapters to a model.

    Only rank 0 ever holds the whole model, in main memory. Raises UsageError for heads that the tensor ranks do not divide.
    """
    if ranks.world == 1:
        decoder = network(config).empty(config, "cpu")
        initialize(decoder)
        prepare(decoder)
        decoder.to(ranks.device)
        _save_memory(decoder, options)
        return decoder
    decoder = network(config).empty(config)
    prepare(decoder)
    _distribute(decoder, options, ranks)
    decoder.to_empty(device=ranks.device)
    decoder.tie()
    whole = None
    if ranks.rank == 0:
        whole = network(config).empty(config, "cpu")
        initialize(whole)
        prepare(whole)
    given = dict(whole.named_parameters()) if whole is not None else {}
    with torch.no_grad():
        for name, parameter in decoder.named_parameters():
            full = given[name].to(ranks.device) if given else torch.empty(parameter.shape, device=ranks.device)
            dist.broadcast(full, 0)
            parameter.copy_(piece(full, parameter))
    return decoder


def piece(full: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Return `full` laid out over the ranks as `like` is; every rank must hold the same `full`."""
    if not isinstance(like, DTensor):
        return full
    mesh, replicated = like.device_mesh, [Replicate()] * like.device_mesh.ndim
    return DTensor.from_local(full, mesh, replicated, run_check=False).redistribute(placements=like.placements)


def gathered(decoder: Network, ranks: Ranks) -> dict[str, torch.Tensor] | None:
    """Return the whole model's parameters on rank 0, in main memory, and None elsewhere; every rank must call this."""
    found = {}
    reshard(decoder)
    for name, parameter in decoder.named_parameters():
        full = parameter.full_tensor() if isinstance(parameter, DTensor) else parameter
        if ranks.rank == 0:
            found[name] = full.detach().cpu()
    return found if ranks.rank == 0 else None


def reshard(decoder: Network) -> None:
    """Share weights out again: after a forward pass without a backward one, the root's are whole, and in `precision`."""
    if isinstance(decoder, FSDPModule):
        decoder.reshard()


def local(tensor: torch.Tensor) -> torch.Tensor:
    """Return this rank's piece, as a view."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def clip(parameters: list[nn.Parameter], limit: float, ranks: Ranks) -> float:
    """Scale all gradients so that their global norm is at most `limit`; return the norm before, the same on every rank.

    Each rank adds up the squares of its pieces, a replicated piece counting one n-th on each of its n ranks: one sum over all ranks.
    """
    pieces, shares = [], []
    for p in parameters:
        if p.grad is None:
            continue
        if isinstance(p.grad, DTensor) and p.grad.placements != p.placements:  # type: ignore[attr-defined]
            p.grad = p.grad.redistribute(placements=p.placements)  # type: ignore[attr-defined]
        pieces.append(local(p.grad))
        shares.append(1 / copies(p, ranks))
    squares = torch.stack(torch._foreach_norm(pieces, dtype=torch.float32)) ** 2
    total = (squares * torch.tensor(shares, device=squares.device)).sum()
    if ranks.world > 1:
        dist.all_reduce(total)
    norm = total.sqrt()
    before = norm.item()
    if before > limit:  # otherwise scaling would change nothing
        torch._foreach_mul_(pieces, limit / (norm + 1e-6))
    return before


def reduces(decoder: Network, now: bool) -> None:
    """Let the next backward pass sum gradients over the data ranks, or keep whole gradients on each for a later pass to sum."""
    if isinstance(decoder, FSDPModule):
        decoder.set_requires_gradient_sync(now)


def copies(parameter: torch.Tensor, ranks: Ranks) -> int:
    """Return on how many ranks each element of a parameter is."""
    if not isinstance(parameter, DTensor):
        return ranks.world
    copies = ranks.world // parameter.device_mesh.size()
    for dimension, placement in enumerate(parameter.placements):
        copies *= parameter.device_mesh.size(dimension) if placement.is_replicate() else 1
    return copies


def _distribute(decoder: Network, options: Parallel, ranks: Ranks) -> None:
    assert ranks.mesh is not None
    if ranks.tensor_ranks > 1 and isinstance(decoder, Decoder):  # a recipe refuses an encoder's
        _share_matrices(decoder, ranks.mesh["tensor"], options.sequence)
    _save_memory(decoder, options)
    if ranks.data_ranks > 1:
        compute, reduce = ((getattr(torch, name)) for name in (options.precision_on(ranks.device.type), options.reductions))
        policy = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=reduce, cast_forward_inputs=False)
        mesh = ranks.mesh["replica", "shard"] if options.replicas > 1 else ranks.mesh["shard"]
        for part in (*decoder.blocks, decoder):
            fully_shard(part, mesh=mesh, mp_policy=policy)
        for method in ("loss", "target_losses", "hits") if isinstance(decoder, Decoder) else ("loss",):
            register_fsdp_forward_method(decoder, method)


def _save_memory(decoder: Network, options: Parallel) -> None:
    for block in decoder.blocks:
        forward = block.forward
        if options.compile:  # inside the checkpoint: in this order the gradients were compared with those of plain blocks
            forward = torch.compile(forward)
        if options.recompute:
            forward = partial(checkpoint, forward, use_reentrant=False)
        block.forward = forward


def _share_matrices(decoder: Decoder, mesh: DeviceMesh, sequence: bool) -> None:
    config, ranks = decoder.config, mesh.size()
    for name in ("heads", "mlp_size"):
        if getattr(config, name) % ranks:
            raise UsageError(f"parallel.tensor={ranks} does not divide model.{name}={getattr(config, name)}")
    if config.kv_heads > 1 and config.kv_heads % ranks:
        raise UsageError(
            f"parallel.tensor={ranks} does not divide model.kv_heads={config.kv_heads}: each rank needs whole key heads, or all "
            "one; take fewer tensor ranks"
        )
    if config.qk_norm:
        raise UsageError(
            f"parallel.tensor={ranks} with model.qk_norm: the norm of heads is on each rank whole; take parallel.tensor=1"
        )
    keys: ParallelStyle = ColwiseParallel() if config.kv_heads > 1 else Replicated(gradient=Partial())
    between = Shard(1) if sequence else Replicate()  # placement of the residual stream [B, T, E] on the tensor ranks
    # A norm's output is gathered once for all its readers, and whole, so that the windows of a batch may be flattened.
    norm = Replicated(takes=between, gradient=None if sequence else Replicate())
    plan: dict[str, ParallelStyle] = {
        "tokens": RowwiseParallel(input_layouts=Replicate(), output_layouts=between),
        "places": Replicated(gives=between, gradient=between),
        "norm": norm,
        "head": ColwiseParallel(output_layouts=Replicate()),
        "blocks.*.attention_norm": norm,
        "blocks.*.attention.query": ColwiseParallel(),
        "blocks.*.attention.key": keys,
        "blocks.*.attention.value": keys,
        "blocks.*.attention.output": RowwiseParallel(output_layouts=between),
        "blocks.*.mlp_norm": norm,
        "blocks.*.up": ColwiseParallel(),
        "blocks.*.down": RowwiseParallel(output_layouts=between),
    }
    if decoder.places is None:
        del plan["places"]
    if config.gated:
        plan["blocks.*.gate"] = ColwiseParallel()
    parallelize_module(decoder, mesh, plan)
    decoder.tie()
    mine = replace(
        config, hidden_size=config.hidden_size // ranks, heads=config.heads // ranks, kv_heads=max(1, config.kv_heads // ranks)
    )
    for block in decoder.blocks:
        block.attention.config = mine  # type: ignore[union-attr]  # this rank's heads, of the same size


@dataclass
class Replicated(ParallelStyle):
    """A module whole on every tensor rank: the placements of its input (`takes`), output (`gives`) and output gradient.

    Without `gradient` the output stays a DTensor, so that its readers sum the gradient only as far as the input needs.
    """

    takes: Placement = Replicate()
    gives: Placement = Replicate()
    gradient: Placement | None = Replicate()

    def _apply(self, module: nn.Module, device_mesh: DeviceMesh) -> nn.Module:
        def enter(module: nn.Module, inputs: tuple[Any, ...], mesh: DeviceMesh) -> tuple[Any, ...]:
            first = inputs[0]
            return (
                first if isinstance(first, DTensor) else DTensor.from_local(first, mesh, [self.takes], run_check=False),
                *inputs[1:],
            )

        def leave(module: nn.Module, output: DTensor, mesh: DeviceMesh) -> torch.Tensor:
            if self.takes != self.gives and torch.is_autocast_enabled(mesh.device_type):
                output = output.to(torch.get_autocast_dtype(mesh.device_type))  # type: ignore[assignment]  # before communication
            output = output.redistribute(placements=[self.gives])
            return output if self.gradient is None else output.to_local(grad_placements=[self.gradient])

        def place(name: str, module: nn.Module, mesh: DeviceMesh) -> None:
            for key, parameter in module.named_parameters(recurse=False):
                module.register_parameter(key, nn.Parameter(distribute_tensor(parameter, mesh, [Replicate()])))

        return distribute_module(module, device_mesh, place, enter, leave)  # type: ignore[arg-type]
