"""`starmill complete`: code from a trained model, left to right or into the middle, on the command line."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from starmill.core.tokenizer import Tokenizer
from starmill.model.generation import generate
from starmill.model.huggingface import load

# Where a document or file ends, a completion does: without <file_sep> a model writes the next file.
STOPS = ("<|endoftext|>", "<file_sep>", "<repo_name>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>")


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
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-file-start", action="store_true", help="do not begin with <file_sep>, as files do in training")
    options = parser.parse_args(argv)
    middle = options.prefix is not None and options.suffix is not None
    given = [n for n in ("prompt", "prompt_file", "prefix", "suffix") if getattr(options, n) is not None]
    if given not in (["prompt"], ["prompt_file"], ["prefix", "suffix"]):
        parser.error("give one of --prompt, --prompt-file, or --prefix and --suffix")
    try:
        if options.prompt_file is not None:
            options.prompt = sys.stdin.read() if options.prompt_file == "-" else Path(options.prompt_file).read_text("utf-8")
        decoder, tokenizer = load(options.model), Tokenizer.load(Path(options.model) / "tokenizer.json")
        if decoder.config.vocab_size < tokenizer.vocab_size:
            raise ValueError(
                f"{options.model}: the model has {decoder.config.vocab_size} ids and tokenizer.json {tokenizer.vocab_size}; "
                "put the tokenizer.json of its training there"
            )
        ids = [] if options.no_file_start else [tokenizer.special("<file_sep>")]
        if middle:
            ids += fill_in_the_middle(tokenizer, options.prefix, options.suffix)
        else:
            ids += tokenizer.encode(options.prompt).tolist()
        stops = [tokenizer.special(t) for t in STOPS]
        settings = (options.max_new_tokens, options.temperature, options.top_p, 0, stops, options.seed)
        (new,) = generate(decoder, [ids], *settings)
        completion = tokenizer.decode(i for i in new if i < tokenizer.vocab_size)  # a padded vocabulary has ids without text
    except (ValueError, KeyError, OSError) as error:
        print(f"starmill: {error}", file=sys.stderr)
        return 1
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
