"""bigcode-evaluation-harness, of a checkout, over a file of HumanEval: `harness.py CHECKOUT HUMANEVAL.jsonl.gz VERDICTS OPTIONS`.

OPTIONS are those of its main.py, which is run as it is. The benchmark comes from the file and not from the Hub; `evaluate` and
`pyext`, which other tasks import, are stood in for where they are not installed. VERDICTS gets the verdict of each sample of each
problem, as JSON: the harness itself tells rates alone.
"""

import gzip
import importlib.machinery
import importlib.util
import json
import runpy
import sys
import types
from collections.abc import Sequence
from typing import Any


def stand_in(name: str) -> None:
    """Let a module that is not installed be imported."""
    if importlib.util.find_spec(name) is None:
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        module.load = module.RuntimeModule = None  # type: ignore[attr-defined]
        sys.modules[name] = module


def main() -> None:
    """Run main.py."""
    checkout, benchmark, verdicts, *options = sys.argv[1:]
    for name in ("evaluate", "pyext"):
        stand_in(name)
    with gzip.open(benchmark, "rt") as file:
        rows = [json.loads(line) for line in file]
    import datasets

    def load_dataset(path: str, name: str | None = None) -> dict[str, list[Any]]:
        if path != "openai_humaneval":
            raise FileNotFoundError(path)
        return {"test": rows}

    datasets.load_dataset = load_dataset
    sys.path.insert(0, checkout)
    from bigcode_eval.tasks import humaneval

    judge = humaneval.compute_code_eval

    def judged(predictions: Sequence[Sequence[str]], references: Sequence[str], **how: Any) -> Any:
        rates, found = judge(predictions=predictions, references=references, **how)
        each = [[bool(one["passed"]) for _, one in sorted(found[at], key=lambda it: it[0])] for at in range(len(predictions))]
        with open(verdicts, "w") as file:
            json.dump(each, file)
        return rates, found

    humaneval.compute_code_eval = judged
    sys.argv = ["main.py", *options]
    runpy.run_path(f"{checkout}/main.py", run_name="__main__")


if __name__ == "__main__":
    main()
