"""What starcoder2-self-align decides of Python files: its own functions, of a checkout, with an old tree-sitter. Run by seeds.py.

    python with_self_align.py CHECKOUT < FILES > DECISIONS

FILES is JSON: the lists of texts "files", "seeds" and "bare". Of each file the functions that generate_from_the_stack.py finds, each with
whether it returns a value; of each seed what pre_filtering of filter_dataset.py says, without benchmarks; of each bare function it with
the imports that autoimport infers. What these scripts do at their end (models, hubs) is left out: the functions alone are run.
"""

import ast
import json
import os
import sys
import tempfile
import types
from argparse import Namespace
from pathlib import Path
from typing import Any

import tree_sitter
import tree_sitter_languages


def main() -> None:
    """Read, decide, print."""
    scripts = Path(sys.argv[1]) / "seed_gathering"
    given = json.load(sys.stdin)
    os.chdir(tempfile.mkdtemp())
    os.mkdir("build")
    os.symlink(next(Path(tree_sitter_languages.__file__).parent.glob("languages.*so")), "build/lang.so")
    tree_sitter.Language.build_library = lambda *of: None  # it is built
    sys.modules["datasets"] = types.ModuleType("datasets")
    sys.path.insert(0, str(scripts))
    import generate_from_the_stack as gathering
    import tree_sitter_parser as parsing

    filtering: dict[str, Any] = {**vars(parsing), "args": Namespace(content_col="content"), "all_bench": []}
    wanted = ("BAD_WORDS", "BAD_IMPORTS", "BAD_SUBSTRINGS", "FN_BLOCK_QUERY", "pre_filtering")
    for node in ast.parse((scripts / "filter_dataset.py").read_text()).body:
        names = {getattr(t, "id", "") for t in getattr(node, "targets", ())} | {getattr(node, "name", "")}
        if names & {*wanted}:
            exec(compile(ast.Module([node], []), "filter_dataset.py", "exec"), filtering)
    inferring: dict[str, Any] = {"signal": __import__("signal")}
    for node in ast.parse((scripts / "high_quality_subset.py").read_text()).body:
        if getattr(node, "name", "") == "infer_imports":
            exec(compile(ast.Module([node], []), "high_quality_subset.py", "exec"), inferring)
    parser = parsing.make_parser()
    found = []
    for text in given["files"]:
        functions = gathering.parse_ex(parser, {"content": text})
        found.append([(function, parsing.does_have_return(function)) for function in functions])
    kept = [filtering["pre_filtering"]({"content": seed}) for seed in given["seeds"]]
    told = sys.stdout
    sys.stdout = sys.stderr  # autoimport's errors are printed
    imported = [inferring["infer_imports"](function) for function in given["bare"]]
    json.dump({"files": found, "seeds": kept, "imported": imported}, told)


if __name__ == "__main__":
    main()
