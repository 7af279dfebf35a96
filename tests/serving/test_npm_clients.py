"""Clients that editors and pages are made of, from npm, against a real server: what they read is what the model writes greedily."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from servers import Running

from starmill.model.complete import complete

PACKAGES = ("openai@7.55.0", "@huggingface/inference@4.13.30", "@continuedev/openai-adapters@1.37.0")
SCRIPT = """
import OpenAI from "openai";
import { InferenceClient } from "@huggingface/inference";
import { constructLlmApi } from "@continuedev/openai-adapters";

const url = process.argv[2], told = {}, asked = { model: "small", max_tokens: 24, temperature: 0 };
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
told.models = (await openai.models.list()).data.map((one) => one.id);
told.whole = (await openai.completions.create({ ...asked, prompt: "def f(x):" })).choices[0].text;
told.pieces = "";
const stream = await openai.completions.create({ ...asked, prompt: "def f(x):", stream: true });
for await (const piece of stream) told.pieces += piece.choices[0].text;
const said = [{ role: "user", content: "What is a list?" }];
told.chat = (await openai.chat.completions.create({ ...asked, messages: said })).choices[0].message.content;
const other = openai.completions.create({ ...asked, model: "other", prompt: "x" });
told.refused = await other.then(() => null, (error) => [error.status, error.type]);

const joined = async (pieces, text) => { let all = ""; for await (const piece of pieces) all += text(piece) ?? ""; return all; };
const hub = new InferenceClient("", { endpointUrl: url });
const wanted = { inputs: "def f(x):", parameters: { max_new_tokens: 24, temperature: 0 } };
told.generated = (await hub.textGeneration(wanted)).generated_text;
told.streamed = await joined(hub.textGenerationStream(wanted), (piece) => piece.choices[0].text);

const editor = constructLlmApi({ provider: "openai", apiKey: "none", apiBase: `${url}/v1/` });
const never = new AbortController().signal;
const holed = { ...asked, prompt: "<fim_prefix>def f(<fim_suffix>\\n    return x<fim_middle>", stream: true, stop: ["<fim_prefix>"] };
told.completed = await joined(editor.completionStream(holed, never), (piece) => piece.choices[0].text);
const hole = { ...asked, prompt: "def f(", suffix: "\\n    return x" };
told.filled = await joined(editor.fimStream(hole, never), (piece) => piece.choices[0].delta.content);
const talk = { ...asked, messages: said, stream: true };
told.chatted = await joined(editor.chatCompletionStream(talk, never), (piece) => piece.choices[0]?.delta.content);
console.log(JSON.stringify(told));
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("npm")
    if shutil.which("npm") is None:
        pytest.skip("NOT RUN: clients from npm, which is not on this machine")
    asked = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(made), *PACKAGES]
    if subprocess.run(asked, capture_output=True, timeout=400).returncode:
        pytest.skip(f"NOT RUN: clients that npm cannot fetch here: {', '.join(PACKAGES)}")
    (made / "ask.mjs").write_text(SCRIPT)
    return made


@pytest.mark.slow
def test_they_read_what_the_model_writes(place: Path, running: Running) -> None:
    done = subprocess.run(["node", place / "ask.mjs", running.url], cwd=place, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    prompts = ["def f(x):", ("def f(", "\n    return x")]
    text, middle = (complete(running.decoder, running.tokenizer, [prompt], 24)[0] for prompt in prompts)
    assert told["models"] == ["small"] and told["refused"] == [404, "NotFoundError"]
    assert {told[name] for name in ("whole", "pieces", "generated", "streamed")} == {text}
    assert told["completed"] == told["filled"] == middle
    assert told["chat"] == told["chatted"] != ""
