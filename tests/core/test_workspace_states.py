"""A workspace against a model in memory: parts published, torn, killed half-way, swept and finished in any order."""

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from starmill.core.dataset import Count, Manifest, Sidecar, Workspace, output, part_path, sidecar_path
from starmill.core.files import TEMPORARY, writer_of

DATASET, PARTS, KEYS = "records", 3, ("old", "new")
part_numbers, key_names = st.integers(0, PARTS - 1), st.sampled_from(KEYS)


@dataclass(frozen=True)
class Part:
    """What the model knows of a published part: its sidecar, and the outputs that are on the disk, by path."""

    sidecar: Sidecar
    files: dict[str, bytes]

    @property
    def is_whole(self) -> bool:
        return all(len(self.files.get(o.path, b"")) == o.bytes and o.path in self.files for o in self.sidecar.outputs)


class Workspaces(RuleBasedStateMachine):
    """Random work on one dataset with two files a part."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.workspace = Workspace(str(self.folder / "w"))
        self.parts: dict[int, Part] = {}
        self.manifest: Manifest | None = None
        self.leftovers = 0

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def described(self, part: int, key: str, size: int, errors: int) -> tuple[Sidecar, list[bytes]]:
        data = [f"{key}{part}".encode() * size, b"lost" * errors]
        paths = [part_path(DATASET, part), part_path("dropped/ingest", part)]
        counts = (Count("", "", "", size, size), *([Count("s", "error:s:ValueError", "", errors, 4)] if errors else []))
        outputs = tuple(output(p, d) for p, d in zip(paths, data, strict=True))
        return Sidecar("ingest", DATASET, part, key, outputs, counts), data

    @precondition(lambda self: self.manifest is None)  # a run sweeps before it works
    @rule(part=part_numbers | st.just(PARTS), key=key_names, size=st.integers(1, 3), errors=st.sampled_from((0, 0, 1)))
    def commit(self, part: int, key: str, size: int, errors: int) -> None:
        """A worker makes a part; part PARTS is one of an earlier, longer plan."""
        sidecar, data = self.described(part, key, size, errors)
        self.workspace.commit(sidecar, data)
        self.parts[part] = Part(sidecar, {o.path: d for o, d in zip(sidecar.outputs, data, strict=True)})

    @precondition(lambda self: self.manifest is None)
    @rule(part=part_numbers, key=key_names, size=st.integers(1, 3), published=st.integers(0, 2))
    def killed_before_its_sidecar(self, part: int, key: str, size: int, published: int) -> None:
        """A worker is killed after some outputs, while it writes the next file."""
        sidecar, data = self.described(part, key, size, 0)
        for made, content in list(zip(sidecar.outputs, data, strict=True))[:published]:
            self.workspace.publish(made.path, content)
            if part in self.parts:
                self.parts[part].files[made.path] = content
        half = self.folder / "w" / DATASET / f"{TEMPORARY}{writer_of(f'{DATASET}/part-{part:05d}')}part-{part:05d}"
        half.parent.mkdir(parents=True, exist_ok=True)
        half.write_bytes(b"half")
        self.leftovers += 1

    @precondition(lambda self: self.manifest is None and self.parts)
    @rule(data=st.data(), which=st.integers(0, 1), torn=st.booleans())
    def an_output_is_lost(self, data: st.DataObject, which: int, torn: bool) -> None:
        """It is gone, or another one lies in its place."""
        part = self.parts[data.draw(st.sampled_from(sorted(self.parts)))]
        path = part.sidecar.outputs[which].path
        if torn:
            part.files[path] = b"of another length"
            self.workspace.publish(path, part.files[path])
        else:
            self.workspace.remove(path)
            part.files.pop(path, None)

    @precondition(lambda self: self.manifest is None and self.parts)
    @rule(data=st.data(), half=st.booleans())
    def a_sidecar_is_lost(self, data: st.DataObject, half: bool) -> None:
        """It is gone, or only its first half arrived."""
        number = data.draw(st.sampled_from(sorted(self.parts)))
        path = sidecar_path(DATASET, number)
        if half:
            self.workspace.publish(path, self.workspace.read(path)[:40])
        else:
            self.workspace.remove(path)
        del self.parts[number]

    @rule(key=key_names, parts=st.integers(1, PARTS))
    def sweep(self, key: str, parts: int) -> None:
        """A run begins: what is not done is due."""
        due = {k for k in range(parts) if not self.workspace.is_done(DATASET, k, key)}
        half = [k for k in self.workspace.published(DATASET) if k >= parts and k not in self.parts]
        self.workspace.sweep(DATASET, parts, due)
        self.workspace.sweep_temporary()
        gone = {k for k in self.parts if k in due or k >= parts}
        beyond = [o.path for k in gone if k >= parts for o in self.parts[k].sidecar.outputs]
        self.parts = {k: p for k, p in self.parts.items() if k not in gone}
        self.manifest, self.leftovers = None, 0
        assert {*self.workspace.published(DATASET)} == {*self.parts} and not any(map(self.workspace.exists, beyond))
        assert all(p.sidecar.key == key and p.is_whole and not p.sidecar.errors for p in self.parts.values())
        assert not any(self.workspace.exists(sidecar_path(DATASET, k)) for k in half)

    @rule(key=key_names, parts=st.integers(1, PARTS))
    def finish(self, key: str, parts: int) -> None:
        """A run ends, as a stage does: the manifest comes if all parts are whole."""

        def check(manifest: Manifest) -> None:
            if any(self.workspace.torn(manifest.parts)):
                raise ValueError("torn")

        before = self.manifest
        if any(k not in self.parts for k in range(parts)):
            with pytest.raises(FileNotFoundError, match="has no sidecar"):
                self.workspace.finish(DATASET, key, parts, "v", check)
        elif not all(self.parts[k].is_whole for k in range(parts)):
            with pytest.raises(ValueError, match="torn"):
                self.workspace.finish(DATASET, key, parts, "v", check)
        else:
            before = self.workspace.finish(DATASET, key, parts, "v", check)
            assert before.parts == tuple(self.parts[k].sidecar for k in range(parts)) and before.key == key
        self.manifest = before

    @rule(key=key_names, parts=st.integers(1, PARTS))
    def a_whole_run(self, key: str, parts: int) -> None:
        """A run that nothing disturbs makes what is due, and ends."""
        self.sweep(key, parts)
        for part in range(parts):
            if not self.workspace.is_done(DATASET, part, key):
                self.commit(part, key, 1, 0)
        self.finish(key, parts)
        assert self.manifest is not None and [p.key for p in self.manifest.parts] == [key] * parts

    @invariant()
    def the_manifest_is_the_last_that_was_finished(self) -> None:
        found = self.workspace.manifest(DATASET)
        assert found == self.manifest
        for sidecar in found.parts if found else ():
            for made in sidecar.outputs:
                content = self.workspace.read(made.path)
                assert output(made.path, content) == replace(made, rows=None), "only whole parts, with their digests"

    @invariant()
    def a_part_is_done_if_it_is_whole_with_its_key_and_without_errors(self) -> None:
        for number in range(PARTS + 1):
            part = self.parts.get(number)
            assert self.workspace.sidecar(DATASET, number) == (part.sidecar if part else None)
            for key in KEYS:
                wanted = part is not None and part.is_whole and part.sidecar.key == key and not part.sidecar.errors
                assert self.workspace.is_done(DATASET, number, key) == wanted

    @invariant()
    def what_is_being_written_is_no_part(self) -> None:
        assert not any(TEMPORARY in path for path in self.workspace.parts(DATASET))
        if not self.leftovers:
            assert not list(self.folder.rglob(f"{TEMPORARY}*"))


Workspaces.TestCase.settings = settings(max_examples=30, stateful_step_count=15, deadline=None, derandomize=True)
TestWorkspaces = Workspaces.TestCase
