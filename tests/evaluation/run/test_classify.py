"""A model that classifies texts: its labels' probabilities are transformers' own, and what does not classify is refused."""

import json
from pathlib import Path

import pytest
import tiny_model

from starmill.core.errors import InputError
from starmill.evaluation.run.classify import Classifier


def test_a_model_that_does_not_classify_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not classify"):
        Classifier(tiny_model.write(tmp_path))


@pytest.mark.slow  # imports transformers, which takes seconds
@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification"])
def test_probabilities(tmp_path: Path, problem: str) -> None:
    import transformers

    tiny_model.write(tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    shape = {"vocab_size": len(tokenizer), "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    labels = {0: "negative", 1: "neutral", 2: "positive"}
    config = transformers.BertConfig(
        **shape, num_attention_heads=2, max_position_embeddings=40, id2label=labels, problem_type=problem, pad_token_id=0
    )
    model = transformers.BertForSequenceClassification(config).eval()
    folder = tmp_path / "classifier"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["architectures"] == ["BertForSequenceClassification"]
    texts = ["the baker", "a painter of bakers is here", "", "x " * 99]
    found = Classifier(folder).probabilities(texts)
    assert all({*row} == {*labels.values()} for row in found)
    logits = model(**tokenizer(texts[1], return_tensors="pt", return_token_type_ids=False)).logits[0]
    wanted = logits.sigmoid() if problem.startswith("multi") else logits.softmax(-1)
    assert [*found[1].values()] == pytest.approx(wanted.tolist(), abs=1e-5)
