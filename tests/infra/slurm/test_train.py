"""The batch script says how it is called; what it does on a cluster is tested in end_to_end/test_slurm.py."""

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[3] / "infra" / "slurm" / "train.sbatch"


def test_it_is_bash_and_says_how_it_is_called() -> None:
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)
    done = subprocess.run(["bash", str(SCRIPT), "python", "8"], capture_output=True, text=True)
    assert done.returncode == 2 and "RANKS_PER_NODE RECIPE" in done.stderr


def test_slurm_reads_its_options() -> None:
    lines = SCRIPT.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line and not line.startswith("#"))
    options = [i for i, line in enumerate(lines) if line.startswith("#SBATCH")]
    assert options and max(options) < first, "sbatch reads none below the first command"
