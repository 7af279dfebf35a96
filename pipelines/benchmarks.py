"""Where the texts of benchmarks come from that must not be trained on: files that ship, files of the user's own, and URLs."""

from pathlib import Path

from starmill.core.errors import InputError, NotThere
from starmill.core.storage import named
from starmill.transforms.clean.decontaminate import MIN_CHARS, Needle, needles

SHIPPED = Path(__file__).resolve().parents[1] / "recipes" / "benchmarks"


def read(name: str) -> tuple[Needle, ...]:
    """Return the needles of a HumanEval-style JSONL file; a bare name (`smoke`) means one that ships with starmill.

    Raises NotThere for a file that is not there, and InputError, naming file and line, for one that is no benchmark.
    """
    url = _resolved(name)
    with named("release.benchmarks", url, mode="rt", encoding="utf-8", compression="infer") as file:
        found = needles(file, url)
    if not found:
        raise InputError(
            f"release.benchmarks: {url}: no text of {MIN_CHARS} characters in it; give another file, or leave it out"
        )
    return found


def _resolved(name: str) -> str:
    if "/" in name or "." in name or Path(name).exists():
        return name
    shipped = {path.stem: str(path) for path in sorted(SHIPPED.glob("*.jsonl"))}
    if name not in shipped:
        raise NotThere(
            f"release.benchmarks: no benchmark '{name}' ships; give the path or URL of a JSONL file, or one of: {', '.join(shipped)}"
        )
    return shipped[name]
