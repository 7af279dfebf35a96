"""The benchmark that needs a GPU runs without one on two layers, and its peers have the shapes that it says."""

import gpu_case
import gpu_train
import pytest
import torch
from gpu_case import Case

from starmill.model.config import parameter_count

SMOKE = Case("starmill", "smoke", 64, 4, 2, 1, "cpu")


def test_a_step_is_split_without_remainder() -> None:
    told = gpu_case.measure(SMOKE)
    assert told["loss"] == pytest.approx(6.24, abs=0.2)  # log 512 of random weights and tokens
    assert told["profile"]["matrix products"] > 0 and told["profile"]["attention"] > 0
    lines = gpu_train.gap(SMOKE, told, peak=1e12)
    seconds = [float(line.split("|")[2]) for line in lines if line.startswith("| ") and "seconds" not in line]
    assert sum(seconds) == pytest.approx(told["step"], abs=0.01)
    assert "| smoke | 64 | starmill | 2 |" in gpu_train.row(SMOKE, told, 1e12, None)
    refused = gpu_train.row(SMOKE, {"error": "out of memory"}, 1e12, 989.0)
    assert refused.count("|") == gpu_train.row(SMOKE, told, 1e12, 989.0).count("|") and "out of memory" in refused


def test_a_peer_takes_the_same_step() -> None:
    told = gpu_case.measure(Case("transformers", "smoke", 64, 4, 2, 1, "cpu"))
    assert told["loss"] == pytest.approx(6.24, abs=0.2) and "profile" not in told


@pytest.mark.parametrize(("size", "length"), [("1b", 4096), ("1b", 16_384), ("3b", 16_384)])
def test_transformers_has_the_same_parameters(size: str, length: int) -> None:
    config = gpu_case.shape(size, length)
    with torch.device("meta"):
        model, _ = gpu_case._transformers(config, length)
    assert sum(p.numel() for p in model.parameters()) == parameter_count(config)


def test_out_of_memory_takes_half(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def run(given: dict[str, int]) -> dict[str, str]:
        tried.append(given["micro_batch"])
        return {"error": "out of memory"} if given["micro_batch"] > 2 else {}

    monkeypatch.setattr(gpu_train, "run", run)
    assert gpu_train.fitting(Case("starmill", "3b", 4096, 16, 16, 1, "cuda"))[0].micro_batch == 2 and tried == [16, 8, 4, 2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu_train.parsed([])
    assert "--smoke shows on a CPU" in capsys.readouterr().err
