"""What a withdrawal leaves in a workspace, as other commands see it: attestations, and a journal while it is under way."""

from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError

ATTESTATIONS, JOURNAL = "withdrawals", "withdrawal"
PLAN = f"{JOURNAL}/plan.json"


def refuse_unfinished(workspace: Workspace, command: str) -> None:
    """Raise UsageError while a withdrawal is under way, or was stopped."""
    if workspace.exists(PLAN):
        raise UsageError(
            f"{command}: {workspace.path(PLAN)}: a withdrawal is not finished; run `starmill withdraw` with the same list to its end first"
        )


def refuse_again(workspace: Workspace, stage: str) -> None:
    """Raise UsageError where ingest would read again from a dump what was withdrawn."""
    if made := workspace.files(ATTESTATIONS):
        raise UsageError(
            f"{stage}: records were withdrawn from {workspace.root} ({ATTESTATIONS}/{made[-1]}), and parts of {stage} are due, which would "
            "bring them back from the dump. Run the recipe into another --workspace, with the list in curate.opt_out"
        )
