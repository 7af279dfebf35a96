"""Names, user names and passwords: precision, recall and F1 of a tagger trained here and of patterns, on formats it was not trained on.

    .venv/bin/python benchmarks/starpii.py [--count 16000] [--set steps=4000] [--model DIR --held-out FILE] [--write]

Plants personal data (`starmill plant`) into files of this machine's packages, a fifth of them kept for measuring with the formats and
values of the other split; trains recipes/encoders/starpii-tiny.yaml and counts the CPU seconds of that; then measures it and the
patterns on the same texts: BigCode's way, a find is right if it overlaps a true span of its type by more than 0.8 of both. `--model`
and `--held-out` measure what was trained and planted before. The patterns are those of peers/people_by.py, and this project's detectors.
"""

import argparse
import datetime
import json
import platform
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import report
from peers import people_by

from starmill.core import seeds
from starmill.model.encoder.spans import Found
from starmill.model.encoder.tagger import Tagger
from starmill.trainer.encoders import examples, plant, recipe, scores, train
from starmill.trainer.encoders.examples import Example
from starmill.trainer.encoders.scores import Score
from starmill.transforms.clean.redact import addresses, emails, keys, users

KINDS = ("NAME", "USERNAME", "PASSWORD", "EMAIL", "IP_ADDRESS", "KEY")
CODE = frozenset(".py .pyi .js .ts .h .c .cpp .css .yaml .sh".split())
SHARE_OF_FILES, MOST_FILE = 0.12, 200_000  # of the packages, and bytes of a file
TEXTS = 1500  # to measure by
# StarCoder, table of section 4 (test set of the annotated data): F1 in per cent. Another set: no row of ours is to be compared with it.
PUBLISHED = {
    "StarCoder: patterns": {"EMAIL": 81.8, "IP_ADDRESS": 71.7, "KEY": 5.3},
    "StarCoder: StarPII on annotations": {
        "NAME": 89.19, "USERNAME": 59.39, "PASSWORD": 73.39, "EMAIL": 96.01, "IP_ADDRESS": 91.61, "KEY": 56.66,
    },
    "StarCoder: StarPII, and pseudo-labels": {
        "NAME": 91.59, "USERNAME": 61.49, "PASSWORD": 81.57, "EMAIL": 98.15, "IP_ADDRESS": 91.94, "KEY": 70.41,
    },
}  # fmt: skip
Finds = list[tuple[int, int, str]]


def main() -> None:
    """Plant, train, measure, print, and with --write append to the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--count", type=int, default=16_000, help="planted texts to train on (default: 16000)")
    parser.add_argument("--set", nargs="*", default=[], metavar="FIELD=VALUE", help="changes of the recipe")
    parser.add_argument("--model", help="measure this folder instead of training one")
    parser.add_argument("--held-out", help="the texts to measure it by, as starmill plant writes them")
    report.add_write(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        held_out, model = options.held_out or f"{folder}/held-out.jsonl", options.model or f"{folder}/model"
        if not options.held_out:
            planted(folder, options.count)
        if not options.model:
            sets = [f"train=[{folder}/train.jsonl]", f"held_out=[{held_out}]", *options.set]
            train.train(recipe.load("starpii-tiny", sets, model))
        report.tell("starpii", tables(Path(model), examples.read(held_out, KINDS)), options.write)


def planted(folder: str, count: int) -> None:
    """Write the texts to train on and those to measure by, of different files."""
    files = [*sources(Path(sysconfig.get_paths()["purelib"]))]
    for split, name, texts in (("train", "train", count), ("test", "held-out", TEXTS)):
        ours = [file for file in files if (seeds.uniform(0, "split", file[0]) < 0.8) == (split == "train")]
        made = plant.plant(plant.mixed([*plant.passages(ours, 0)]), texts, split, 0)  # type: ignore[arg-type]
        examples.write(f"{folder}/{name}.jsonl", made)


def sources(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of a draw of files; Markdown and descriptions of packages are talk, whose path has no suffix."""
    for file in sorted(folder.rglob("*")):
        talk = file.name == "METADATA" or file.suffix in (".md", ".rst")
        path = str((file.with_suffix("") if talk else file).relative_to(folder))
        if (talk or file.suffix in CODE) and file.is_file() and seeds.uniform(0, "x", path) < SHARE_OF_FILES:
            try:
                if file.stat().st_size <= MOST_FILE:
                    yield path, file.read_text("utf-8")
            except UnicodeDecodeError:
                continue


def tables(model: Path, held_out: Sequence[Example]) -> Iterator[str]:
    """Yield the tables."""
    rows = [json.loads(line) for line in (model / "metrics.jsonl").read_text().splitlines()]
    cpu, steps = rows[-1]["cpu_seconds"], max(row.get("step", 0) for row in rows)
    yield f"## {datetime.date.today()}, {report.processor()}, Python {platform.python_version()}"
    yield ""
    yield f"`benchmarks/starpii.py`; {len(held_out):,} held-out texts; the tagger took {cpu:,.0f} CPU s for {steps:,} steps, 2 threads."
    yield "Precision / recall / F1 in per cent; a find overlaps a true span of its type by more than 0.8 of both; CPU seconds of all texts."
    yield ""
    spans = {kind: sum(s[2] == kind for one in held_out for s in one.spans) for kind in KINDS}
    yield "| | " + " | ".join(f"{kind} ({count:,})" for kind, count in spans.items()) + " | CPU s |"
    yield "|---|" + "---:|" * (len(KINDS) + 1)
    texts = [one.text for one in held_out]
    finders: dict[str, Callable[[], list[Finds]]] = {
        "patterns (peers/people_by.py)": lambda: [people_by.find(text) for text in texts],
        "this project's detectors": lambda: [*map(detected, held_out)],
        "tagger, float32": lambda: _spans(Tagger.load(model, "cpu").spans(texts)),
        "tagger, int8": lambda: _spans(Tagger.load(model, "cpu", "int8").spans(texts)),
    }
    told: dict[str, list[Finds]] = {}
    for name, find in finders.items():
        since = time.process_time()
        told[name] = find()
        spent = time.process_time() - since
        by_type = scores.by_type(told[name], [one.spans for one in held_out])
        yield f"| {name} | " + " | ".join(_shown(by_type.get(kind)) for kind in KINDS) + f" | {spent:.1f} |"
    for name, published in PUBLISHED.items():
        yield f"| {name} | " + " | ".join(str(published.get(kind, "-")) for kind in KINDS) + " | |"
    yield ""
    same = sum(one == other for one, other in zip(told["tagger, float32"], told["tagger, int8"], strict=True))
    yield f"int8 gives the spans of float32 in {same:,} of {len(texts):,} texts. StarCoder's rows are F1 on its annotated set,"
    yield "which is gated: no row of ours, of planted texts, is comparable with them."
    yield ""


def detected(example: Example) -> Finds:
    """Return what redaction's own detectors find; they do not tell keys from passwords: one counts as what is planted there."""
    passwords = {s[:2] for s in example.spans if s[2] == "PASSWORD"}
    found = [(start, end, "PASSWORD" if (start, end) in passwords else "KEY") for start, end in keys.find(example.text)]
    for kind, find in (("EMAIL", emails.find), ("IP_ADDRESS", addresses.find), ("USERNAME", users.find)):
        found += ((start, end, kind) for start, end in find(example.text))
    return found


def _spans(found: list[list[Found]]) -> list[Finds]:
    return [[(one.start, one.end, one.kind) for one in some] for some in found]


def _shown(score: Score | None) -> str:
    if score is None or not score.found:
        return "-"
    return f"{score.precision * 100:.1f} / {score.recall * 100:.1f} / {score.f1 * 100:.1f}"


if __name__ == "__main__":
    main()
