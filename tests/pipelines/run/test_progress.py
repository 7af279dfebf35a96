"""Progress from the workspace: plain lines or a bar, up to the last part; a slow store, or one that fails, holds nothing up."""

import os
import threading
import time
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from starmill.core.dataset import Sidecar, StageName, Workspace
from starmill.pipelines.run import progress
from starmill.pipelines.run.progress import watching

INGEST = StageName("ingest", "records")


def publish(workspace: Workspace, *parts: int) -> None:
    """Publish parts, ten seconds apart by their times."""
    for part in parts:
        workspace.commit(Sidecar("ingest", "records", part, "k", ()), [])
        os.utime(f"{workspace.root}/records/part-{part:05d}.json", (1000 + 10 * part,) * 2)


def wait_for(words: str, capfd: pytest.CaptureFixture[str]) -> str:
    """Return what has been printed when the words are."""
    said = ""
    while words not in said:
        time.sleep(0.05)
        said += capfd.readouterr().err
    return said


def test_lines_count_published_parts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace(str(tmp_path))
    with watching(workspace, INGEST, 2, quiet=False):
        publish(workspace, 0)
        wait_for("ingest    1/2 parts", capfd)
    assert "ingest    2/2 parts" in capfd.readouterr().err


def test_lines_tell_the_time_left(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    workspace = Workspace(str(tmp_path))
    publish(workspace, 0, 1, 2)
    with watching(workspace, INGEST, 5, quiet=False):
        assert wait_for("to go", capfd).startswith("ingest    3/5 parts, 1 s, about 20 s to go\n")


def test_a_bar_tells_it_too(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # what makes a terminal for rich
    monkeypatch.setenv("COLUMNS", "120")
    workspace = Workspace(str(tmp_path))
    publish(workspace, 0, 1, 2)
    with watching(workspace, INGEST, 5, quiet=False):
        wait_for("about 20 s to go", capfd)
    assert "5/5" in capfd.readouterr().err


def test_quiet_is_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with watching(Workspace(str(tmp_path)), INGEST, 2, quiet=True):
        pass
    assert capfd.readouterr() == ("", "")


def test_a_stage_that_fails_is_not_shown_as_done(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), watching(Workspace(str(tmp_path)), INGEST, 2, quiet=False):
        raise ZeroDivisionError
    assert "2/2" not in capfd.readouterr().err


def test_listings_take_a_twentieth_of_the_time() -> None:
    for cost in (0.01, 1.0, 45.0):
        assert cost / (cost + progress.pause(cost)) == pytest.approx(0.05)


def test_the_end_of_a_stage_waits_for_no_listing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    listing, answer = threading.Event(), threading.Event()

    class Slow(LocalFileSystem):
        """Lists when it is let."""

        protocol = "slow"

        def ls(self, path: str, detail: bool = False, **options: object) -> list:
            listing.set()
            answer.wait()
            return list(super().ls(path, detail))

    fsspec.register_implementation("slow", Slow, clobber=True)
    with watching(Workspace(f"slow://{tmp_path}"), INGEST, 2, quiet=False):
        listing.wait()
    assert "2/2 parts" in capfd.readouterr().err  # and not only when the listing has come
    answer.set()
    for thread in threading.enumerate():
        if thread.name.startswith("Thread-") and "watch" in thread.name:
            thread.join()
    assert capfd.readouterr().err == ""


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_store_that_does_not_answer_is_no_trace(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    refused = threading.Event()

    class Closed(LocalFileSystem):
        """Lists nothing."""

        protocol = "closed"

        def ls(self, path: str, detail: bool = False, **options: object) -> list:
            refused.set()
            raise PermissionError("the credentials have expired")

    fsspec.register_implementation("closed", Closed, clobber=True)
    with watching(Workspace(f"closed://{tmp_path}"), INGEST, 2, quiet=False):
        refused.wait()
    said = capfd.readouterr().err
    assert "Traceback" not in said and "2/2 parts" in said
