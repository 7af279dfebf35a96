"""A stage goes on when one of its workers dies: the part that the worker was making is made again, alone, and named if that fails too.

A worker that is ended because a record takes too long leaves a note (core/skips.py): its part is made again until no more is found.
"""

from collections.abc import Callable, Sequence

from starmill.core import skips
from starmill.core.dataset import Workspace
from starmill.core.part import PartRef
from starmill.pipelines.run import job
from starmill.pipelines.run.job import StageError
from starmill.pipelines.run.progress import say
from starmill.pipelines.runners.runner import Runner, WorkerDied
from starmill.pipelines.stages.stage import Build

TRIES = 3  # of a job whose workers die outside any part and publish nothing; the last one with a single worker
FIX = (
    "SIGKILL is how the kernel ends a process when memory runs out: free some, or use fewer --workers; SIGBUS, when a file that it reads "
    "became shorter, or the disk fails: mend that. Then run the same command to continue; finished parts are kept"
)
Due = Callable[[], Sequence[PartRef]]


class _Stuck:
    """What workers noted about parts with records that take too long."""

    def __init__(self, name: str, workspace: Workspace, quiet: bool) -> None:
        self._name, self._workspace, self._quiet = name, workspace, quiet
        self._found: dict[int, skips.Notes] = {}

    def learn(self) -> set[int]:
        """Take the notes into the workspace's list; return the parts of which something new is known."""
        before, self._found = self._found, skips.gather(self._workspace)
        for part, notes in sorted(self._found.items()):
            for s in notes.skips:
                said = f"part {part}: {s.repo_name}:{s.path} {s.reason} in step {s.step}: left out, and listed in {skips.LIST}"
                say(self._quiet, f"{self._name:<9} {said}")
        return {k for k, notes in self._found.items() if notes.skips or k not in before or notes.rows != before[k].rows}

    def forget(self) -> None:
        """Remove the notes of a stage that is done."""
        if self._found:
            self._workspace.clear(skips.FOLDER)


def run(
    name: str, missing: Sequence[PartRef], workspace: Workspace, due: Due, build: Build, runner: Runner, quiet: bool
) -> None:
    """Make the missing parts; `due` says which still are, by today's keys. Raises StageError, also for parts that end workers twice."""
    stuck = _Stuck(name, workspace, quiet)
    suspects = stuck.learn()  # of a run in one process, which was ended itself
    left, tries = [ref for ref in missing if ref.part not in suspects], 0
    while left:
        try:
            # A single part of a local run would be made in this process, which a second death must not end.
            is_last = tries == TRIES - 1 or (suspects and len(left) == 1)
            job.run(name, left, build, runner.alone() if is_last else runner, quiet)
            break
        except (WorkerDied, StageError) as died:
            news, part = stuck.learn(), died.part if isinstance(died, WorkerDied) else None
            if isinstance(died, StageError) and not news:
                raise
            suspects |= news if part is None else news | {part}
            before, left = len(left), [ref for ref in due() if ref.part not in suspects]
            tries = 0 if len(left) < before else tries + 1
            if tries == TRIES:
                raise StageError(f"stage {name} failed: {died}, the {TRIES}rd time without progress. {FIX}") from died
            again = "what is not finished is made again" if part is None else "that part is made again alone, after the others"
            say(quiet, f"{name:<9} {died}; {again}")
    stuck.learn()
    failed = [
        _alone(name, ref, stuck, due, build, runner, quiet) for ref in (due() if suspects else ()) if ref.part in suspects
    ]
    if deaths := [f"{died}" for died in failed if died]:
        raise StageError(f"stage {name} failed: {'; '.join(deaths)}, for the second time and with no part beside it. {FIX}")
    stuck.forget()


def _alone(name: str, ref: PartRef, stuck: _Stuck, due: Due, build: Build, runner: Runner, quiet: bool) -> WorkerDied | None:
    for _ in range(2 * skips.MOST):  # for each record: once to find its block, once to find it
        try:
            job.run(name, [ref], build, runner.alone(), quiet)
        except (WorkerDied, StageError) as died:
            if ref.part not in stuck.learn():
                if isinstance(died, StageError):
                    raise
                return WorkerDied(ref.part, died.how)
            ref = next((r for r in due() if r.part == ref.part), ref)
        else:
            stuck.learn()
            return None
    raise StageError(skips.too_many(name, ref.part))
