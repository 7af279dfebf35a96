"""Makes what answers for a release: its portrait, its fingerprints or its trigrams, beside the datasets of a finished workspace.

None is a stage of a recipe's run, since all can be made of any release later. A part that is there with today's key is not made
again; a key counts the code and the digest of the whole release, or that of a part where it depends on this alone.
"""

from types import ModuleType

from starmill.core.dataset import Manifest, Workspace
from starmill.core.errors import UsageError
from starmill.core.part import PartRef
from starmill.pipelines.run import keys
from starmill.pipelines.run.place import complete
from starmill.pipelines.run.stages import run
from starmill.pipelines.runners.runner import Runner
from starmill.pipelines.stages import index, portrait, trigrams
from starmill.pipelines.stages.catalog.exchange import Exchange
from starmill.pipelines.stages.portrait import RELEASE
from starmill.pipelines.stages.stage import Stage
from starmill.transforms.attribution import fingerprints
from starmill.transforms.attribution import portrait as bloom
from starmill.transforms.attribution import trigrams as grams

# The datasets, and the modules of stages/ that make them.
DERIVED = {bloom.DATASET: portrait, fingerprints.DATASET: index, grams.DATASET: trigrams}


def make(workspace: Workspace, of: ModuleType, runner: Runner, quiet: bool = False) -> Manifest | None:
    """Make a derived dataset of a release; `of` is its module in stages/. Return None for a job that nobody waits for.

    Raises UsageError where the release is not complete, StageError where a worker fails.
    """
    release = complete(workspace, RELEASE, of.NAME)
    if not release.parts:
        raise UsageError(f"{of.NAME}: {workspace.path(RELEASE)} has no parts; run `starmill run` over a dump that has files")
    graph = of.exchange(workspace, release)
    whole = isinstance(graph, Exchange)
    stage = Stage(of.NAME, graph.dataset, (RELEASE,), lambda options: (), lambda *_: graph, lambda *_: graph, whole=whole)
    version, digests = keys.version(stage), {p.part: p.digest() for p in release.parts}
    materials = [release.digest if whole else digests[part] for part in range(of.parts(release))]
    refs = [PartRef(part, keys.key(version, material)) for part, material in enumerate(materials)]
    return run(workspace, stage, refs, graph, runner, version, quiet=quiet)
