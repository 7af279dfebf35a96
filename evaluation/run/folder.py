"""A model in a folder: of our families by our own engine, of others by transformers."""

from pathlib import Path
from typing import TYPE_CHECKING

from starmill.model import devices
from starmill.model.exchange import folders
from starmill.model.exchange.families import ExchangeError

if TYPE_CHECKING:
    from starmill.evaluation.run.huggingface import Transformers
    from starmill.evaluation.run.ours import Ours


def model_of(
    folder: Path, batch: int = 16, dtype: str = "stored", device: str | None = None, chat: bool = False
) -> "Ours | Transformers":
    """Load a model. Raises InputError, naming what is wrong with the folder, and UsageError for a device that is none."""
    if device:
        devices.refuse("--device ", device)
    try:
        folders.shape(folder)
    except ExchangeError:
        if not (folder / "config.json").is_file():
            raise
        from starmill.evaluation.run.huggingface import Transformers  # a family that is not ours

        return Transformers(folder, batch, dtype, device, chat)
    from starmill.evaluation.run.ours import Ours

    return Ours(folder, batch, dtype, device, chat)
