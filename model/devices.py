"""Where a model runs: whether a device can be here, asked without PyTorch, which takes seconds to import; and which one it is."""

import os
import re

from starmill.core.errors import UsageError

DEVICES = re.compile(r"cpu|mps|(?:cuda|xpu)(?::\d{1,3})?")
# Through which the drivers of NVIDIA, AMD and Windows' Linux are reached: PyTorch calls the devices of all three cuda.
DRIVERS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")


def refuse(option: str, device: str) -> None:
    """Raise UsageError, which names the option, for a device that PyTorch cannot have here; it knows what the others can do.

    >>> refuse("--device ", "cpu")
    """
    if not DEVICES.fullmatch(device):
        raise UsageError(f"{option}{device}: no such device; give cpu, cuda, cuda:1, mps or xpu")
    if device.startswith("cuda") and not any(map(os.path.exists, DRIVERS)):
        raise UsageError(f"{option}{device}: this machine has no driver of a GPU; give cpu, or leave it out")


def usable(device: str | None) -> str:
    """Return a device that PyTorch has: the one that is wanted, or a GPU where there is one. Raises UsageError, which names --device.

    >>> usable("cpu")
    'cpu'
    """
    import torch

    where = device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=where)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {where}: {str(error).splitlines()[0]:.200}; give cpu, or leave it out") from None
    return where
