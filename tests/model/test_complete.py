"""The command as a person runs it: a model that learned one function by heart completes it in both directions."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tokenizers
import torch
from torch.nn import functional as F

from starmill.cli.__main__ import main
from starmill.core.tokenizer import SPECIAL_TOKENS, Tokenizer, huggingface_files, train
from starmill.model.complete import complete, fill_in_the_middle
from starmill.model.config import ModelConfig
from starmill.model.decoder import Decoder
from starmill.model.exchange.huggingface import load, save

CODE = "def total(numbers):\n    result = 0\n    for number in numbers:\n        result += number\n    return result\n"
MIDDLE = "    for number in numbers:\n        result += number\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = train([CODE], 400)
    tokenizer = Tokenizer.load(data)
    decoder = Decoder(ModelConfig(tokenizer.vocab_size, 2, 64, 4, 2, 256, "rope", 256))
    decoder.init_weights(torch.Generator().manual_seed(0))
    before, after = CODE.split(MIDDLE)
    start = [tokenizer.special("<file_sep>")]
    plain = [*start, *tokenizer.encode(CODE).tolist(), tokenizer.eod]
    infill = [*start, *fill_in_the_middle(tokenizer, before, after), *tokenizer.encode(MIDDLE).tolist(), tokenizer.eod]
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=3e-3)
    for _ in range(120):
        losses = [F.cross_entropy(decoder(t[None, :-1])[0], t[1:]) for t in (torch.tensor(plain), torch.tensor(infill))]
        optimizer.zero_grad()
        torch.stack(losses).sum().backward()
        optimizer.step()
    place = tmp_path_factory.mktemp("model")
    save(decoder, place, huggingface_files(data))
    return place


def test_left_to_right_and_into_the_middle(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "starmill.cli", "complete", str(folder), "--prompt-file", "-"]
    assert subprocess.run(command, input=CODE[:30], capture_output=True, text=True).stdout == CODE + "\n"
    before, after = CODE.split(MIDDLE)
    for words in (["--prompt", CODE[:30]], ["--prefix", before, "--suffix", after]):
        assert main(["complete", str(folder), *words]) == 0 and capsys.readouterr().out == CODE + "\n"


def test_texts_in_and_out(folder: Path) -> None:
    decoder, tokenizer = load(folder), Tokenizer.load(folder / "tokenizer.json")
    before, after = CODE.split(MIDDLE)
    prompts = [CODE[:30], (before, after), CODE[:60]]
    assert complete(decoder, tokenizer, prompts) == [CODE[30:], MIDDLE, CODE[60:]]
    for stop in ("    ret", "number in", "=", "\n        "):  # inside of tokens and across them
        for stops in ([stop], ["nowhere", stop], [stop, "return"]):
            expected = [text.split(stop)[0].split("return" if "return" in stops else stop)[0] for text in (CODE[30:], MIDDLE)]
            assert complete(decoder, tokenizer, prompts[:2], stops=stops) == expected
    with pytest.raises(ValueError, match="stop string is empty"):
        complete(decoder, tokenizer, ["x"], stops=["a", ""])
    with pytest.raises(ValueError, match="leaves no room in max_positions=256"):
        complete(decoder, tokenizer, ["x " * 300])


def test_stops_at_the_end_of_the_block(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    decoder, tokenizer = load(folder), Tokenizer.load(folder / "tokenizer.json")
    loop = CODE.index("\n        result")
    body = "\n        result += number\n"
    assert complete(decoder, tokenizer, [CODE[:loop], CODE[:30]], stop_at_block=True) == [body, CODE[30:]]
    assert complete(decoder, tokenizer, [CODE[:loop]], stop_at_block=True, stops=["+="]) == [body.split("+=")[0]]
    tokens = len(tokenizer.encode(body + "    return result\n"))
    assert complete(decoder, tokenizer, [CODE[:loop]], max_new_tokens=tokens - 2, stop_at_block=True) == [body]
    assert main(["complete", str(folder), "--prompt", CODE[:loop], "--stop-at-block"]) == 0
    assert capsys.readouterr().out == CODE[:loop] + body + "\n"


def test_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start = [str(folder), "--prompt", CODE[:30]]
    for more, expected in (
        (["--stop", "result +=", "--stop", "return"], CODE.split("result +=")[0]),
        (["--temperature", "3", "--top-k", "1"], CODE),
        (["--dtype", "bfloat16", "--device", "cpu"], CODE),
    ):
        assert main(["complete", *start, *more]) == 0
        assert capsys.readouterr().out == expected + "\n"
    assert main(["complete", *start, "--stop", ""]) == 2
    assert capsys.readouterr().err == "starmill: --stop: an empty text; give a value, or leave it out\n"


# Ids 0 to 18 of StarCoder's tokenizer.json; SantaCoder's come after its 49,152 tokens of text.
STARCODER = (
    "<|endoftext|> <fim_prefix> <fim_middle> <fim_suffix> <fim_pad> <filename> <gh_stars> <issue_start> <issue_comment> <issue_closed> "
    "<jupyter_start> <jupyter_text> <jupyter_code> <jupyter_output> <empty_output> <commit_before> <commit_msg> <commit_after> <reponame>"
).split(" ")
SANTACODER = "<|endoftext|> <fim-prefix> <fim-middle> <fim-suffix> <fim-pad>".split(" ")


def published(specials: list[str], first: bool) -> bytes:
    made = tokenizers.Tokenizer.from_str(train([CODE], 400).decode())
    values = json.loads(made.to_str())
    words = [token for token in values["model"]["vocab"] if token not in SPECIAL_TOKENS]
    order = [*specials, *words] if first else [*words, *specials]
    values["model"]["vocab"] = {token: number for number, token in enumerate(order)}
    shape = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    values["added_tokens"] = [{"id": order.index(token), "content": token, **shape} for token in specials]
    return json.dumps(values).encode()


@pytest.mark.parametrize(("specials", "first"), [(STARCODER, True), (SANTACODER, False)])
def test_models_with_starcoders_and_santacoders_tokens(specials: list[str], first: bool, tmp_path: Path) -> None:
    data = published(specials, first)
    with pytest.raises(ValueError, match="not StarCoder2's 38"):
        Tokenizer.load(data)
    tokenizer = Tokenizer.load(data, any_family=True)
    end = 0 if first else tokenizer.vocab_size - len(specials)
    prompt = fill_in_the_middle(tokenizer, "<fim_prefix>", specials[1])
    assert [i for i in prompt if end <= i < end + len(specials)] == [end + 1, end + 3, end + 2], "in the texts they are text"
    assert tokenizer.eod == end and tokenizer.decode(prompt).count(specials[2]) == 1
    decoder = Decoder(ModelConfig(tokenizer.vocab_size, 1, 32, 4, 1, 64, "learned", 64, bos_id=end, eos_id=end))
    decoder.init_weights(torch.Generator().manual_seed(0))
    with torch.no_grad():  # a head that says one thing only: the end, or a line of code
        decoder.norm.weight.zero_()
        for token, expected in ((end, ""), (tokenizer.encode("def")[0], "def" * 3)):
            decoder.norm.bias.copy_(100 * decoder.tokens.weight[token])
            assert complete(decoder, tokenizer, ["x", ("x", "y")], max_new_tokens=3) == [expected] * 2
    save(decoder, tmp_path, {"tokenizer.json": data})
    assert main(["complete", str(tmp_path), "--prompt", "x", "--max-new-tokens", "3", "--device", "cpu"]) == 0


@pytest.mark.parametrize(("more", "status"), [(400, 0), (-300, 1)])
def test_a_vocabulary_of_another_size_than_the_tokenizer(
    more: int, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = train([CODE], 400)
    decoder = Decoder(ModelConfig(Tokenizer.load(data).vocab_size + more, 1, 32, 4, 2, 64, "rope", 64))
    decoder.init_weights(torch.Generator().manual_seed(0))
    save(decoder, tmp_path, huggingface_files(data))
    # In this process, where an exception that `main` lets through fails the test.
    assert main(["complete", str(tmp_path), "--prompt", "def", "--temperature", "5", "--max-new-tokens", "40"]) == status
    assert status == 0 or capsys.readouterr().err.startswith(f"starmill: {tmp_path}: the model has ")
