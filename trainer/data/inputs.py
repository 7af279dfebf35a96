"""Inputs of a run: the workspace's tokenizer and shards, opened once on every rank; shards of a bucket are fetched when needed."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from starmill.core import conversations
from starmill.core.dataset import Workspace
from starmill.core.errors import InputError, UsageError
from starmill.core.files import read_small
from starmill.core.names import did_you_mean
from starmill.core.shards import open_shards
from starmill.core.tokenizer import Tokenizer, huggingface_files
from starmill.model.config import ModelConfig
from starmill.model.encoder.tokens import files_of
from starmill.model.template import MAX_BYTES, of_folder
from starmill.trainer.config import Fim, TrainRecipe
from starmill.trainer.data.corpus import Corpus, Position
from starmill.trainer.data.units import Units, read_units, split
from starmill.trainer.sft import examples
from starmill.trainer.sft.corpus import Conversations
from starmill.trainer.sft.options import Dpo, Sft

TOKENIZER, MADE = "tokenizer/tokenizer.json", "tokenizer/manifest.json"


@dataclass(frozen=True)
class Inputs:
    """The tokenizer, training and held-out corpus, the model's shape, and the digest of the data."""

    tokenizer: Tokenizer
    train: Corpus | Conversations
    held_out: Corpus | Conversations
    config: ModelConfig
    digest: str
    files: dict[str, bytes] | None = None  # of the tokenizer, beside the model; None: made of the shards' tokenizer
    told: tuple[str, ...] = ()  # for people, of what was left out
    sets: dict[str, Corpus | Conversations] = field(default_factory=dict)  # data.held_out_sets

    def beside(self) -> dict[str, bytes]:
        """Return the files that stand beside the weights: tokenizer and its configuration."""
        return self.files or files_of(self.config, self.tokenizer.data)

    def fetch_ahead(self, positions: Sequence[Position], tokens: int, rank: int, ranks: int, threads: int = 4) -> None:
        """Fetch the shards of a bucket in the background, in the order in which this rank will read `tokens` of each lane.

        Ranks of a node skip a shard that another rank is fetching. An error ends the thread: reading the shard raises it again.
        """
        shards = self.train.units.shards
        if all(shard.is_here for shard in shards):
            return
        order, turn = self.train.shards_ahead(positions, tokens, rank, ranks), threading.Lock()

        def fetch() -> None:
            while True:
                with turn:
                    number = next(order, None)
                if number is None:
                    return
                try:
                    shards[number].fetch(wait=False)
                except (OSError, ValueError):
                    return

        for _ in range(threads):
            threading.Thread(target=fetch, daemon=True).start()


def look(options: TrainRecipe) -> None:
    """Raise InputError or OSError for a workspace without shards; nothing else is read."""
    workspace = Workspace(options.workspace)
    workspace.probe(write=False)
    if tuned := options.sft or options.dpo:
        conversations.files(workspace, tuned.folder)
        return
    if not workspace.exists("shards/manifest.json"):
        raise InputError(f"{options.workspace}: no shards/manifest.json; run `starmill run` first, or give --workspace")


def open_inputs(options: TrainRecipe) -> Inputs:
    """Open the workspace. Raises ShardError, CacheError, OSError or ValueError, naming what is missing."""
    workspace = Workspace(options.workspace)
    workspace.probe(write=False)
    if tuned := options.sft or options.dpo:
        return _open_conversations(options, tuned, workspace)
    shards = open_shards(options.workspace, options.cache)
    place = workspace.path(TOKENIZER)
    tokenizer = Tokenizer.load(place if workspace.is_local else workspace.read(TOKENIZER), where=place)
    _compare(tokenizer, workspace)
    manifest = workspace.manifest("shards")
    assert manifest is not None  # open_shards read it
    units = read_units(shards, options.data.unit_tokens)
    _refuse_misspelled(options, units)
    train, held = split(units, options.data.held_out, options.seed)
    # Held-out files are read from left to right, so that the language of each token is known.
    plain, own = replace(options.data, fim=Fim(rate=0.0), phases=(), ramp=()), options.data.held_out_sets
    trained, kept = (Corpus(units, tokenizer, data, options.seed) for units, data in ((train, options.data), (held, plain)))
    sets: dict[str, Corpus | Conversations] = {
        name: Corpus(_units(name, url, options, tokenizer), tokenizer, plain, options.seed) for name, url in own.items()
    }
    return Inputs(tokenizer, trained, kept, options.model.config(tokenizer.vocab_size), manifest.digest, sets=sets)


def _units(name: str, url: str, options: TrainRecipe, tokenizer: Tokenizer) -> Units:
    """Return the units of a set of the user's own. Raises InputError where another tokenizer made its shards."""
    shards, workspace = open_shards(url, options.cache), Workspace(url)
    made = Tokenizer.load(workspace.path(TOKENIZER) if workspace.is_local else workspace.read(TOKENIZER), where=url)
    if made.sha256 != tokenizer.sha256:
        raise InputError(
            f"data.held_out_sets.{name}: {url} has another tokenizer than {options.workspace}; mill it with that one (tokenizer.path)"
        )
    return read_units(shards, options.data.unit_tokens)


def _open_conversations(options: TrainRecipe, tuned: Sft | Dpo, workspace: Workspace) -> Inputs:
    folder = Path(options.weights or "")
    tokenizer = Tokenizer.load(folder / "tokenizer.json", any_family=True)
    template = of_folder(folder, tuned.template)
    if template is None:
        section = "sft" if isinstance(tuned, Sft) else "dpo"
        raise InputError(f"{folder}: no chat_template.jinja, nor one in tokenizer_config.json; set {section}.template")
    in_pairs, packing = isinstance(tuned, Dpo), isinstance(tuned, Sft) and tuned.packing
    found = examples.read(workspace, tuned.folder, tokenizer, template, options.data.sequence_length, in_pairs)
    train, held = (
        Conversations(part, tokenizer, options.data, options.seed, packing, in_pairs)
        for part in examples.split(found.examples, options.data.held_out, options.seed, in_pairs)
    )
    config = options.model.config(tokenizer.vocab_size)
    files = huggingface_files(tokenizer.data, config.max_positions)
    kept = [place for name in ("tokenizer_config.json", "special_tokens_map.json") if (place := folder / name).is_file()]
    if kept:  # of a model with other ends of text
        files = {"tokenizer.json": tokenizer.data, **{place.name: read_small(place, MAX_BYTES) for place in kept}}
    files["chat_template.jinja"] = template.text.encode()
    sets: dict[str, Corpus | Conversations] = {}
    for name, url in options.data.held_out_sets.items():
        own = examples.read(Workspace(url), tuned.folder, tokenizer, template, options.data.sequence_length)
        sets[name] = Conversations(own.examples, tokenizer, options.data, options.seed, packing)
    return Inputs(tokenizer, train, held, config, found.digest, files, tuple(found.lines()), sets)


def _refuse_misspelled(options: TrainRecipe, units: Units) -> None:
    """Raise UsageError for a kind or language that no shard has and that is nearly the name of one; `starmill plan` lists the others."""
    data = options.data
    named: list[tuple[str, str, Iterable[str]]] = [("fim.kinds", "kind", data.fim.kinds)]
    for key, mixture in (("mixture", data.mixture), *((f"phases[{i}].mixture", p.mixture) for i, p in enumerate(data.phases))):
        named += [
            (f"{key}.kinds", "kind", mixture.kinds),
            (f"{key}.languages", "language", mixture.languages),
            (f"{key}.caps", "language", mixture.caps),
        ]
    for key, column, names in named:
        there = units.sizes(column)
        for name in sorted(set(names) - there.keys()):
            if near := did_you_mean(name, there, 0.8):
                raise UsageError(f"data.{key}.{name}: no such {column} in these shards{near}")


def _compare(tokenizer: Tokenizer, workspace: Workspace) -> None:
    """Raise InputError for a tokenizer that is not the one that the workspace's stages made."""
    try:
        made = msgspec.json.decode(workspace.read(MADE), type=dict[str, Any]).get("sha256")
    except (FileNotFoundError, ValueError, msgspec.MsgspecError):  # its digest is then not known
        return
    if made not in (None, tokenizer.sha256):
        raise InputError(
            f"{workspace.path(TOKENIZER)}: its sha256 is not that of {MADE}: it is damaged, or was changed; "
            "`starmill tokenize` makes it again"
        )
