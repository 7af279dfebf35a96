"""Code from a trained model, text in and text out: left to right or into the middle; `starmill complete` on the command line."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from starmill.core.tokenizer import Tokenizer
from starmill.model.blocks import block_end, without_blank_end
from starmill.model.decoder import Decoder
from starmill.model.exchange.huggingface import load
from starmill.model.generation import generate

# Where a document or file ends, a completion does: without <file_sep> a model writes the next file. StarCoder has <filename> and
# <reponame> instead, SantaCoder neither.
STOPS = (
    "<|endoftext|>",
    "<file_sep>",
    "<repo_name>",
    "<fim_prefix>",
    "<fim_middle>",
    "<fim_suffix>",
    "<fim_pad>",
    "<filename>",
    "<reponame>",
)


def complete(
    decoder: Decoder,
    tokenizer: Tokenizer,
    prompts: Sequence[str | tuple[str, str]],
    max_new_tokens: int = 64,
    temperature: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    stops: Sequence[str] = (),
    seed: int = 0,
    file_start: bool = True,
    stop_at_block: bool = False,
) -> list[str]:
    """Return what follows each prompt, or stands between its (prefix, suffix), up to the first of `stops` and the end of the file.

    `stop_at_block` also ends it with the block that it is in, such as the body of a function (model/blocks.py).
    `file_start` begins a prompt with <file_sep>, as files of StarCoder2 do in training. Raises ValueError as `generate` does, for an
    empty stop string, and for a tokenizer that the model has too few ids for.
    """
    if decoder.config.vocab_size < tokenizer.vocab_size:
        raise ValueError(
            f"the model has {decoder.config.vocab_size} ids and tokenizer.json {tokenizer.vocab_size}; "
            "put the tokenizer.json of its training there"
        )
    if not all(stops):
        raise ValueError("a stop string is empty; leave it out")
    special = {token: tokenizer.special(token) for token in STOPS if tokenizer.has(token)}
    start = [special["<file_sep>"]] if file_start and "<file_sep>" in special else []
    ids = [start + (tokenizer.encode(p).tolist() if isinstance(p, str) else fill_in_the_middle(tokenizer, *p)) for p in prompts]
    ends = [stop.encode() for stop in stops]
    longest = max(map(len, ends), default=0)

    def written(new: Sequence[int]) -> bytes:
        return tokenizer.decode_bytes(i for i in new if i < tokenizer.vocab_size)  # a padded vocabulary has ids without text

    above = [prompt if isinstance(prompt, str) else prompt[0] for prompt in prompts]

    def text_of(new: Sequence[int]) -> str:
        return written(new).decode("utf-8", "replace")

    def stopped(row: int, new: list[int]) -> bool:
        tail = written(new[-longest:])  # a token is at least a byte
        if any(end in tail for end in ends):
            return True
        # A line that a block ends with counts once it is whole.
        return stop_at_block and b"\n" in written(new[-1:]) and block_end(above[row], text_of(new)) is not None

    stop_ids = list(special.values())
    made = generate(
        decoder,
        ids,
        max_new_tokens,
        temperature,
        top_p,
        top_k,
        stop_ids,
        seed,
        stopped=stopped if ends or stop_at_block else None,
    )
    texts = [text_of(new) for new in made]
    cuts = [min((at for end in stops if (at := text.find(end)) >= 0), default=len(text)) for text in texts]
    texts = [text[:cut] for text, cut in zip(texts, cuts, strict=True)]
    return [
        text[: block_end(head, text, finished=True)] if stop_at_block else text for head, text in zip(above, texts, strict=True)
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Complete one prompt and print it with its completion; return the exit status."""
    parser = argparse.ArgumentParser(prog="starmill complete", description=__doc__)
    parser.add_argument("model", help="folder with config.json, model.safetensors and tokenizer.json")
    parser.add_argument("--prompt", help="text to continue")
    parser.add_argument("--prompt-file", help="file with the text to continue; - is standard input")
    parser.add_argument("--prefix", help="text before the hole (with --suffix)")
    parser.add_argument("--suffix", help="text after the hole (with --prefix)")
    parser.add_argument("--max-new-tokens", type=int, default=64)
    parser.add_argument("--temperature", type=float, default=0.0, help="0: the likeliest token each time")
    parser.add_argument("--top-p", type=float, default=1.0)
    parser.add_argument("--top-k", type=int, default=0, help="0: all tokens")
    parser.add_argument("--stop", action="append", default=[], help="text to end before; may be given several times")
    parser.add_argument("--stop-at-block", action="store_true", help="end with the function or block that is being written")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dtype", choices=("stored", "float32", "bfloat16"), default="stored", help="of the weights in memory")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--no-file-start", action="store_true", help="do not begin with <file_sep>, as files do in training")
    options = parser.parse_args(argv)
    middle = options.prefix is not None and options.suffix is not None
    given = [n for n in ("prompt", "prompt_file", "prefix", "suffix") if getattr(options, n) is not None]
    if given not in (["prompt"], ["prompt_file"], ["prefix", "suffix"]):
        parser.error("give one of --prompt, --prompt-file, or --prefix and --suffix")
    try:
        if options.prompt_file is not None:
            options.prompt = sys.stdin.read() if options.prompt_file == "-" else Path(options.prompt_file).read_text("utf-8")
        dtype = None if options.dtype == "stored" else getattr(torch, options.dtype)
        decoder = load(options.model, dtype, options.device)
        tokenizer = Tokenizer.load(Path(options.model) / "tokenizer.json", any_family=True)
        prompt = (options.prefix, options.suffix) if middle else options.prompt
        settings = (options.max_new_tokens, options.temperature, options.top_p, options.top_k, options.stop, options.seed)
        try:
            more = {"file_start": not options.no_file_start, "stop_at_block": options.stop_at_block}
            (completion,) = complete(decoder, tokenizer, [prompt], *settings, **more)
        except ValueError as error:
            raise ValueError(f"{options.model}: {error}") from None
    except (ValueError, KeyError, OSError, RuntimeError) as error:
        print(f"starmill: {error}", file=sys.stderr)
        return 1
    completion = without_blank_end(completion)
    before, after = (options.prefix, options.suffix) if middle else (options.prompt, "")
    if sys.stdout.isatty():
        print(f"{before}\033[1m{completion}\033[0m{after}")
    else:
        print(f"{before}{completion}{after}")
    return 0


def fill_in_the_middle(tokenizer: Tokenizer, prefix: str, suffix: str) -> list[int]:
    """Return the PSM prompt: sentinels by id, the texts as plain text."""
    pieces = (("<fim_prefix>", prefix), ("<fim_suffix>", suffix), ("<fim_middle>", ""))
    return [i for sentinel, text in pieces for i in (tokenizer.special(sentinel), *tokenizer.encode(text).tolist())]


if __name__ == "__main__":
    sys.exit(main())
