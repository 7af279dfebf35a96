"""The governance card of a release: by which rules it was made, what was taken out of it later, how to be left out, and how to verify it.

What BigCode's governance card tells of its people and decisions (https://arxiv.org/abs/2312.03872) is a publisher's own to tell: this
one tells what the workspace knows, and names who answers for the rest.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starmill.core.dataset import Workspace
from starmill.reports.datacard import Facts, licenses, personal, plain, removal

ATTESTATIONS = "withdrawals"
MOST = 1 << 30  # bytes of an attestation


def text(workspace: Workspace, found: Facts, method: Mapping[str, Any], indexes: Sequence[str]) -> str:
    """Return GOVERNANCE.md. `indexes`: the names of what answers for the dataset in attribution/."""
    card = method["card"]
    contact = plain(card["contact"]) if card["contact"] else "whoever published this copy"
    parts = [
        f"# {plain(card['name'])}, version {card['version']}: governance card",
        f"{found.records:,} records, {found.bytes:,} bytes of text, digest `{found.manifest.digest}`. `data/README.md` tells how "
        f"each stage made it, `model/README.md` what was trained on it. For what neither says, ask {contact}.",
        licenses(found, notices=True),
        personal(found),
        removal(method, card),
        _withdrawn(workspace),
        "## Who is in it\n\n"
        f"`attribution/` holds {', '.join(indexes)} of the dataset. Beside the workspace, `starmill owner` and the server's page "
        "`/in/OWNER` say what it has of an owner, with a request to be left out; `starmill attribute` names the files that hold a text, "
        "with SWHID and licence; `starmill withdraw` takes out what a list names and attests it.",
        "## Is it whole\n\n"
        "`release.json` lists each file with its sha256; `starmill assemble --check FOLDER` compares them, and says what a release lacks. "
        "`data/swhids/` names each record by its SWHID, which anybody can compute from its content at Software Heritage.",
        "## What it does not say\n\n"
        "Rules find what they are written for: a licence may be wrong, and personal data may be left. What the release is fit for, and "
        "what harm it may do, nobody has judged here.",
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _withdrawn(workspace: Workspace) -> str:
    try:
        names = sorted(name for name in workspace.files(ATTESTATIONS) if name.endswith(".json"))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    rows = []
    for name in names:
        said = json.loads(workspace.read(f"{ATTESTATIONS}/{name}", 0, MOST))
        count = sum(one["files"] for one in said["removed"]["records"])
        rows.append(f"- `{plain(name)}`: {count:,} records by a list with the sha256 `{said['list']['sha256']}`")
    if not rows:
        return "## Withdrawn later\n\nNothing was withdrawn after it was made."
    return "## Withdrawn later\n\nAfter it was made these left, as `starmill attest` can verify:\n\n" + "\n".join(rows)
