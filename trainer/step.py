"""One optimizer step and the held-out loss: what a rank does with its share of the windows."""

import math
import platform
import statistics
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch

from starmill.core import seeds
from starmill.core.errors import StarmillError
from starmill.model.decoder import Decoder
from starmill.model.encoder.encoder import Encoder
from starmill.trainer import parallel, watch
from starmill.trainer.clock import Clock
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data import masking
from starmill.trainer.data.corpus import Batch, Corpus, Position
from starmill.trainer.data.infill import Infill
from starmill.trainer.optim import Optimizer
from starmill.trainer.parallel import Network, Ranks
from starmill.trainer.sft import preferences
from starmill.trainer.sft.corpus import Conversations
from starmill.trainer.tally import Norms, Tally

RECENT = 50  # losses, with whose median a spike is compared
MOST_SKIPPED = 10  # in as many steps: more is no bad batch but a training that diverges
ANEW = (
    "`starmill export` the last good checkpoint and start another run from it (`weights`), with a lower optimizer.lr, without these "
    "files, or with another `seed`, which is another order; `skip` or `on_spike: skip` leave the batch out"
)


class TrainingStopped(StarmillError, RuntimeError):
    """A loss that is not a number, or a spike, on all ranks alike; the message names the batch's files, and the ways to go on."""


@dataclass(frozen=True)
class Taken:
    """A step's results: the mean loss over all ranks, the global gradient norm before clipping, the next positions of this rank's lanes.

    `seconds` are those of each part of the step on this rank; `is_last` says that some rank received a signal to stop; `skipped`, why
    nothing was learned from the batch; `more`, what only some steps tell: losses by kind and language, norms.
    """

    loss: float
    norm: float
    following: tuple[Position, ...]
    seconds: dict[str, float]
    is_last: bool
    skipped: str = ""
    more: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class HeldOut:
    """The mean loss per token, of all tokens and of those in each language's files."""

    loss: float
    by_language: dict[str, float]


class Told(NamedTuple):
    """The loss to minimize, the mean loss for reports, and float32 losses [windows, sequence_length].

    `origin` says which token of the window each loss is of, -1 for none. An encoder's losses are of its masked tokens; those of a
    pair of responses one for both, [windows, 1], and `margins` [pairs] by how much the chosen one's reward is above the other's.
    """

    objective: torch.Tensor
    mean: torch.Tensor
    losses: torch.Tensor
    origin: np.ndarray
    margins: torch.Tensor | None = None


@dataclass
class Run:
    """A model in training on one rank; `losses` are those of its last steps, `skipped` all steps that it did not learn from."""

    options: TrainRecipe
    ranks: Ranks
    corpus: Corpus | Conversations
    decoder: Network
    optimizer: Optimizer
    losses: tuple[float, ...] = ()
    skipped: tuple[int, ...] = ()

    def step(self, batches: Iterator[Batch], step: int, stop: bool) -> Taken:
        """Take step number `step` with the next micro-batches. Raises TrainingStopped, on all ranks alike."""
        options, ranks = self.options, self.ranks
        self.decoder.train()
        self.optimizer.set_rate(step, options.steps)
        clock, seen, count = Clock(ranks.device), [], options.accumulation(ranks.data_ranks, step)
        if options.is_skipped(step):
            seen = [next(batches) for _ in range(count)]
            self.skipped = (*self.skipped, step)
            return Taken(math.nan, math.nan, seen[-1].following, {}, ranks.sums(float(stop))[0] > 0, "`skip` names it")
        # Conversations are of one kind.
        tally = Tally(self.corpus.units) if isinstance(self.corpus, Corpus) and step % options.log_every == 0 else None
        # Read once per step, because reading waits for the device: the loss, and of pairs the margin and how often it is above 0.
        total, rewards = torch.zeros((), device=ranks.device), torch.zeros(2, device=ranks.device)
        for micro in range(count):
            ranks.doing(f"data of step {step}")
            batch = next(batches)
            clock.mark("data")
            ranks.doing(f"forward of step {step}")
            seen.append(batch)
            # Dropout is seeded too: ranks that hold the same elements drop the same ones, and a checkpoint needs no generator's state.
            place = (ranks.data, ranks.rank) if options.parallel.sequence else (ranks.data,)
            torch.manual_seed(seeds.uint64(options.seed, "dropout", step, micro, *place) >> 1)
            told = self.loss(batch, self.corpus, step)
            parallel.reduces(self.decoder, not options.parallel.reduce_once or micro == count - 1)
            clock.mark("forward")
            ranks.doing(f"backward of step {step}")
            told.objective.div(count).backward()
            clock.mark("backward")
            total += told.mean / count
            if told.margins is not None:
                rewards += torch.stack([told.margins.mean(), (told.margins > 0).float().mean()]) / count
            if tally is not None:
                tally.add(batch, told.losses.detach(), told.origin)
        ranks.doing(f"communication of step {step}")
        norm = parallel.clip(list(self.decoder.parameters()), options.optimizer.clip or math.inf, ranks)
        summed, stops, *summed_rewards = ranks.sums(total.item(), float(stop), *rewards.tolist())
        mean = summed / ranks.data_ranks
        clock.mark("communication")
        if bad := self._bad(step, mean, norm):
            if options.on_spike == "stop" or sum(n > step - RECENT for n in self.skipped) >= MOST_SKIPPED:
                self._refuse(
                    bad, seen, ANEW if not math.isfinite(mean + norm) else f"raise `spike` to go on regardless, or {ANEW}"
                )
            self.optimizer.zero_grad()
            self.skipped = (*self.skipped, step)
            return Taken(mean, norm, seen[-1].following, clock.seconds(), stops > 0, bad)
        self.losses = (*self.losses, mean)[-RECENT:]
        more: dict[str, Any] = tally.means(ranks) if tally is not None else {}
        if options.dpo is not None:
            named = zip(("reward_margin", "reward_accuracy"), summed_rewards, strict=True)
            more |= {name: value / ranks.data_ranks for name, value in named}
        has_norms = options.norms_every and step % options.norms_every == 0
        norms = Norms(self.decoder.parameters(), ranks) if has_norms else None
        clock.mark("tally")
        ranks.doing(f"optimizer of step {step}")
        self.optimizer.step()
        self.optimizer.zero_grad()
        clock.mark("optimizer")
        more |= norms.after() if norms is not None else {}
        seconds = clock.seconds()
        if ranks.data_ranks > 1 and step % options.log_every == 0:
            more["slow_ranks"] = watch.slow(ranks.gathered((ranks.rank, platform.node(), seconds)))
        return Taken(mean, norm, seen[-1].following, seconds, stops > 0, more=more)

    def loss(self, batch: Batch, corpus: Corpus | Conversations, step: int) -> Told:
        """Return the losses of a batch of a corpus: of every next token, with z-loss, or an encoder's two (step decides its masks)."""
        device, options = self.ranks.device, self.options
        autocast = self._autocast()
        if isinstance(self.decoder, Encoder):
            assert isinstance(corpus, Corpus)  # a recipe refuses an encoder's conversations
            pairs = masking.pairs(batch, corpus, options.seed, step)
            given = [torch.from_numpy(array).to(device, non_blocking=True) for array in pairs[:-1]]
            with autocast:
                found = self.decoder.loss(*given)
            return Told(found.total, found.total.detach().float(), found.tokens_BT, pairs.origin)
        if options.dpo is not None:
            assert batch.reference is not None
            losses_WT = self.target_losses(batch)
            above_W = torch.from_numpy(batch.reference).to(device).neg() - losses_WT.sum(1)
            losses_P, margins_P = preferences.objective(above_W[::2], above_W[1::2], options.dpo)
            losses_W1 = torch.stack([losses_P, torch.zeros_like(losses_P)], 1).reshape(-1, 1)
            origin = np.tile([[0], [-1]], (len(losses_P), 1))
            return Told(losses_P.mean(), losses_P.detach().mean(), losses_W1.detach(), origin, margins_P.detach())
        tokens_BT, documents_BT, positions_BT = (
            torch.from_numpy(a).to(device, non_blocking=True) for a in (batch.tokens, batch.documents, batch.positions)
        )
        inside = (positions_BT[:, :-1], documents_BT[:, :-1]) if options.data.mask_documents else (None, None)
        learned = None if batch.answers is None else torch.from_numpy(batch.answers[:, 1:]).to(device, non_blocking=True)
        with autocast:
            total, losses = self.decoder.loss(
                tokens_BT[:, :-1], tokens_BT[:, 1:], options.optimizer.z_loss, inside[0], inside[1], learned
            )
        following = np.broadcast_to(np.arange(1, tokens_BT.shape[1]), losses.shape)
        if batch.answers is not None and learned is not None:
            mean = losses.sum() / learned.sum() * batch.part
            return Told(total * batch.part, mean, losses, np.where(batch.answers[:, 1:], following, -1))
        return Told(total, losses.mean(), losses, following)

    def target_losses(self, batch: Batch) -> torch.Tensor:
        """Return the loss of each token that is to be learned, [windows, sequence_length], each with gradients; 0 for the others."""
        assert batch.answers is not None and isinstance(self.decoder, Decoder)
        tokens_BT, documents_BT, positions_BT, answers_BT = (
            torch.from_numpy(a).to(self.ranks.device, non_blocking=True)
            for a in (batch.tokens, batch.documents, batch.positions, batch.answers)
        )
        masked = self.options.data.mask_documents
        inside = (positions_BT[:, :-1], documents_BT[:, :-1]) if masked else (None, None)
        with self._autocast():
            return self.decoder.target_losses(tokens_BT[:, :-1], tokens_BT[:, 1:], inside[0], inside[1], answers_BT[:, 1:])

    def _autocast(self) -> AbstractContextManager[object]:
        device = self.ranks.device.type
        half = self.options.parallel.precision_on(device) == "bfloat16"
        return torch.autocast(device, torch.bfloat16) if half else nullcontext()

    @torch.no_grad()
    def evaluate(self, held_out: Corpus | Conversations) -> HeldOut | None:
        """Return the loss of the held-out windows; None if nothing is held out. The windows do not depend on the ranks."""
        if held_out.is_empty:
            return None
        self.decoder.eval()
        self.ranks.doing("the held-out loss")
        names = held_out.units.names if isinstance(held_out, Corpus) else ("",)
        sums, counts = np.zeros(len(names)), np.zeros(len(names))
        for batch, languages in held_out.sample(self.options.data.held_out_windows, self.ranks.data, self.ranks.data_ranks):
            told = self.loss(batch, held_out, 0)
            origin = told.origin[: len(languages)]
            counted = origin >= 0
            losses = told.losses[: len(languages)].double().cpu().numpy()[counted]
            targets = np.take_along_axis(languages, np.maximum(origin, 0), 1)[counted]
            sums += np.bincount(targets, losses, len(names))
            counts += np.bincount(targets, minlength=len(names))
        sums, counts = np.split(np.array(self.ranks.sums(*sums, *counts)), 2)
        by_language = {name: float(s / c) for name, s, c in zip(names, sums, counts, strict=True) if c and name}
        return HeldOut(float(sums.sum() / counts.sum()), dict(sorted(by_language.items())))

    @torch.no_grad()
    def infilled(self, asked: Sequence[Infill]) -> float | None:
        """Return the share of lines that greedy decoding would fill in exactly; None where none are asked for. All ranks call this."""
        if not asked or not isinstance(self.decoder, Decoder):
            return None
        self.decoder.eval()
        ranks, size, length = self.ranks, self.options.data.micro_batch, self.options.data.sequence_length
        right, together = 0, size * ranks.data_ranks
        for turn in range(math.ceil(len(asked) / together)):
            mine = asked[turn * together + ranks.data * size :][:size]
            tokens, wanted = np.zeros((size, length + 1), np.int64), np.zeros((size, length + 1), bool)
            for row, one in enumerate([*mine, *[asked[0]] * (size - len(mine))]):
                tokens[row, : len(one.ids)], wanted[row, one.first : len(one.ids)] = one.ids, True
            tokens_BT, wanted_BT = (torch.from_numpy(array).to(ranks.device) for array in (tokens, wanted))
            with self._autocast():
                hits_BT = self.decoder.hits(tokens_BT[:, :-1], tokens_BT[:, 1:], wanted_BT[:, 1:])
            right += int(hits_BT[: len(mine)].all(1).sum())
        return ranks.sums(right)[0] / len(asked)

    def _bad(self, step: int, mean: float, norm: float) -> str:
        """Return what is wrong with a step's loss; "" if nothing is."""
        if not math.isfinite(mean) or not math.isfinite(norm):
            return f"step {step}: loss {mean}, gradient norm {norm}"
        if len(self.losses) == RECENT and mean > (usual := statistics.median(self.losses)) + self.options.spike:
            return f"step {step}: loss {mean:.3f}, the median of the last {RECENT} being {usual:.3f}"
        return ""

    def _refuse(self, what: str, seen: list[Batch], ways: str) -> None:
        files = {file for batch in seen for unit in set(batch.units) for file in self.corpus.units.named(unit)}
        named = sorted(set().union(*self.ranks.gathered(files)))
        shown = "\n  ".join(named)
        raise TrainingStopped(
            f"{what}. The batch's files:\n  {shown}\nThe same command meets this batch again. To get past it, {ways}."
        )
