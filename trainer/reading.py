"""The section `data` of a recipe: what a step reads. Tokens, unless a name says otherwise."""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated

from msgspec import Meta

from starmill.core.document import CODE
from starmill.core.names import AtLeast0, AtLeast1, Language, Place, Share, ShareBelow1
from starmill.model.config import Length
from starmill.trainer.ramp import Stage, stages

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$", description="a name")]
Factor = Annotated[float, Meta(ge=0, le=100)]  # times per epoch: a percentage would be above 100
Tokens = Annotated[float, Meta(gt=0, le=1e15)]


@dataclass(frozen=True)
class FimRates:
    """Fill in the middle: `rate` of documents, `file_rate` of their files (StarCoder2, section 5.1), `spm_rate` of those as SPM.

    `file_rate` null draws each file on its own at `rate`, as in StarCoder, whose documents were files.

    >>> FimRates(rate=0.9, file_rate=None).spm_rate
    0.5
    """

    rate: Share = 0.5  # share of documents
    file_rate: Share | None = 0.5  # share of those documents' files; null: each file at `rate`
    spm_rate: Share = 0.5  # share of rewritten files with the suffix first


@dataclass(frozen=True)
class Fim(FimRates):
    """FIM by kind of document: the rates here are those of code, `kinds` has those of other kinds.

    A kind without rates is read from left to right, as issues and prose are.

    >>> fim = Fim(rate=0.5, kinds={"notebook": FimRates(rate=0.1)})
    >>> [getattr(fim.of(kind), "rate", None) for kind in ("code", "notebook", "issue")]
    [0.5, 0.1, None]
    """

    kinds: dict[str, FimRates] = field(default_factory=dict)  # rates of other kinds of documents than code

    def __post_init__(self) -> None:
        """Refuse a second set of rates for code."""
        if CODE in self.kinds:
            raise ValueError(
                f"kinds.{CODE}={self.kinds[CODE]}: the rates of {CODE} are rate, file_rate and spm_rate beside `kinds`; set those"
            )

    def of(self, kind: str) -> FimRates | None:
        """Return the rates of documents of a kind; None where FIM leaves them alone."""
        return self if kind == CODE else self.kinds.get(kind)


@dataclass(frozen=True)
class Mixture:
    """How often an epoch has a unit: the factor of the unit's kind, for code times that of its language. 0.4: another 40 % each epoch.

    `caps` limit an epoch's tokens of code in a language, as StarCoder2 capped Java and JSON (paper, section 4).

    >>> Mixture(languages={"Python": 2}, other_languages=0.5, caps={"Java": 1e9}).other_kinds
    1.0
    """

    kinds: dict[str, Factor] = field(default_factory=dict)  # factor of a kind of document
    other_kinds: Factor = 1.0  # factor of a kind that `kinds` does not name
    languages: dict[Language, Factor] = field(default_factory=dict)  # factor of a language of code
    other_languages: Factor = 1.0  # factor of a language that `languages` does not name
    caps: dict[Language, Tokens] = field(default_factory=dict)  # tokens of a language in an epoch, at most


@dataclass(frozen=True)
class Phase:
    """The mixture from a step on; the order of an epoch goes on, and nothing that it had is read again."""

    from_step: AtLeast1  # the first step of the phase
    mixture: Mixture


@dataclass(frozen=True)
class Data:
    """A step takes `batch` windows of sequence_length, shared out over the ranks, `micro_batch` windows at a time on each.

    `ramp` has smaller batches before: `[[1e9, 64], [3e9, 128]]` are steps of 64 windows up to a thousand million tokens, of 128 up to three
    (GPT-3, arXiv 2005.14165, section 2.3), each number rounded up to whole batches.

    >>> Data(sequence_length=4096, batch=512, micro_batch=2).mask_documents
    False
    """

    sequence_length: Length  # tokens of a window
    batch: Length  # windows of a step, over all ranks
    micro_batch: Length  # windows that a rank takes at a time
    unit_tokens: AtLeast1 = 65_536  # repositories are shuffled as runs of whole files of about this size
    mask_documents: bool = False  # StarCoder let attention cross documents
    held_out: ShareBelow1 = 0.02  # share of repositories that are never trained on
    held_out_windows: Length = 64  # windows of the held-out loss, at most
    held_out_infills: AtLeast0 = (
        0  # lines of held-out code to fill in, at most, each held-out loss beside the share that is exactly right
    )
    held_out_sets: dict[Name, Place] = field(
        default_factory=dict
    )  # workspaces of one's own, by name, each with a held-out loss of its own
    prefetch: Annotated[int, Meta(ge=1, le=1000)] = 4  # batches made ahead
    mixture: Mixture = field(default_factory=Mixture)
    fim: Fim = field(default_factory=Fim)
    ramp: tuple[tuple[Tokens, Length], ...] = ()  # [tokens, batch]: windows of a step until so many tokens are read
    phases: tuple[Phase, ...] = ()  # later mixtures

    def __post_init__(self) -> None:
        """Refuse batches of a ramp that do not divide the last one, and numbers that do not rise."""
        for tokens, size in self.ramp:
            if self.batch % size:
                raise ValueError(f"ramp=[{tokens:g}, {size}]: {size} does not divide batch={self.batch}")
        for name, numbers in (
            ("ramp", [tokens for tokens, _ in self.ramp]),
            ("phases.from_step", [1, *(phase.from_step for phase in self.phases)]),
        ):
            if any(later <= earlier for earlier, later in pairwise(numbers)):
                raise ValueError(f"{name}: {', '.join(f'{number:g}' for number in numbers)} must rise")

    def stages(self) -> tuple[Stage, ...]:
        """Return the batches of the run."""
        return stages(self.ramp, self.batch, self.sequence_length)

    def phase(self, step: int) -> int:
        """Return the number of the mixture of a step: 0 for `mixture`, 1 for the first of `phases`."""
        return sum(phase.from_step <= step for phase in self.phases)
