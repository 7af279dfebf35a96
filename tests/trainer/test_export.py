"""An export is what transformers loads, with equal logits; its card says what the run's own files say."""

import base64
import dataclasses
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import yaml
from small_workspace import RECIPE, build
from transformers import AutoModelForCausalLM, AutoTokenizer

from starmill.cli.__main__ import main
from starmill.core import recipe
from starmill.model.exchange import huggingface
from starmill.trainer import export
from starmill.trainer.checkpoint import CheckpointError
from starmill.trainer.config import TrainRecipe
from starmill.trainer.loop import train
from starmill.trainer.rates import Muon


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainRecipe:
    place = tmp_path_factory.mktemp("export")
    workspace = build(place / "work")
    options = recipe.build(TrainRecipe, {**RECIPE, "workspace": str(workspace), "output": str(place / "small")})
    assert train(options) == 0
    return options


def test_it_equals_the_run_s_model(trained: TrainRecipe, tmp_path: Path) -> None:
    export.export(trained, tmp_path, torch.float32)
    ours, theirs = huggingface.load(tmp_path), huggingface.load(f"{trained.output}/model")
    for (name, mine), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other), name
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "NOTICE", "README.md", "config.json", "generation_config.json", "model.safetensors", "special_tokens_map.json",
        "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip


def test_the_average_is_between_the_weights_that_were(trained: TrainRecipe, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--average: the run keeps no average"):
        export.export(trained, tmp_path / "none", torch.float32, average=True)
    rule = dataclasses.replace(trained.optimizer, average=0.5, muon=Muon())
    averaged = dataclasses.replace(trained, optimizer=rule, output=f"{trained.output}-averaged", steps=4)
    averaged = dataclasses.replace(averaged, checkpoint_every=1, keep_checkpoints=9)
    assert train(averaged) == 0
    export.export(averaged, tmp_path / "last", torch.float32, every=True)
    told = export.export(averaged, tmp_path / "average", torch.float32, average=True)
    assert "step 4 of 4" in told[0] and "decay 0.5; it is what is here" in (tmp_path / "average/README.md").read_text()
    steps = [huggingface.load(tmp_path / f"last/checkpoints/step-{n:08d}").state_dict() for n in range(1, 5)]
    for name, mine in huggingface.load(tmp_path / "average").state_dict().items():
        one, two, three, four = (step[name] for step in steps)
        assert torch.allclose(mine, ((one + two) / 2 + three) / 4 + four / 2, atol=1e-6), name


def test_transformers_loads_every_checkpoint_of_it(trained: TrainRecipe, tmp_path: Path) -> None:
    told = export.export(trained, tmp_path, torch.bfloat16, every=True)
    assert [line.rsplit(" ", 1)[-1] for line in told[1:]] == ["8", "12"], "the two that the run kept"
    ids = AutoTokenizer.from_pretrained(tmp_path)("def function_1(argument):", return_tensors="pt").input_ids
    logits = {}
    for folder in (tmp_path, *sorted((tmp_path / "checkpoints").iterdir())):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
        assert model.dtype == torch.bfloat16
        ours = huggingface.load(folder, torch.float32)
        with torch.no_grad():
            logits[folder.name] = model.float()(ids).logits
            assert (ours(ids) - logits[folder.name]).abs().max() < 1e-4
    assert torch.equal(logits[tmp_path.name], logits["step-00000012"])
    assert not torch.equal(logits["step-00000008"], logits["step-00000012"])


def test_the_card_says_what_the_files_say(trained: TrainRecipe, tmp_path: Path) -> None:
    export.export(trained, tmp_path, torch.bfloat16)
    card = (tmp_path / "README.md").read_text()
    front = yaml.safe_load(card.split("---")[1])
    assert front == {
        "license": "bigcode-openrail-m", "library_name": "transformers", "pipeline_tag": "text-generation", "tags": ["code"]
    }  # fmt: skip
    parameters = sum(p.numel() for p in huggingface.load(tmp_path).parameters())
    assert f"{parameters:,} parameters" in card and "12 steps, 1,536 tokens" in card
    metrics = [json.loads(line) for line in (Path(trained.output) / "metrics.jsonl").read_text().splitlines()]
    last = [row for row in metrics if "held_out_loss" in row][-1]
    assert last["step"] == 12 and f"| all | {last['held_out_loss']:.4f} |" in card
    digest = json.loads((Path(trained.workspace) / "shards/manifest.json").read_text())["digest"]
    assert digest in card and "| Python |" in card
    assert "OpenRAIL" in (tmp_path / "NOTICE").read_text()


def test_another_licence_has_no_such_notice(trained: TrainRecipe, tmp_path: Path) -> None:
    export.export(trained, tmp_path, torch.bfloat16, license="apache-2.0")
    assert not (tmp_path / "NOTICE").exists() and "OpenRAIL" not in (tmp_path / "README.md").read_text()


def test_what_was_not_trained_so_is_not_published(trained: TrainRecipe, tmp_path: Path) -> None:
    other = recipe.build(TrainRecipe, {**RECIPE, "workspace": trained.workspace, "output": trained.output, "seed": 5})
    with pytest.raises(CheckpointError, match="was made with another recipe; give the recipe, --set"):
        export.export(other, tmp_path / "to", torch.float32)
    nowhere = recipe.build(TrainRecipe, {**RECIPE, "workspace": trained.workspace, "output": str(tmp_path)})
    with pytest.raises(CheckpointError, match="no checkpoint; train first"):
        export.export(nowhere, tmp_path / "to", torch.float32)
    assert not (tmp_path / "to").exists()


def test_the_command(trained: TrainRecipe, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**RECIPE, "workspace": trained.workspace, "output": "elsewhere"}))
    assert main(["export", str(path), "--output", trained.output, "--to", str(tmp_path / "to"), "--dtype", "float16"]) == 0
    assert "step 12 of 12, float16" in capsys.readouterr().out
    assert main(["export", str(path), "--output", str(tmp_path / "none")]) == 1
    assert "no checkpoint" in capsys.readouterr().err


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as an upload meets; what arrives is kept by branch."""

    branches: dict[str, dict[str, bytes]]
    created: dict[str, object]

    def do_POST(self) -> None:
        kind, _, revision = self.path.removeprefix("/api/models/somebody/small").strip("/").partition("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer: dict[str, object] = {}
        if self.path == "/api/repos/create":
            self.created.update(json.loads(body))
            answer = {"url": f"http://{self.headers['Host']}/somebody/small"}
        elif kind == "preupload":
            files = json.loads(body)["files"]
            answer = {"files": [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]}
        elif kind == "branch":
            self.branches[revision] = dict(self.branches["main"])
        elif kind == "commit":
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.branches[revision][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            answer = {
                "commitUrl": f"http://{self.headers['Host']}/somebody/small/commit/1",
                "commitOid": "1" * 40,
                "hookOutput": "",
            }
        elif self.path != "/api/validate-yaml":
            self.send_error(404)
            return
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def test_a_push_sends_each_file_to_its_branch(trained: TrainRecipe, tmp_path: Path) -> None:
    export.export(trained, tmp_path / "to", torch.bfloat16, every=True)
    kept: dict[str, dict[str, bytes]] = {"main": {}}
    handler = type("Handler", (Hub,), {"branches": kept, "created": (created := {})})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = {"HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}", "HF_TOKEN": "hf_none", "HF_HOME": str(tmp_path / "home")}
    code = "import sys; from pathlib import Path; from starmill.trainer import export; "
    code += "print(export.push(Path(sys.argv[1]), 'somebody/small', public=False))"
    clean = {k: v for k, v in os.environ.items() if "PROXY" not in k.upper()}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "to")],
        env={**clean, **here}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    server.shutdown()
    assert done.returncode == 0, done.stderr[-2000:]
    assert created["visibility"] == "private" and created["name"] == "small"
    to = tmp_path / "to"
    assert kept["main"] == {p.name: p.read_bytes() for p in to.iterdir() if p.is_file()}
    assert sorted(kept) == ["main", "step-00000008", "step-00000012"]
    for branch in ("step-00000008", "step-00000012"):
        for path in (to / "checkpoints" / branch).iterdir():
            assert kept[branch][path.name] == path.read_bytes()
