"""`starmill train`: train a model on the shards of a workspace; under torchrun, as one of its ranks."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from starmill.core.process import die_with
from starmill.trainer import plan
from starmill.trainer.config import load
from starmill.trainer.data.inputs import open_inputs
from starmill.trainer.loop import train


def main(argv: Sequence[str] | None = None) -> int:
    """Run one training; return its exit status."""
    parser = argparse.ArgumentParser(prog="starmill train", description=__doc__)
    parser.add_argument("recipe", nargs="?", default="recipes/train/tiny.yaml", help="YAML file, or the name of one that ships")
    parser.add_argument("--workspace", help="where the shards are (default: the recipe's)")
    parser.add_argument("--output", help="where checkpoints, metrics and the model go (default: the recipe's)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the recipe")
    parser.add_argument("--processes", type=int, default=1, help="start this many ranks on this machine (torchrun does more)")
    parser.add_argument("--fresh", action="store_true", help="start again; removes the checkpoints in --output")
    parser.add_argument("--dry-run", action="store_true", help="show what would be trained, and stop")
    options = parser.parse_args(argv)
    rank = os.environ.get("RANK")
    if "TORCHELASTIC_RUN_ID" in os.environ:  # a killed torchrun leaves no rank behind that writes
        die_with(os.getppid())
    try:
        wanted = load(options.recipe, options.set, options.workspace, options.output)
        if options.dry_run:
            found = open_inputs(wanted)
            print("\n".join([*plan.lines(wanted, found.config), *plan.data_lines(wanted, found)]))
            return 0
        if options.processes > 1 and rank is None:
            _torchrun(options.processes, wanted.threads, sys.argv[1:] if argv is None else list(argv))
        return train(wanted, options.fresh)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"starmill: {f'rank {rank}: ' if rank else ''}{error}", file=sys.stderr)
        return 1


def _torchrun(processes: int, threads: int, arguments: list[str]) -> NoReturn:
    # Another program in this process: signals and the exit status need no passing on. Ranks of one machine talk over loopback.
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    os.execv(sys.executable, [sys.executable, *run, "-m", "starmill.trainer", *arguments])


if __name__ == "__main__":
    sys.exit(main())
