"""Languages and flags against linguist itself: its own samples, and its Ruby code over real files of this machine.

    .venv/bin/python benchmarks/languages.py [--linguist FOLDER] [--each 20] [--files 3000] [--write]

--linguist is a checkout of github.com/github-linguist/linguist at the release of the tables; without it, git clones one into the cache.
Samples: each is classified by its base name and content, and right is the folder that it lies in. Real files: up to --each UTF-8 texts
of each extension below /usr, /etc and this environment, of which --files are drawn, with their paths below those folders. Ruby runs
linguist at that release (with the tokenizer that Debian's package compiled: linguist's own but for comments of Lean), and Debian's
older one.
"""

import argparse
import collections
import datetime
import itertools
import json
import os
import platform
import random
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import report
import tools

from starmill.transforms.measure import language
from starmill.transforms.measure.enry.tables import RELEASE

SOURCE = "https://github.com/github-linguist/linguist"
ROOTS = ("/usr/share", "/usr/lib", "/usr/include", "/usr/local/go/src", "/etc", sysconfig.get_paths()["purelib"])
MOST_BYTES = 500_000
PEER = tools.PEERS / "linguist.rb"
FLAGS = ("is_vendor", "is_generated", "is_documentation")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Languages and flags against linguist.")
    parser.add_argument("--linguist", type=Path, metavar="FOLDER", help=f"a checkout of release {RELEASE}")
    parser.add_argument("--each", type=int, default=20, help="files of an extension (default: 20)")
    parser.add_argument("--files", type=int, default=3000, help="real files (default: 3000)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of files (default: 0)")
    parser.add_argument(
        "--cache", type=Path, default=Path("~/.cache/starmill-bench").expanduser(), help="where linguist is cloned to"
    )
    report.add_write(parser)
    options = parser.parse_args()
    folder = options.linguist or cloned(options.cache / f"linguist-{RELEASE}")
    report.tell("languages", itertools.chain(heading(), of_samples(folder), of_files(folder, options)), options.write)


def cloned(folder: Path) -> Path:
    """Return a checkout of the pinned release, made where it is not there."""
    if not folder.exists():
        subprocess.run(["git", "clone", "-q", "--depth", "1", "--branch", f"v{RELEASE}", SOURCE, str(folder)], check=True)
    return folder


def heading() -> Iterator[str]:
    """Yield the date and the machine."""
    yield f"## {datetime.date.today()}, one core of {os.cpu_count()} ({report.processor()}), Python {platform.python_version()}"
    yield ""


def samples(folder: Path) -> list[tuple[str, str, bytes]]:
    """Return (language, base name, content) of each sample."""
    found = []
    for path in sorted((folder / "samples").rglob("*")):
        if path.is_file():
            name = path.relative_to(folder / "samples").parts[0]
            found.append(({"Fstar": "F*", "ProC": "Pro*C"}.get(name, name), path.name, path.read_bytes()))
    return found


def of_samples(folder: Path) -> Iterator[str]:
    """Yield how many of linguist's samples are right."""
    files = samples(folder)
    language.classify("a.s", b"x")
    begin = time.process_time()
    said = [language.classify(name, content).language for _, name, content in files]
    seconds = time.process_time() - begin
    wrong = collections.Counter((want, got) for (want, _, _), got in zip(files, said, strict=True) if want != got)
    right = len(files) - sum(wrong.values())
    size = sum(len(content) for _, _, content in files)
    yield (
        f"Of linguist {RELEASE}'s {len(files):,} samples {right:,} are right ({right / len(files):.2%}), at {size / 1e6 / seconds:.0f} MB "
        f"per CPU second; wrong: {', '.join(f'{count} of {want} as {got}' for (want, got), count in wrong.most_common(20)) or 'none'}."
    )
    yield ""


def real(options: argparse.Namespace) -> list[tuple[Path, str]]:
    """Return a draw of this machine's texts, each with its path below its root."""
    draw = random.Random(options.seed)
    by: dict[str, list[tuple[Path, str]]] = {}
    for root in map(Path, ROOTS):
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink() and not {"\n", "\t"} & {*str(path)}:
                by.setdefault(path.suffix.lower() or path.name, []).append((path, str(path.relative_to(root))))
    found: dict[Path, str] = {}
    for _, files in sorted(by.items()):
        draw.shuffle(files)
        texts = ((path, name) for path, name in files if is_text(path))
        found.update(itertools.islice(texts, options.each))
    some = sorted(found.items())
    draw.shuffle(some)
    return some[: options.files]


def is_text(path: Path) -> bool:
    """Say whether a file is UTF-8, not empty and not large."""
    try:
        data = path.read_bytes() if 0 < path.stat().st_size < MOST_BYTES else b"\0"
        return b"\0" not in data and bool(data.decode())
    except (OSError, UnicodeDecodeError):
        return False


def linguist(library: Path, files: list[tuple[Path, str]]) -> list[list[object]]:
    """Return [path, language, vendored, generated, documentation] of each file, by linguist's Ruby code. Raises tools.Failed."""
    compiled = sorted(Path("/usr/lib").glob("*/rubygems-integration/*/extensions/*/*/github-linguist-*"))
    command = ["ruby", str(PEER), str(library), *map(str, compiled)]
    try:
        done = subprocess.run(
            command, input="".join(f"{p}\t{name}\n" for p, name in files), capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise tools.Failed(f"{said[-1]}; apt install github-linguist") from None
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_files(folder: Path, options: argparse.Namespace) -> Iterator[str]:
    """Yield how ours and linguist's answers over real files differ, in groups."""
    files = real(options)
    ours = [language.classify(name, path.read_bytes()) for path, name in files]
    yield f"{len(files):,} real files, up to {options.each} of an extension:"
    newest: list[list[object]] | None = None
    debian = next(Path("/usr/lib").glob("*/rubygems-integration/*/gems/github-linguist-*/lib"), Path("/usr/lib/ruby"))
    for library, label in ((folder / "lib", f"linguist {RELEASE}"), (debian, "Debian's linguist")):
        try:
            theirs = linguist(library, files)
        except tools.Failed as error:
            yield f"\n{label} did not run: {error}"
            continue
        pairs = list(zip(ours, theirs, strict=True))
        apart = collections.Counter(
            (str(row[1]), str(own.language), str(newest[n][1]) if newest else "")
            for n, (own, row) in enumerate(pairs)
            if own.language != row[1]
        )
        flags = [sum(getattr(own, flag) != row[n] for own, row in pairs) for n, flag in enumerate(FLAGS, 2)]
        yield ""
        yield (
            f"{label}: another language for {sum(apart.values())} ({sum(apart.values()) / len(files):.1%}); another flag: "
            + ", ".join(f"{flag} {count}" for flag, count in zip(FLAGS, flags, strict=True))
            + "."
        )
        yield ""
        last = f" linguist {RELEASE} |" if newest else ""
        yield f"| files | {label} | starmill |{last}"
        yield "|--:|---|---|" + "---|" * bool(newest)
        for (their, own, now), count in sorted(apart.items(), key=lambda item: (-item[1], item[0])):
            yield f"| {count} | {their} | {own} |" + f" {now} |" * bool(newest)
        newest = newest or theirs


if __name__ == "__main__":
    main()
