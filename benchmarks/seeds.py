"""The decisions of starcoder2-self-align's own code, and ours, on the same Python files, filter by filter; and how fast ours are.

    .venv/bin/python benchmarks/seeds.py CHECKOUT [--files 400] [--input DIR ...] [--cache DIR]

CHECKOUT: a clone of https://github.com/bigcode-project/starcoder2-self-align (0b19dbc ran last). Files are those of --input (default: the
standard library and the packages of this machine), a draw that the seed fixes. Both sides get the same texts: of each file the
documented functions, of each of those whether it returns a value; of ours, with our imports, the static filters; and types, by the same
pyright, once with the imports that each side infers. A difference is listed with its causes.
"""

import argparse
import ast
import json
import random
import subprocess
import sysconfig
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import tools

from starmill.core import parsing
from starmill.pipelines.sources.functions.reader import CHILD, Functions
from starmill.transforms.clean.seeds import Seeds
from starmill.transforms.clean.typecheck import TypeCheck, checker

PEER = Path(__file__).parent / "peers/with_self_align.py"


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--files", type=int, default=400)
    places = [sysconfig.get_paths()[n] for n in ("stdlib", "purelib")]
    parser.add_argument("--input", nargs="+", default=places, metavar="DIR")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "starmill-tools")
    options = parser.parse_args()
    texts = drawn(options.input, options.files)
    began = time.perf_counter()
    found: list[list[dict[str, Any]]] = parsing.answers(CHILD, "benchmark", [("Python", text) for text in texts])
    rate = sum(map(len, texts)) / 1e6 / (time.perf_counter() - began)
    ours = [f for functions in found for f in functions if not f["reason"]]
    bare = [f["text"][f["imports"] :].lstrip("\n") for f in ours]
    given = {"files": texts, "seeds": [f["text"] for f in ours], "bare": bare}
    python = tools.environment("self-align", options.cache)
    done = subprocess.run([python, PEER, options.checkout.resolve()], input=json.dumps(given), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{PEER.name}: {done.stderr[-1000:]}")
    theirs = json.loads(done.stdout)
    print(f"{len(texts)} files, {sum(map(len, texts)) / 1e6:.1f} MB; ours finds functions at {rate:.1f} MB/s")
    functions(texts, found, theirs["files"])
    filters(ours, theirs["seeds"])
    types(ours, bare, theirs["imported"])


def drawn(places: list[str], count: int) -> list[str]:
    """Return some files' texts: those that parse, as a dataset has them."""
    paths = sorted({path for place in places for path in Path(place).rglob("*.py") if path.is_file()})
    random.Random(0).shuffle(paths)
    texts: list[str] = []
    for path in paths:
        data = path.read_bytes()
        if len(data) <= Functions(workspace="none").max_bytes and not parsing.repeats(data):
            try:
                ast.parse(data.decode())
                texts.append(data.decode().replace("\r\n", "\n"))
            except (ValueError, SyntaxError, RecursionError):
                continue
        if len(texts) == count:
            break
    return texts


def functions(texts: list[str], ours: list[list[dict[str, Any]]], theirs: list[list[tuple[str, bool]]]) -> None:
    """Print how many functions both sides find, and why one alone does."""
    table: Counter[str] = Counter()
    for text, found, peer in zip(texts, ours, theirs, strict=True):
        lines = text.split("\n")
        mine = {f["name"]: f["reason"] for f in found}
        named = {name_of(function): returns for function, returns in peer}
        for name in sorted({n for n, reason in mine.items() if reason != "no_documentation"} | {*named}):
            if name in mine and name in named and mine[name] != "no_documentation":
                same = (mine[name] == "no_value_returned") != named[name]
                table["documented for both; " + ("equal on the value" if same else "a function inside returns the value")] += 1
            elif name in named:
                table["documented for them alone"] += 1
            else:
                at = next(f for f in found if f["name"] == name)
                body = "\n".join(lines[at["first"] - 1 : at["last"]])
                table[
                    "documented for us alone: " + ("another cause" if '    """' in body and 'r"""' not in body else "quotes")
                ] += 1
    for what, count in sorted(table.items()):
        print(f"  {count:6,}  {what}")


def name_of(function: str) -> str:
    """Return the name of a function's text."""
    return function.partition("def ")[2].partition("(")[0].strip()


def filters(ours: list[dict[str, Any]], theirs: list[bool]) -> None:
    """Print both decisions by the static filters; ours without what only the type checker would find there."""
    table: Counter[str] = Counter()
    for function, kept in zip(ours, theirs, strict=True):
        marks = [
            {"role": "documentation", "name": None, "start": function["documentation"][0], "end": function["documentation"][1]}
        ]
        marks.append({"role": "parameters", "name": str(function["parameters"]), "start": 0, "end": 0})
        reason, _ = Seeds(standalone=False).judge(function["text"], "Python", marks)
        table[f"ours: {reason or 'kept'}; theirs: {'kept' if kept else 'dropped'}"] += 1
    for what, count in sorted(table.items()):
        print(f"  {count:6,}  {what}")


def types(ours: list[dict[str, Any]], bare: list[str], imported: list[str]) -> None:
    """Print what pyright says of the functions with the imports that each side infers."""
    found = []
    began = time.perf_counter()
    for texts in ([f["text"] for f in ours], imported):
        split = TypeCheck()(pa.record_batch({"content": texts, "language": ["Python"] * len(texts)}))
        dropped = {*split.dropped.column("content").to_pylist()}
        found.append([text not in dropped for text in texts])
    rate = 2 * len(ours) / (time.perf_counter() - began)
    print(f"  {checker().name} {checker().version}: {rate:.0f} functions/s")
    table: Counter[str] = Counter()
    for function, mine, peer, text, with_theirs in zip(ours, *found, bare, imported, strict=True):
        needs = bool(function["needs"] or function["own_imports"])
        why = "" if mine == peer else "; autoimport adds other imports" if with_theirs != text else "; imports of the file"
        sound = f"types with ours: {'kept' if mine else 'dropped'}; with autoimport: {'kept' if peer else 'dropped'}{why}"
        table[f"{sound}; by names {'not ' if needs else ''}standing alone"] += 1
    for what, count in sorted(table.items()):
        print(f"  {count:6,}  {what}")


if __name__ == "__main__":
    main()
