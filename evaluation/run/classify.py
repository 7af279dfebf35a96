"""What a model that classifies texts says of answers: regard, sentiment or toxicity, by the labels that the named model has."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from starmill.core.errors import InputError, MachineError, one_line
from starmill.core.files import read_small
from starmill.evaluation.run.ours import digest

ROWS = 32  # texts at once
MAX_CONFIG = 1 << 20  # bytes


class Classifier:
    """A folder that transformers loads as one that classifies texts, from safetensors; no code in it is executed.

    Raises InputError for one that cannot be loaded.
    """

    def __init__(self, folder: Path, device: str | None = None) -> None:
        """Load the model."""
        try:
            kind = json.loads(read_small(folder / "config.json", MAX_CONFIG)).get("architectures") or [""]
        except (ValueError, AttributeError) as error:
            raise InputError(
                f"--classifier {folder}: config.json: {one_line(error):.100}; give a folder of transformers"
            ) from None
        if not str(kind[0]).endswith("ForSequenceClassification"):
            raise InputError(
                f"--classifier {folder}: a {str(kind[0])!r:.60}, which does not classify texts; give one that does"
            )
        try:
            import transformers
        except ModuleNotFoundError:
            raise MachineError("--classifier needs transformers, which is not installed: pip install transformers") from None
        import torch

        only: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, **only)
            model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, use_safetensors=True, **only)
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise InputError(f"--classifier {folder}: transformers cannot load it: {one_line(error):.300}") from None
        self.model: Any = model.eval().to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        config = self.model.config
        self.labels = [str(config.id2label[at]) for at in range(config.num_labels)]
        # A model of several labels at once, or of one, gives each a probability of its own.
        self.several = config.problem_type == "multi_label_classification" or config.num_labels == 1
        self.room = int(getattr(config, "max_position_embeddings", 512)) - 2  # some tables of positions begin at 2
        self.identity = digest(folder)

    def probabilities(self, texts: Sequence[str]) -> list[dict[str, float]]:
        """Return the probability of each label, of each text; what is longer than the model reads is cut."""
        import torch

        found = []
        for start in range(0, len(texts), ROWS):
            rows = [text or " " for text in texts[start : start + ROWS]]
            ids = [self.tokenizer(text)["input_ids"][: self.room] for text in rows]
            longest = max(map(len, ids))
            tokens = torch.tensor([[*one, *[self.tokenizer.pad_token_id or 0] * (longest - len(one))] for one in ids])
            mask = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in ids])
            with torch.inference_mode():
                logits = self.model(tokens.to(self.model.device), attention_mask=mask.to(self.model.device)).logits.float()
            shares = logits.sigmoid() if self.several else logits.softmax(-1)
            found += [dict(zip(self.labels, row, strict=True)) for row in shares.tolist()]
        return found
