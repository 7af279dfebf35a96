"""The counting file system counts what it is asked: each operation a request, of whatever thread."""

import threading
from pathlib import Path

import fsspec
import pytest

from starmill.core.dataset import Workspace
from starmill.pipelines.costs.traffic import PROTOCOL, Traffic, counting


@pytest.fixture
def counted(tmp_path: Path) -> tuple[Workspace, Traffic]:
    traffic = Traffic()
    fsspec.register_implementation(PROTOCOL, counting(traffic), clobber=True)
    return Workspace(f"{PROTOCOL}://{tmp_path}/w"), traffic


def test_each_operation_is_a_request(counted: tuple[Workspace, Traffic]) -> None:
    workspace, traffic = counted
    assert not workspace.is_local and workspace.files("records") == [] and not workspace.exists("records/a")
    workspace.publish("records/a", b"12345")
    workspace.publish("cache/aa/b", b"1")
    assert workspace.read("records/a") == b"12345" and workspace.size("records/a") == 5 and workspace.files("records") == ["a"]
    with pytest.raises(FileNotFoundError):
        workspace.read("records/b")
    with workspace.open("records/a") as file:  # its size, and a range
        file.seek(1)
        assert file.read(2) == b"23"
    workspace.remove("records/a")
    cache = traffic.take(workspace.root, lambda dataset: dataset == "cache")
    assert cache == {"GET": 0, "PUT": 1, "LIST": 0, "DELETE": 0, "fetched": 0, "stored/cache": 1}
    rest = traffic.take(workspace.root, lambda dataset: True)
    assert rest == {"GET": 6, "PUT": 1, "LIST": 2, "DELETE": 1, "fetched": 7, "stored/records": 5}
    assert traffic.take(workspace.root, lambda dataset: True)["GET"] == 0


def test_requests_of_threads_are_all_counted() -> None:
    traffic = Traffic()
    threads = [threading.Thread(target=lambda: [traffic.add("GET", "/w/a", 2) for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert traffic.take("/w", lambda dataset: True) | {} == {"GET": 8000, "PUT": 0, "LIST": 0, "DELETE": 0, "fetched": 16000}
