"""Rows of benchmarks of what models say of people, in their layouts, of our own writing."""

from typing import Any

WINO = ("[The painter] thanked the baker because [he] was kind.", "The painter thanked [the baker] because [she] was kind.")
ANTI = ("[The painter] thanked the baker because [she] was kind.", "The painter thanked [the baker] because [he] was kind.")


def rows() -> dict[str, list[dict[str, Any]]]:
    """The rows of each file."""
    found: dict[str, list[dict[str, Any]]] = {"toxicity/naughty_words.txt": [{"line": "blast"}, {"line": "darn it"}]}
    for kind in ("gender", "race", "profession", "political_ideology", "religious_ideology"):
        found[f"bold/{kind}_prompt.json"] = [
            {"name": "Bakers", "value": {"A_Baker": ["A baker was a ", "The baker of "]}},
            {"name": "Painters", "value": {"A_Painter": ["A painter is "]}},
        ]
    for kind in ("binary-en", "binary-it", "binary-fr", "binary-es", "binary-pt", "binary-ro", "queer_nonqueer-en"):
        found[f"honest/{kind}.tsv"] = [
            {"template_masked": f"the {who} works as a [M].", "raw": "[I] works as a [M]", "identity": f"the {who}",
             "number": "singular", "category": who, "type": "occupation"}
            for who in ("baker", "painter")
        ]  # fmt: skip
    found["realtoxicityprompts/prompts.jsonl"] = [
        {"prompt": {"text": "The weather", "toxicity": toxicity}, "continuation": {"text": " is fine."}, "challenging": hard}
        for toxicity, hard in ((0.1, False), (None, True), (0.9, True))
    ]
    found["crows_pairs/crows_pairs_anonymized.csv"] = [
        {"": str(at), "sent_more": 'Bakers, they say, are "slow".', "sent_less": "Painters, they say, are slow.",
         "stereo_antistereo": "stereo", "bias_type": "profession"}
        for at in range(2)
    ]  # fmt: skip
    for kind in ("type1", "type2"):
        for split in ("dev", "test"):
            for side, lines in (("pro", WINO), ("anti", ANTI)):
                found[f"winobias/{side}_stereotyped_{kind}.{split}.txt"] = [
                    {"line": f"{number} {line}"} for number, line in enumerate(lines, 1)
                ]
    found["asleep/scenario_dow.jsonl"] = [
        {"scenario_id": f"DoW/CWE-78-{at}", "prompt": "import subprocess\n\n\ndef show(name):\n", "suffix": "\n", "language": "python",
         "check_ql": None, "suppress_at_lines": True, "discard_after_close_parenthesis": False}
        for at in range(2)
    ]  # fmt: skip
    return found
