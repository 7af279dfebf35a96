"""What a run reads: the workspace's tokenizer and shards, opened once on every rank."""

from dataclasses import dataclass, replace

from starmill.core.dataset import Workspace
from starmill.core.shards import open_shards
from starmill.core.tokenizer import Tokenizer
from starmill.model.config import ModelConfig
from starmill.trainer.config import TrainRecipe
from starmill.trainer.data import Corpus
from starmill.trainer.units import read_units, split


@dataclass(frozen=True)
class Inputs:
    """The tokenizer, training and held-out corpus, the model's shape, and the digest of the data."""

    tokenizer: Tokenizer
    train: Corpus
    held_out: Corpus
    config: ModelConfig
    digest: str


def open_inputs(options: TrainRecipe) -> Inputs:
    """Open the workspace. Raises ShardError, FileNotFoundError or ValueError, naming what is missing."""
    workspace = Workspace(options.workspace)
    shards = open_shards(options.workspace)
    tokenizer = Tokenizer.load(workspace.path("tokenizer/tokenizer.json"))
    manifest = workspace.manifest("tokenize")
    assert manifest is not None  # open_shards read it
    train, held = split(read_units(shards, options.data.unit_tokens), options.data.held_out, options.seed)
    # Held-out files are read from left to right, so that the language of each token is known.
    plain = replace(options.data, fim=replace(options.data.fim, rate=0.0))
    trained, kept = (Corpus(units, tokenizer, data, options.seed) for units, data in ((train, options.data), (held, plain)))
    return Inputs(tokenizer, trained, kept, options.model.config(tokenizer.vocab_size), manifest.digest)
