"""Does the data make better models? One small decoder is trained on what each way makes of one dump, with equal tokens and the same seeds.

    .venv/bin/python benchmarks/ablation.py [--seeds 3] [--json]                 # this table, an hour of one core
    .venv/bin/python benchmarks/ablation.py --smoke --folder /tmp/ablation       # a minute: that it runs
    .venv/bin/python benchmarks/ablation.py --size 1b --device cuda --megabytes 2000 --input /srv/checkouts --folder runs/ablation-1b

Arms: the raw files; our dataset, and ours without dedup, filters, redaction; the chains of datatrove and data-prep-kit, in environments of
their own. One tokenizer for all; held-out code that no training text resembles (ablation_dump.py). Asked of each model: held-out bits per
byte by language, lines filled in, training text and planted secrets reproduced. Differences from `ours` are paired by seed. What is done is
kept in --folder, and not done again. The dump lies in memory. The trainings are those of `starmill train`.
"""

import argparse
import json
import math
import os
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import ablation_arms as arms
import ablation_dump as dumps
import ablation_scores as scoring
import corpus
import report
import tools

from starmill.cli.__main__ import main as command
from starmill.core.tokenizer import Tokenizer, train

PASSAGES = 100  # of a kind that a model is asked to go on from
OFTEN = 8  # copies of a file whose passages count as copied
REFERENCE = "ours"
TITLES = ("held-out bits per byte", "share", "bits per character")
HELD_OUT = 30_000  # bytes of a language


@dataclass(frozen=True)
class Size:
    """A model: the recipe of `starmill train`, what is set in it, windows of a step, and what it is trained on by default."""

    recipe: str
    sets: tuple[str, ...]
    sequence: int  # tokens of a window
    batch: int  # windows of a step
    vocabulary: int
    tokens: int
    megabytes: float


def _small(layers: int, width: int, lr: float, tokens: int, megabytes: float) -> Size:
    shape = {"layers": layers, "hidden_size": width, "heads": width // 64, "kv_heads": 1, "mlp_size": 4 * width}
    shape |= {"max_positions": 256, "sliding_window": "null"}
    sets = (
        *(f"model.{name}={value}" for name, value in shape.items()),
        f"optimizer.lr={lr}",
        f"optimizer.muon={{lr: {5 * lr}}}",
        "threads=1",
    )
    return Size("tiny", sets, 256, 4, 4096, tokens, megabytes)


SIZES = {  # by parameters
    "2m": _small(4, 192, 4e-3, 400_000, 2.7),
    "10m": _small(5, 384, 3e-3, 1_000_000, 6.7),
    "1b": Size("starcoderbase-1b", (), 8192, 128, 49_152, 400_000_000, 2000),
}


def main() -> None:
    """Train and ask what is not done yet, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="2m", help="of the model, by its parameters (default: 2m)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--seeds", type=int, default=3, choices=range(1, 11), metavar="1..10", help="trainings of each arm")
    parser.add_argument(
        "--arms", nargs="+", choices=arms.ARMS, default=list(arms.ARMS), metavar="ARM", help=f"of {', '.join(arms.ARMS)}"
    )
    parser.add_argument("--tokens", type=int, help="of each training (default: the size's)")
    parser.add_argument("--megabytes", type=float, help="of the dump (default: the size's)")
    parser.add_argument(
        "--input",
        nargs="+",
        default=[],
        metavar="DIR",
        help="where the dump's files are from (default: this machine's libraries)",
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/ablation"), help="where dump, datasets and scores are kept")
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/starmill-bench").expanduser(), help="where peers are installed"
    )
    parser.add_argument("--done", action="store_true", help="show what is done already, and train nothing")
    parser.add_argument("--smoke", action="store_true", help="a fifth of a megabyte, two steps, one seed, without peers")
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")
    report.add_write(parser)
    options = parser.parse_args()
    size = SIZES[options.size]
    if options.smoke:
        options.seeds, options.arms = 1, [arm for arm in options.arms if arm not in ("datatrove", "data-prep-kit")]
    options.tokens = options.tokens or (2 * size.sequence * size.batch if options.smoke else size.tokens)
    options.megabytes = options.megabytes or (0.2 if options.smoke else size.megabytes)
    with redirect_stdout(sys.stderr):  # the commands' own lines
        found = ablate(options, size)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        report.tell("ablation", lines(found), options.write)


def ablate(options: argparse.Namespace, size: Size) -> dict[str, Any]:
    """Do what is not done yet, all arms of a seed before the next seed; return the settings, and each arm's texts and scores by seed."""
    folder = options.folder
    settings = {"size": options.size, "tokens": options.tokens, "megabytes": options.megabytes, "input": options.input}
    dump = dump_of(folder, settings, size)
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    often = [tokenizer.encode(file.text) for file in dump.clean if file.copies >= OFTEN]
    copied = scoring.spans(often, PASSAGES, 0, "copied")
    found: dict[str, Any] = {arm: {"texts": None, "scores": {}} for arm in options.arms}
    for seed in range(options.seeds):
        for arm, kept in found.items():
            try:
                texts = arms.texts(arm, folder, options.cache)
            except tools.Failed as error:
                kept["not_run"] = str(error)
                continue
            kept["texts"] = kept["texts"] or arms.told(texts, [one.secret for one in dump.secrets])
            place = folder / "scores" / f"{arm}-{seed}.json"
            if not place.exists() and options.done:
                continue
            if not place.exists():
                drawn = arms.drawn(texts, seed, options.tokens, tokenizer.encode)
                model = trained(folder / "trainings" / f"{arm}-{seed}", drawn, tokenizer, options, size, seed)
                own = scoring.spans([ids for _, ids in drawn], PASSAGES, seed, "own")
                asked = {"of its texts": own, f"of files with {OFTEN} copies or more": copied}
                said = scoring.scores(model, options.device, folder / "likely", folder / "holes", asked, dump.secrets)
                read = sum(len(ids) for _, ids in drawn)
                said["epochs"] = options.tokens / read
                place.parent.mkdir(exist_ok=True)
                place.write_text(json.dumps(said, indent=1))
            kept["scores"][seed] = json.loads(place.read_text())
    held = {language: len(texts) for language, texts in dump.held_out.items()}
    return {"settings": settings | {"seeds": options.seeds, "held_out_files": held}, "arms": found}


def dump_of(folder: Path, settings: Mapping[str, Any], size: Size) -> dumps.Dump:
    """Return the dump, made once; ends the program where the folder is that of other settings."""
    kept = folder / "dump.json"
    if kept.exists():
        found = json.loads(kept.read_text())
        if found["settings"] != settings:
            sys.exit(f"--folder {folder}: made with {found['settings']}, not {settings}; give another folder, or those options")
        files, clean = ([dumps.File(**row) for row in found[name]] for name in ("files", "clean"))
        return dumps.Dump(files, clean, [dumps.Secret(**row) for row in found["secrets"]], found["held_out"])
    trees = [corpus.Root(Path(name).name, 1, (name,)) for name in settings["input"]] or corpus.roots()
    dump = dumps.make(trees, int(settings["megabytes"] * 1e6), HELD_OUT, 0)
    dumps.write(dump, folder)
    # Of the files without copies and secrets: the tokenizer is to know none of them by heart.
    (folder / "tokenizer.json").write_bytes(train([file.text for file in dump.clean], size.vocabulary))
    kept.write_text(json.dumps({"settings": settings, **asdict(dump)}))
    return dump


def trained(
    place: Path, drawn: Sequence[tuple[str, Any]], tokenizer: Tokenizer, options: argparse.Namespace, size: Size, seed: int
) -> Path:
    """Train on these files, or go on; return the folder of the model. Raises RuntimeError where `starmill train` fails."""
    workspace = Path(f"{place}-shards")
    if not workspace.exists():
        arms.shards(drawn, tokenizer, workspace)
    steps = max(2, options.tokens // (size.sequence * size.batch))
    values = {
        "steps": steps, "checkpoint_every": steps, "log_every": max(1, steps // 4), "keep_checkpoints": 1, "seed": seed,
        "optimizer.warmup_steps": steps // 10, "device": options.device,
        "data.sequence_length": size.sequence, "data.batch": size.batch, "data.micro_batch": min(size.batch, 4),
        "data.held_out": 0.0, "data.fim.file_rate": "null", "data.fim.rate": 0.5, "evaluate_every": 0,
    }  # fmt: skip
    sets = [word for one in (*size.sets, *(f"{name}={value}" for name, value in values.items())) for word in ("--set", one)]
    if command(["train", size.recipe, "--workspace", str(workspace), "--output", str(place), *sets]):
        raise RuntimeError(f"{place}: `starmill train` failed")
    return place / "model"


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield the tables and what is significant."""
    settings, ran = found["settings"], {arm: kept for arm, kept in found["arms"].items() if kept["scores"]}
    yield f"## {date.today()}, model of {settings['size']}, {settings['seeds']} seeds, {report.processor()}, {os.cpu_count()} cores"
    yield ""
    held = ", ".join(f"{language} {files}" for language, files in settings["held_out_files"].items())
    yield f"{settings['tokens']:,} tokens a training, dump of {settings['megabytes']:g} MB; held-out files: {held}."
    yield ""
    yield "| arm | files | MB | near-duplicates of an earlier file | planted secrets left | epochs | seeds |"
    yield "|---|---|---|---|---|---|---|"
    for arm, kept in found["arms"].items():
        if why := kept.get("not_run"):
            yield f"| {arm} | NOT RUN: {why} | | | | | |"
            continue
        t, own = kept["texts"], kept["scores"].values()
        epochs = f"{statistics.fmean(one['epochs'] for one in own):.1f}" if own else "not trained yet"
        yield (
            f"| {arm} | {t['files']:,} | {t['megabytes']:.2f} | {t['near_duplicates']:,} | {t['secrets']} | {epochs} | {len(own)} |"
        )
    metrics = [name for name in next(iter(next(iter(ran.values()))["scores"].values())) if name != "epochs"] if ran else []
    for title in TITLES:
        names = [name for name in metrics if _title(name) == title]
        shown = ["all" if name == "bits" else name.removeprefix("bits, ").removeprefix("bits of ") for name in names]
        yield from ("", f"| {title} | {' | '.join(shown)} |", "|---" * (len(names) + 1) + "|")
        for arm, kept in ran.items():
            yield f"| {arm} | {' | '.join(_mean([*kept['scores'].values()], name) for name in names)} |"
        if REFERENCE in ran:
            yield from ("", f"| {title}, less that of `{REFERENCE}` | {' | '.join(shown)} |", "|---" * (len(names) + 1) + "|")
            for arm, kept in ran.items():
                if arm != REFERENCE:
                    yield f"| {arm} | {' | '.join(_less(kept, ran[REFERENCE], name) for name in names)} |"
    yield ""
    yield "Differences are means over seeds with their 95 % intervals (Student's t, paired by seed); bold: the interval leaves 0 out."


def _title(name: str) -> str:
    """Return the table that a score is in."""
    held, share, secrets = TITLES
    return secrets if name.startswith("bits of ") else held if name.startswith("bits") else share


def _mean(scores: Sequence[Mapping[str, float]], name: str) -> str:
    mean = statistics.fmean(one[name] for one in scores)
    return f"{mean:.3f}" if name.startswith("bits") else f"{mean:.1%}"


def _less(kept: Mapping[str, Any], reference: Mapping[str, Any], name: str) -> str:
    one, other = kept["scores"], reference["scores"]
    if not (both := [seed for seed in one if seed in other]):
        return ""
    found = scoring.difference(*([of[seed][name] for seed in both] for of in (one, other)))
    mean, half = (f"{value:.3f}" if name.startswith("bits") else f"{value:.1%}" for value in found)
    text = f"{'+' * (found.mean >= 0)}{mean}" + f" ± {half}" * (found.half < math.inf)
    return f"**{text}**" if found.significant else text


if __name__ == "__main__":
    main()
