"""The one global stage: its graph, what its workers read, its verdicts, and the preview of every threshold."""

from dataclasses import replace

from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError
from starmill.pipelines.stages.stage import Build, Options, Stage


def _graph(options: Options, workspace: Workspace) -> Build:
    from starmill.pipelines.stages.dedup import graph

    return lambda pipeline, due: graph.build(pipeline, workspace, due, options.minhash)


def _sketch(options: Options, workspace: Workspace) -> Build:
    from starmill.pipelines.stages.dedup import graph
    from starmill.pipelines.stages.dedup.candidates import Candidates

    made = graph.Dedup(Candidates.of(workspace, replace(options.minhash, earlier=())))
    return lambda pipeline, due: made.wire(made.parts(pipeline, due))


def _earlier(options: Options) -> list[list[str]]:
    """Return the digests of the earlier releases. Raises UsageError for what is none."""
    digests: list[list[str]] = []
    for url in options.minhash.earlier:
        if Workspace(url).root == Workspace(options.workspace).root:
            raise UsageError(f"minhash.earlier: {url} is the workspace itself; name those of earlier releases, or leave it out")
        manifest = Workspace(url).manifest("verdicts")
        if manifest is None:
            raise UsageError(f"minhash.earlier: {url} has no verdicts/manifest.json; run `starmill dedup` there first")
        read = [
            sha256 for part in manifest.parts for path, sha256 in sorted(part.lineage.items()) if path.startswith("signatures/")
        ]
        digests.append([manifest.digest, *read])
    return digests


STAGE = Stage(
    name="dedup",
    dataset="verdicts",
    needs=("curated",),
    reads=lambda options: (options.minhash,),
    material=lambda options, workspace: (_earlier(options),),
    check=_earlier,
    graph=_graph,
    sketch=_sketch,
    whole=True,
)
