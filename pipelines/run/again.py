"""A stage goes on when one of its workers dies: the part that the worker was making is made again, alone, and named if that fails too."""

from collections.abc import Callable, Sequence

from starmill.pipelines.run import job
from starmill.pipelines.run.job import StageError
from starmill.pipelines.run.progress import say
from starmill.pipelines.runners.runner import Runner, WorkerDied
from starmill.pipelines.stages.stage import Build
from starmill.transforms.beam import PartRef

TRIES = 3  # of a job whose workers die outside any part and publish nothing; the last one with a single worker
FIX = (
    "SIGKILL is how the kernel ends a process when memory runs out: free some, or use fewer --workers, then run the same command to "
    "continue; finished parts are kept"
)


def run(
    name: str, missing: Sequence[PartRef], due: Callable[[], Sequence[PartRef]], build: Build, runner: Runner, quiet: bool
) -> None:
    """Make the missing parts; `due` says which still are. Raises StageError, also for parts that end their worker twice."""
    suspects: set[int] = set()
    left, tries = list(missing), 0
    while left:
        try:
            job.run(name, left, build, runner.alone() if tries == TRIES - 1 else runner, quiet)
            break
        except WorkerDied as died:
            if died.part is not None:
                suspects.add(died.part)
            before, left = len(left), [ref for ref in due() if ref.part not in suspects]
            tries = 0 if len(left) < before else tries + 1
            if tries == TRIES:
                raise StageError(f"stage {name} failed: {died}, the {TRIES}rd time without progress. {FIX}") from died
            again = (
                "what is not finished is made again" if died.part is None else "that part is made again alone, after the others"
            )
            say(quiet, f"{name:<9} {died}; {again}")
    failed = [_alone(name, ref, build, runner, quiet) for ref in (due() if suspects else ()) if ref.part in suspects]
    if deaths := [f"{died}" for died in failed if died]:
        raise StageError(f"stage {name} failed: {'; '.join(deaths)}, for the second time and with no part beside it. {FIX}")


def _alone(name: str, ref: PartRef, build: Build, runner: Runner, quiet: bool) -> WorkerDied | None:
    try:
        job.run(name, [ref], build, runner.alone(), quiet)
    except WorkerDied as died:
        return WorkerDied(ref.part, died.how)
    return None
