"""What docs/security.md says of listeners, asked of the kernel in real runs: each that it names is there, and no other."""

import inspect
import json
import math
import re
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import small_workspace
from pages import ROOT
from plain_tree import tree
from soak import below

from starmill.cli.serve import serve
from starmill.transforms.clean.redact import tagging

PAGE = (ROOT / "docs/security.md").read_text()


def listeners(command: list[str], until: float, after: float = math.inf) -> set[str]:
    """Run a command, for at most so many seconds, or `after` the first one was seen; return where it or its children listened."""
    run, found, deadline = (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT),
        set(),
        time.monotonic() + until,
    )
    driver = psutil.Process(run.pid)
    try:
        while run.poll() is None and time.monotonic() < deadline:
            for process in [driver, *below(run.pid)]:
                try:
                    listening = [c for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
                except psutil.Error:
                    continue
                if listening and not found:
                    deadline = min(deadline, time.monotonic() + after)
                found |= {c.laddr.ip.removeprefix("::ffff:") for c in listening}
            time.sleep(0.05)
        assert run.poll() in (0, None), run.communicate()[0].decode()[-2000:]
    finally:
        for process in [*below(run.pid), run]:
            process.kill()
        run.communicate()
    return found


def starmill(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "starmill.cli", *arguments]


def rows() -> dict[str, str]:
    """The table of listeners: what listens, and where."""
    return dict(
        re.findall(
            r"^\| `?([^|`]+?)`? \| `?([^|`]+?)`? \|", PAGE.partition("## Listeners")[2].partition("\n## ")[0], re.MULTILINE
        )
    )


@pytest.mark.slow
def test_a_run_of_several_workers_listens_as_the_page_says(tmp_path: Path) -> None:
    tree(tmp_path / "tree", 2, 20)
    sets = ["--set", "ingest.part_bytes=1", "--no-funnel"]
    given = ["ingest", "smoke", "--input", str(tmp_path / "tree"), "--workspace", str(tmp_path / "w"), *sets]
    assert listeners(starmill(*given, "--workers", "1"), 300) == set(), "none with one worker"
    assert listeners(starmill(*given[:-1], "--set", "ingest.block_bytes=1", "--no-funnel", "--workers", "2"), 300) == {
        "127.0.0.1"
    }
    assert rows()["starmill run --workers 2"] == "127.0.0.1, one port"


@pytest.mark.slow
def test_ranks_of_one_machine_listen_as_the_page_says(tmp_path: Path) -> None:
    small_workspace.build(tmp_path / "w")
    data = {**small_workspace.RECIPE["data"], "micro_batch": 2}
    values = {**small_workspace.RECIPE, "data": data, "workspace": str(tmp_path / "w"), "output": str(tmp_path / "out")}
    (tmp_path / "recipe.yaml").write_text(json.dumps(values))
    assert listeners(starmill("train", str(tmp_path / "recipe.yaml"), "--processes", "2"), 300) == {"127.0.0.1"}
    assert rows()["starmill train --processes 2"].startswith("127.0.0.1, ")


def test_a_pool_listens_as_the_page_says() -> None:
    assert listeners(starmill("pool", "--address", "127.0.0.1:0"), 120, after=3) == {"127.0.0.1"}
    assert rows()["starmill pool"] == "127.0.0.1:50000"
    refused = subprocess.run(starmill("pool", "--address", "0.0.0.0:0"), capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and "STARMILL_POOL_TOKEN" in refused.stderr


def test_no_other_code_listens() -> None:
    """A new server is a row of the page: whoever opens a port is found by its call."""
    call = re.compile(r"add_insecure_port|add_secure_port|create_server\(|\.listen\(|HTTPServer\(|TCPServer\(|start_server\(")
    folders = ("core", "transforms", "pipelines", "reports", "model", "evaluation", "alignment", "trainer", "serving", "cli")
    found = {
        str(p.relative_to(ROOT)) for folder in folders for p in (ROOT / folder).rglob("*.py") if call.search(p.read_text())
    }
    sockets = {"core/shared.py", "model/encoder/serve.py", "serving/checks.py"}
    assert found == {*(f"pipelines/runners/{name}.py" for name in ("crew", "flink", "pool")), *sockets}


def test_a_served_model_listens_as_the_page_says() -> None:
    given = {name: parameter.default for name, parameter in inspect.signature(serve).parameters.items()}
    assert rows()["starmill serve"] == f"{given['host']}:{given['port']}"


def test_a_tagger_listens_as_the_page_says() -> None:
    assert rows()["release.redact.model"] == "a Unix socket, no port"
    child = (ROOT / "model/encoder/serve.py").read_text()
    assert re.findall(r"socket\.socket\((.*)\)", child) == ["socket.AF_UNIX"]
    assert stat.S_IMODE(tagging.private_folder().stat().st_mode) == 0o700
