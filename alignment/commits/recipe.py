"""The shape of a recipe of instructions from commits; the values are in recipes/align/commitpackft.yaml."""

from dataclasses import dataclass
from typing import Annotated, Literal

from msgspec import Meta

from starmill.core.names import AtLeast0, AtLeast1, Language, Place, Seed, Share


@dataclass(frozen=True)
class Rules:
    """Which commits become instructions: CommitPackFT's filters (OctoPack, arXiv 2308.07124, its appendix on CommitPackFT)."""

    min_tokens: AtLeast0 = 50  # of the text before and the one after, together
    max_tokens: AtLeast1 = 768
    min_chars: AtLeast0 = 11  # of a message
    max_chars: AtLeast1 = 999
    min_words: AtLeast0 = 5  # of a message
    max_words: AtLeast1 = 999
    capitalized: bool = True  # a message begins with a capital letter
    added: bool = False  # whether commits that add a file stay: nothing is before (CommitPackFT has them)
    version_rate: Share = 0.0  # share that is kept of messages that set a version, as "Bump to 1.2" (CommitPackFT: 0.1)
    verbs: Place | None = None  # file of the words that a message may begin with, one a line; null: alignment/data/verbs.txt
    languages: tuple[Language, ...] = ()  # of the changed files; empty: all

    def __post_init__(self) -> None:
        """Refuse ranges with nothing in them."""
        for what in ("tokens", "chars", "words"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low > high:
                raise ValueError(f"min_{what}={low}, max_{what}={high}: nothing is between; give a lower and a higher one")


@dataclass(frozen=True)
class CommitsRecipe:
    """Instructions from commits of one file: the message and the text before are the instruction, the text after is the response.

    A recipe with the key `commits` is of this form. No model is asked.
    """

    workspace: Place  # folder of all that is made
    commits: Place  # workspace with a finished dataset of commits (`starmill run commits`)
    code: Place | None = (
        None  # workspace with a dataset of their repositories' files, whose licences hold: commits without go; null: none
    )
    response: Literal["text", "diff"] = "text"  # what is learned: the text after, or the difference in unified form
    rules: Rules = Rules()
    tokenizer: Place | None = None  # tokenizer.json that counts tokens; null: three bytes are one
    near: Annotated[float, Meta(gt=0, le=1)] | None = (
        0.7  # Jaccard similarity from which two pairs are near duplicates; null: none is
    )
    benchmarks: tuple[Place, ...] = ()  # whose texts no pair may hold: paths, URLs or shipped names
    seed: Seed = 3407  # of all that is drawn
