"""A run waits for the end of a withdrawal, and does not read again what was withdrawn."""

import pytest

from starmill.core.dataset import Workspace
from starmill.core.errors import UsageError
from starmill.pipelines.run.withdrawn import PLAN, refuse_again, refuse_unfinished


def test_a_run_is_refused_with_the_fix() -> None:
    workspace = Workspace("memory://withdrawn")
    refuse_unfinished(workspace, "ingest")
    refuse_again(workspace, "ingest")
    workspace.publish("withdrawals/00000.json", b"{}")
    with pytest.raises(UsageError, match=r"withdrawals/00000\.json.*curate\.opt_out"):
        refuse_again(workspace, "ingest")
    workspace.publish(PLAN, b"{}")
    with pytest.raises(UsageError, match=r"withdrawal/plan\.json: a withdrawal is not finished; run .* with the same list"):
        refuse_unfinished(workspace, "ingest")
