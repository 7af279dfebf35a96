"""The shape of a recipe of alignment; the values are in recipes/align/*.yaml."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from msgspec import Meta

from starmill.alignment.commits.recipe import CommitsRecipe
from starmill.alignment.languages import LANGUAGES, PYTHON
from starmill.core import recipe
from starmill.core.names import AtLeast1, Bytes, Language, Name, Place, Positive, Seed, Share, Words, did_you_mean

Temperature = Annotated[float, Meta(ge=0, le=100)]
Shots = Annotated[int, Meta(ge=0, le=64)]
Price = Annotated[float, Meta(ge=0, le=1e6)]


@dataclass(frozen=True)
class Asked:
    """How the model is asked in one stage."""

    shots: Shots  # examples in a prompt, drawn anew for each
    temperature: Temperature = 0.7  # 0: the likeliest token each time
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0  # sample from the likeliest tokens that make this probability
    max_new_tokens: AtLeast1 = 1536  # an answer that is cut there is dropped


@dataclass(frozen=True)
class Respond(Asked):
    """How the model is asked for responses."""

    samples: Annotated[int, Meta(ge=1, le=1000)] = 10  # responses to each instruction


@dataclass(frozen=True)
class Verify:
    """How responses' own tests are run."""

    cpu_seconds: Annotated[float, Meta(gt=0, le=3600)] = 10.0  # of the processor; the clock has ten times as many
    memory_bytes: Bytes = 1 << 30  # of address space beyond what the interpreter has, of Python
    runs: Annotated[int, Meta(ge=1, le=10)] = 2  # all of which must pass, so that a flaky test does not
    libraries: tuple[Name, ...] = ()  # modules beside Python's standard library that responses may import


@dataclass(frozen=True)
class Select:
    """What is kept of the responses that passed, and how it is trimmed (StarCoder2-Instruct's sanitizing)."""

    near: Annotated[float, Meta(gt=0, le=1)] | None = (
        0.7  # Jaccard similarity from which two pairs are near duplicates; null: none is
    )
    same_names: bool = True  # drop a response whose functions are called as those of one before
    keep_explanation: Share = 0.5  # how often the section [Explanation] stays
    keep_reasoning: Share = 0.5  # how often the section [Reasoning] stays
    add_assertions: Share = 0.5  # how often one to five assertions go behind the instruction
    comments: bool = False  # whether comments stay in the code


@dataclass(frozen=True)
class Budget:
    """Where the asking stops, of all that was ever asked in the workspace; a run with a larger budget goes on there."""

    requests: AtLeast1 | None = None  # that were answered
    tokens: Annotated[int, Meta(ge=1, le=10**15)] | None = None  # of prompts and answers
    money: Positive | None = None  # by `prices`


@dataclass(frozen=True)
class Prices:
    """What a million tokens cost, in any currency, and how many the model writes; both for the estimate."""

    prompt: Price = 0.0  # a million tokens of prompts
    answer: Price = 0.0  # a million tokens of answers
    tokens_per_second: Positive | None = None  # written by the machine or server, all requests together


@dataclass(frozen=True)
class AlignRecipe:
    """Instructions and responses by a model, for that model: seeds -> concepts -> instruction -> responses -> verified -> selected.

    The model is a folder, or with `endpoint` a name that an OpenAI-compatible server knows.
    """

    workspace: Place  # folder of all that is made
    seeds: Place  # folder of seeds: .jsonl, as `starmill seeds` writes them
    model: Words  # folder of a model, or with `endpoint` its name there
    concepts: Asked  # snippet -> concepts
    instruct: Asked  # concepts -> instruction
    respond: Respond  # instruction -> responses
    languages: tuple[Language, ...] = (PYTHON,)  # of seeds, instructions and responses; seeds of others are dropped
    judge: Asked | None = None  # the model says first which seeds do: yes or no, and a tie is no; null: all do
    verify: Verify = Verify()
    select: Select = Select()
    endpoint: Place | None = None  # URL such as http://127.0.0.1:8000/v1; null: `model` is a folder
    chat: bool = False  # with `endpoint`: prompts are sent as messages
    at_once: Annotated[int, Meta(ge=1, le=4096)] = 8  # requests under way, or rows that a folder's model writes at once
    per_minute: AtLeast1 | None = (
        None  # requests that are sent in a minute, at most, one after another; null: as many as at_once allows
    )
    dtype: Literal["stored", "float32", "bfloat16"] = "stored"  # of a folder's weights in memory
    benchmarks: tuple[Place, ...] = ()  # whose texts no pair may hold: paths, URLs or shipped names
    prompts: Place | None = None  # folder with templates and examples of your own (docs/alignment.md); null: those that ship
    budget: Budget = field(default_factory=Budget)
    prices: Prices = field(default_factory=Prices)
    seed: Seed = 3407  # of all that is drawn

    def __post_init__(self) -> None:
        """Refuse what does not fit each other."""
        for name in self.languages:
            if name not in LANGUAGES:
                raise ValueError(
                    f"languages: {name}: unknown{did_you_mean(name, LANGUAGES)}; give some of {', '.join(LANGUAGES)}"
                )
        if not self.languages or len({*self.languages}) < len(self.languages):
            raise ValueError(
                f"languages={list(self.languages)}: none, or one of them twice; give some of {', '.join(LANGUAGES)}"
            )
        if self.chat and self.endpoint is None:
            raise ValueError("chat=True: a folder's model is asked for completions; give endpoint, or leave it out")
        if self.budget.money and not (self.prices.prompt or self.prices.answer):
            raise ValueError(f"budget.money={self.budget.money}: nothing has a price; give prices.prompt and prices.answer")


def load(path: str, overrides: list[str], workspace: str | None = None) -> AlignRecipe | CommitsRecipe:
    """Read a recipe; `overrides` are the command's --set, `workspace` replaces the recipe's. Raises RecipeError."""
    values = recipe.override(recipe.read(path), overrides) | ({"workspace": workspace} if workspace else {})
    if "commits" in values:
        return recipe.build(CommitsRecipe, values, where=path)
    return recipe.build(AlignRecipe, values, where=path)
