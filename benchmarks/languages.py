"""Languages against linguist's own samples: `python benchmarks/languages.py LINGUIST_FOLDER [--library SO ...]`.

Each library (default: this environment's) classifies each sample by its base name and content; right is the sample's folder.
"""

import argparse
import collections
import os
import time
from pathlib import Path

from starmill.transforms.measure import language


def samples(folder: Path) -> list[tuple[str, str, bytes]]:
    """Return (language, base name, content) of each sample."""
    found = []
    for path in sorted((folder / "samples").rglob("*")):
        if path.is_file():
            name = path.relative_to(folder / "samples").parts[0]
            found.append(({"Fstar": "F*"}.get(name, name), path.name, path.read_bytes()))
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Languages against linguist's own samples.")
    parser.add_argument("folder", type=Path, metavar="LINGUIST_FOLDER")
    parser.add_argument("--library", type=Path, action="append", metavar="SO")
    options = parser.parse_args()
    files = samples(options.folder)
    size = sum(len(content) for _, _, content in files)
    for library in options.library or [language.library_path()]:
        os.environ["STARMILL_ENRY"] = str(library)
        language._library.cache_clear()
        language.classify("a.s", b"x")
        begin = time.process_time()
        said = [language.classify(name, content)[0] for _, name, content in files]
        seconds = time.process_time() - begin
        wrong = collections.Counter((want, got) for (want, _, _), got in zip(files, said, strict=True) if want != got)
        right = len(files) - sum(wrong.values())
        print(
            f"{library}: {right:,} of {len(files):,} right ({right / len(files):.2%}), {size / 1e6 / seconds:.1f} MB per CPU second"
        )
        for (want, got), count in wrong.most_common(25):
            print(f"  {count:3} of {want} as {got}")


if __name__ == "__main__":
    main()
