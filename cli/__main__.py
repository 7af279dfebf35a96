"""The command line: the stages, what looks into a workspace, and the names of the other programs (OTHERS).

What follows `--` is Beam's and is handed through untouched. Training, plans and completion are other processes: this one never
imports torch, and the trainer never imports Beam.
"""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

from starmill.core import __version__
from starmill.core.dataset import STAGES, Workspace
from starmill.core.storage import refuse_credentials

DEFAULT_RECIPE = "recipes/data/smoke.yaml"
# Commands that are programs of their own, with their own --help.
OTHERS = {
    "train": ("starmill.trainer", "train a model on shards"),
    "plan": ("starmill.trainer.plan", "what a training would cost"),
    "export": ("starmill.trainer.export", "what one publishes of a training"),
    "launch": ("starmill.trainer.clusters.launch", "hand a training to Slurm or Kubernetes"),
    "complete": ("starmill.model.complete", "complete code with a trained model"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status: 0 done, 1 failed, 2 wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    ours, beam = arguments, []
    if "--" in arguments:
        cut = arguments.index("--")
        ours, beam = arguments[:cut], arguments[cut + 1 :]
    try:
        for word in ours if ours[:1] != ["complete"] else ():  # whose prompts may be anything
            refuse_credentials(word)  # before something quotes it
    except ValueError as error:
        print(f"starmill: {error}", file=sys.stderr)
        return 2
    if ours and ours[0] in OTHERS:
        _other(OTHERS[ours[0]][0], [*ours[1:], *beam])
    options = _parser().parse_args(ours)
    logging.basicConfig(level=logging.ERROR)  # Beam warns on import of optional packages that nobody asked for
    try:
        return int(options.command(options, beam))
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        print("\nstopped; finished parts are kept: run the same command to continue", file=sys.stderr)
        return 130
    except (ValueError, RuntimeError, LookupError, OSError) as error:  # ours and the file system's; the message says it all
        if options.traceback:
            raise
        print(f"starmill: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="starmill",
        description="Mill source code into tokenized training shards, and train models on them.",
        epilog=f"{', '.join(OTHERS)} have their own --help. Beam's options follow `--`, untouched.",
    )
    parser.add_argument("--version", action="version", version=f"starmill {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    milling = {"run": "all stages, then the funnel"} | {s: f"the {s} stage: writes {d}/" for s, d in STAGES.items()}
    for name, text in milling.items():
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(command=_mill, stages=tuple(STAGES) if name == "run" else (name,))
        command.add_argument("recipe", nargs="?", default=DEFAULT_RECIPE, help="YAML file, or the name of one that ships")
        command.add_argument(
            "--input", nargs="+", default=[], metavar="DIR", help="folders of checkouts or bare git repositories"
        )
        command.add_argument("--workspace", help="where the datasets go: any fsspec URL (default: the recipe's)")
        command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the recipe")
        command.add_argument(
            "--workers", type=int, default=os.cpu_count() or 1, help="local worker processes (default: one a core)"
        )
        command.add_argument("--quiet", action="store_true", help="no progress")
        command.add_argument("--no-funnel", action="store_true", help="do not print the funnel at the end")
        command.add_argument(
            "--dry-run",
            action="store_true",
            help="show the parts that would be made, and stop; of dedup also what each threshold from 0.5 to 0.95 would remove",
        )
    for name, (_, text) in OTHERS.items():
        commands.add_parser(name, help=text, add_help=False)
    funnel = commands.add_parser("funnel", help="what each stage kept and dropped, and why")
    funnel.set_defaults(command=_funnel)
    funnel.add_argument("--languages", type=int, default=12, help="how many languages to list")
    why = commands.add_parser("why", help="one file's whole story")
    why.set_defaults(command=_why)
    why.add_argument("file", help="swh:1:cnt:<hash>, a path, or repository:path")
    why.add_argument("--diff-lines", type=int, default=40, help="of the diff between a near duplicate and the kept file")
    locate = commands.add_parser("locate", help="the file that a training token came from, and the tokens of a file")
    locate.set_defaults(command=_locate)
    locate.add_argument(
        "what", nargs="?", help="shard:token or shard:document:token; or a file, as `why` takes it (default: draw a token)"
    )
    locate.add_argument("--nth", type=int, metavar="TOKEN", help="counted over all shards, from 0")
    locate.add_argument("--text", help="the first tokens that hold this text")
    locate.add_argument("--seed", type=int, default=0, help="draw another token")
    locate.add_argument("--json", action="store_true", help="for programs")
    pool = commands.add_parser("pool", help="a pool of Beam workers beside a Flink TaskManager")
    pool.set_defaults(command=_pool)
    pool.add_argument("--address", default="127.0.0.1:50000", help="host:port to listen at (default: 127.0.0.1:50000)")
    pool.add_argument("--check", action="store_true", help="start none: see whether a pool there starts workers that connect")
    status = commands.add_parser("status", help="how far each stage is, and how long the one at work will take")
    status.set_defaults(command=_status)
    for command in (funnel, why, locate, status):
        command.add_argument("--recipe", default=DEFAULT_RECIPE, help="the recipe whose workspace to look into")
        command.add_argument("--workspace", help="the workspace to look into (default: the recipe's)")
    bench = commands.add_parser("bench", help="what each stage costs on this machine, measured on samples")
    bench.set_defaults(command=_bench)
    bench.add_argument(
        "--input", nargs="+", default=[], metavar="DIR", help="folders of checkouts (default: this environment's packages)"
    )
    bench.add_argument(
        "--megabytes", type=float, default=8, help="of the first sample; the second has four times as much (default: 8)"
    )
    bench.add_argument(
        "--rounds", type=int, default=1, help="measure so often and take medians: 3 on a machine that others share (default: 1)"
    )
    estimate = commands.add_parser("estimate", help="what a recipe would cost for so many files, from the rates of bench")
    estimate.set_defaults(command=_estimate)
    estimate.add_argument("--files", type=float, required=True, help="of the dump")
    estimate.add_argument("--bytes", type=float, required=True, help="of the dump, uncompressed")
    estimate.add_argument("--repositories", type=float, help="of the dump (default: as many for its files as the bench's had)")
    estimate.add_argument(
        "--duplicates", type=float, help="the share of files that dedup removes (default: as in the bench's sample)"
    )
    estimate.add_argument("--workers", type=int, required=True, help="processes at work at once")
    estimate.add_argument("--latency", type=float, default=0, help="seconds that a bucket takes to answer (default: 0, a disk)")
    for command in (bench, estimate):
        command.add_argument("recipe", nargs="?", default=DEFAULT_RECIPE, help="YAML file, or the name of one that ships")
        command.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the recipe")
        command.add_argument("--rates", default="runs/rates.json", help="the file of rates (default: runs/rates.json)")
    for command in commands.choices.values():
        command.add_argument("--traceback", action="store_true", help="show where an error came from")
    return parser


def _mill(options: argparse.Namespace, beam: list[str]) -> int:
    from starmill.pipelines.run import interrupt, mill
    from starmill.pipelines.run.stage import Engine
    from starmill.pipelines.runners import dataflow, flink
    from starmill.reports import funnel

    recipe = mill.load(options.recipe, options.set, options.input, options.workspace)
    flink.check(tuple(beam))
    dataflow.check(tuple(beam), recipe.workspace)
    engine = Engine(tuple(beam), max(1, options.workers), options.quiet)
    if dataflow.is_dry_run(engine.beam_options):
        for stage in options.stages:
            print(f"{stage:<9} dry run: {dataflow.describe(mill.translate(stage, recipe, engine))}", flush=True)
        return 0
    workspace = Workspace(recipe.workspace)
    recipe = replace(recipe, workspace=workspace.root if workspace.is_local else recipe.workspace)  # workers have another cwd
    if "release" in options.stages:
        recipe.release.decontaminate()  # a benchmark file that cannot be read is told now, not after three stages
    if options.dry_run:
        print("\n".join(mill.plan(recipe)))
        if options.stages == ("dedup",):
            print("\n".join(mill.thresholds(recipe, engine)))
        return 0
    workspace.probe()
    started = time.monotonic()
    stopping = interrupt.stopping_cleanly(workspace) if engine.is_local else interrupt.stopping_by_exception()
    with interrupt.exclusive(workspace), stopping:
        for stage in options.stages:
            if mill.run_stage(stage, recipe, engine) is None:
                print(f"{stage}: the job is written down; it ends the stage itself, and the next one can be launched after it")
                return 0
    if not options.no_funnel:
        funnel.show(workspace)
    print(f"done in {time.monotonic() - started:.0f} s: {workspace.root}")
    return 0


def _funnel(options: argparse.Namespace, beam: list[str]) -> int:
    from starmill.reports import funnel

    funnel.show(_workspace(options), options.languages)
    return 0


def _why(options: argparse.Namespace, beam: list[str]) -> int:
    from starmill.reports import why

    print("\n".join(why.tell(_workspace(options), options.file, options.diff_lines)))
    return 0


def _locate(options: argparse.Namespace, beam: list[str]) -> int:
    from starmill.reports import locate

    workspace = _workspace(options)
    if options.what is not None and not locate.is_position(options.what):
        files = locate.of_file(workspace, options.what)
        shown, lines = [asdict(one) for one in files], locate.file_lines(files)
    else:
        place = locate.locate(workspace, options.what, options.nth, options.text, options.seed)
        shown, lines = [asdict(place)], locate.lines(place)
    print("\n".join(map(json.dumps, shown) if options.json else lines))
    return 0


def _status(options: argparse.Namespace, beam: list[str]) -> int:
    from starmill.pipelines.run import mill
    from starmill.pipelines.stages import ingest
    from starmill.reports import status

    recipe = mill.load(options.recipe, [], [], options.workspace)
    workspace = Workspace(recipe.workspace)
    planned = 0 if workspace.manifest("ingest") else len(ingest.plan(recipe.source))
    print("\n".join(status.lines(workspace, planned)))
    return 0


def _pool(options: argparse.Namespace, beam: list[str]) -> int:
    from starmill.pipelines.runners import flink, pool

    if options.check:
        flink.check_pool(options.address, seconds=60, starts=True)
    else:
        pool.serve(options.address)
    return 0


def _bench(options: argparse.Namespace, beam: list[str]) -> int:
    from starmill.pipelines.costs import bench
    from starmill.pipelines.run import mill

    recipe = bench.packages_unless(options.input, mill.load(options.recipe, options.set, options.input, None))
    found = bench.bench(recipe, options.megabytes, lambda line: print(line, flush=True), max(1, options.rounds))
    Path(options.rates).parent.mkdir(parents=True, exist_ok=True)
    Path(options.rates).write_text(found.to_json())
    print("\n".join(bench.table(bench.largest(found.observations))))
    return 0


def _estimate(options: argparse.Namespace, beam: list[str]) -> int:
    from starmill.pipelines.costs import estimate, rates
    from starmill.pipelines.run import mill

    recipe, found = mill.load(options.recipe, options.set, [], None), rates.load(options.rates)
    dump = estimate.Dump(options.files, options.bytes, options.repositories, options.duplicates)
    costs = estimate.estimate(found, recipe, dump, options.workers, options.latency)
    print("\n".join((*estimate.table(costs, options.workers), *estimate.limits(found, recipe, costs))))
    return 0


def _workspace(options: argparse.Namespace) -> Workspace:
    from starmill.pipelines.run import mill

    return Workspace(options.workspace or mill.load(options.recipe, [], [], None).workspace)


def _other(module: str, arguments: list[str]) -> NoReturn:
    # Another program in this process: signals and the exit status need no passing on.
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])


if __name__ == "__main__":
    sys.exit(main())
