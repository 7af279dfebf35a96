"""Training on one GPU beside peers: tokens/s, MFU, peak memory, and what is left between a step and the device's own matrix products.

    .venv/bin/python benchmarks/gpu_train.py [--write]            # 1B and 3B at 4,096 and 16,384 tokens: about half an hour
    .venv/bin/python benchmarks/gpu_train.py --smoke              # two layers on a CPU: that the script runs

Every case is a process of its own (benchmarks/gpu_case.py), with the largest micro-batch that fits its side: memory saved is speed. MFU
counts the FLOPs of `starmill plan`, by the best product of two matrices measured in the same run and, where it is known, by what the
maker says. The profile splits a step into what the products would take at that peak, and everything else by name.
"""

import argparse
import datetime
import json
import platform
import subprocess
import sys
from dataclasses import asdict, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import report
import torch
from gpu_case import KINDS, Case

HERE = Path(__file__).parent
# Dense bfloat16 TFLOP/s by the makers' data sheets, by a part of the device's name.
MAKERS = {"A100": 312.0, "H100 PCIe": 756.0, "H100": 989.0, "H200": 989.0, "B200": 2250.0, "L40S": 362.0}
# Name of a side, and whether it is compiled.
SIDES = {
    "starmill": ("starmill", False),
    "starmill-compiled": ("starmill", True),
    "transformers": ("transformers", False),
    "transformers-compiled": ("transformers", True),
    "litgpt-compiled": ("litgpt", True),
}


def run(given: dict[str, Any]) -> dict[str, Any]:
    """Run one process of gpu_case.py; return what it tells."""
    done = subprocess.run([sys.executable, str(HERE / "gpu_case.py"), json.dumps(given)], capture_output=True, text=True)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["died"])[-1][:200]}
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def fitting(case: Case) -> tuple[Case, dict[str, Any]]:
    """Run a case with the largest micro-batch that fits, halving it from the case's own."""
    told = run(asdict(case))
    while told.get("error") == "out of memory" and case.micro_batch > 1:
        case = replace(case, micro_batch=case.micro_batch // 2)
        told = run(asdict(case))
    return case, told


def row(case: Case, told: dict[str, Any], peak: float, maker: float | None) -> str:
    """Return a case as a row of the table."""
    name = f"{case.side}{', compiled' if case.compiled else ''}"
    start = f"| {case.size} | {case.length:,} | {name} |"
    if "error" in told:
        return f"{start} {told['error']} | | | | | |"
    flops = told["tokens_per_second"] * told["flops_per_token"]
    told_by_maker = f"{flops / maker / 1e12:.1%}" if maker else "not known"
    return (
        f"{start} {case.micro_batch} | {told['tokens_per_second']:,.0f} | {flops / peak:.1%} | {told_by_maker} "
        f"| {told['memory'] / 1e9:.1f} | {told['warm_up']:.0f} |"
    )


def gap(case: Case, told: dict[str, Any], peak: float) -> list[str]:
    """Return where a step's time went: products at the peak, and all that keeps the step from being that."""
    tokens, spent, whole = case.batch * case.length, told["profile"], told["step"]
    products = 6 * told["parameters"] * tokens / peak
    attention = (told["flops_per_token"] - 6 * told["parameters"]) * tokens / peak
    parts = {
        "matrix products, at the peak": products,
        "matrix products, slower than the peak": spent["matrix products"] - products,
        "attention, at the peak": attention,
        "attention, slower than the peak": spent["attention"] - attention,
        **{kind: spent[kind] for kind in KINDS if kind not in ("matrix products", "attention")},
        "nothing running": whole - sum(spent.values()),
    }
    name = f"{case.size} at {case.length:,} tokens{', compiled' if case.compiled else ''}"
    return [
        f"{name}: a step of {tokens:,} tokens took {whole:.3f} s under the profiler.",
        "",
        "| | seconds | of the step |",
        "|---|---|---|",
        *(f"| {kind} | {seconds:.3f} | {seconds / whole:.1%} |" for kind, seconds in parts.items()),
        "",
    ]


def installed(package: str) -> str:
    """Return a package's name and version."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


def tables(options: argparse.Namespace) -> list[str]:
    """Run everything; return the results as lines."""
    device = "cpu" if options.smoke else "cuda"
    found = run({"peak": {"device": device, "size": 256 if options.smoke else 8192}})
    if "peak" not in found:
        sys.exit(f"the peak could not be measured: {found['error']}")
    peak = found["peak"]
    named = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()} CPU, a smoke test: no figures of a GPU"
    maker = next((tflops for part, tflops in MAKERS.items() if part in named), None)
    lines = [
        f"## {datetime.date.today()}, {named}, torch {version('torch')}, {installed('transformers')}, {installed('litgpt')}",
        "",
        f"bfloat16 products over float32 weights, fused AdamW, clipping, {options.batch_tokens:,} tokens per step, fastest of "
        f"{options.steps} steps. A product of matrices does {peak / 1e12:,.1f} TFLOP/s here"
        + (f"; the maker says {maker:,.0f}." if maker else "."),
        "",
        "| model | tokens | | micro-batch | tokens/s | MFU, measured peak | MFU, maker's | peak GB | warm-up s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    profiles: list[str] = []
    for size in options.sizes:
        for length in options.lengths:
            for side, compiled in (SIDES[name] for name in options.sides):
                batch = max(1, options.batch_tokens // length)
                case = Case(side, size, length, batch, min(batch, options.micro_batch), options.steps, device, compiled)
                case, told = fitting(case)
                lines.append(row(case, told, peak, maker))
                print(lines[-1], file=sys.stderr, flush=True)
                if "profile" in told:
                    profiles += gap(case, told, peak)
    return [*lines, "", *profiles]


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; a smoke test has values of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="*", default=["1b", "3b"], choices=["1b", "3b", "smoke"])
    parser.add_argument("--lengths", nargs="*", type=int, default=[4096, 16_384])
    parser.add_argument("--sides", nargs="*", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--batch-tokens", type=int, default=65_536, help="tokens of a step (power of two)")
    parser.add_argument("--micro-batch", type=int, default=16, help="windows at a time to try first (power of two)")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--smoke", action="store_true", help="two layers on a CPU, to see that the script runs")
    report.add_write(parser)
    options = parser.parse_args(arguments)
    if options.smoke:
        options.sizes, options.lengths, options.batch_tokens, options.micro_batch, options.steps = ["smoke"], [64], 256, 2, 2
    elif not torch.cuda.is_available():
        parser.error("there is no GPU here; --smoke shows on a CPU that the script runs")
    return options


def main() -> None:
    """Measure, print, and with --write append to the results."""
    options = parsed()
    report.tell("gpu_train", tables(options), options.write)


if __name__ == "__main__":
    main()
