"""What devices can be here, by their drivers, and what PyTorch then says of them."""

import pytest
import torch

from starmill.core.errors import UsageError
from starmill.model import devices


@pytest.mark.parametrize("name", ["tpu", "", "cuda:", "cpu:0", "CPU", "cuda:1 ", "meta", "cuda:-1"])
def test_what_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"^--device .*give cpu, cuda"):
        devices.refuse("--device ", name)


def test_a_gpu_that_pytorch_has_is_never_refused() -> None:
    devices.refuse("device=", "cpu")
    if torch.cuda.is_available():
        devices.refuse("device=", "cuda")


def test_a_gpu_needs_a_driver(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setattr(devices, "DRIVERS", (str(tmp_path_factory.getbasetemp() / "none"),))
    with pytest.raises(UsageError, match="no driver of a GPU"):
        devices.refuse("device=", "cuda:1")
    monkeypatch.setattr(devices, "DRIVERS", (str(tmp_path_factory.getbasetemp()),))
    devices.refuse("device=", "cuda:1")
