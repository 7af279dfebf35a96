"""`starmill train`: train a model on the shards of a workspace."""

import argparse
import sys
from collections.abc import Sequence

from starmill.core import recipe
from starmill.trainer.config import TrainRecipe
from starmill.trainer.loop import inputs, plan, train


def main(argv: Sequence[str] | None = None) -> int:
    """Run one training; return its exit status."""
    parser = argparse.ArgumentParser(prog="starmill train", description=__doc__)
    parser.add_argument("recipe", nargs="?", default="recipes/train-tiny.yaml", help="YAML file, or the name of one that ships")
    parser.add_argument("--workspace", help="where the shards are (default: the recipe's)")
    parser.add_argument("--output", help="where checkpoints, metrics and the model go (default: the recipe's)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="override a value of the recipe")
    parser.add_argument("--fresh", action="store_true", help="start again, whatever checkpoints there are")
    parser.add_argument("--dry-run", action="store_true", help="show what would be trained, and stop")
    options = parser.parse_args(argv)
    try:
        values = recipe.override(recipe.read(options.recipe), options.set)
        values |= {k: getattr(options, k) for k in ("workspace", "output") if getattr(options, k)}
        wanted = recipe.build(TrainRecipe, values, where=options.recipe)
        if options.dry_run:
            print("\n".join(plan(wanted, inputs(wanted))))
            return 0
        return train(wanted, options.fresh)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"starmill: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
