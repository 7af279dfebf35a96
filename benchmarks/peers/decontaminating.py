"""What peers find of benchmarks in texts, run by the Python of their own environment: `decontaminating.py datatrove|dolma FOLDER`.

The folder has wanted.json, the benchmarks' texts, and texts.json; found.json is written: of each text whether it is contaminated.

datatrove: its filter of n-grams, 12 words as by default, with a tokenizer of `\\w+`: the default one is a language's, and downloads.
dolma: paragraphs, which are lines, of at least 40 characters, in a Bloom filter that the benchmarks filled.
"""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path


def with_datatrove(wanted: list[str], texts: list[str]) -> list[bool]:
    """Judge by the filter's own method, with the index in memory that its indexer would have written."""
    from datatrove.data import Document
    from datatrove.pipeline.decont import n_grams

    class Words:
        """The one method of a word tokenizer that is called."""

        find = re.compile(r"\w+")

        def word_tokenize(self, text: str) -> list[str]:
            """Return the words of a text."""
            return self.find.findall(text)

    n_grams.load_word_tokenizer = lambda language: Words()
    judge = n_grams.NGramsDecontFilter("/tmp")
    judge._index_hashes = {}
    for text in wanted:  # as its indexer does, which wants a library of evaluations
        words = Words().word_tokenize(n_grams.simplify_text(text, judge.config.norm_config))
        for gram in n_grams.ngrams(words, judge.config.n_grams):
            judge._index_hashes[judge.hash_func(" ".join(gram))] = "task"
    return [judge.filter(Document(text=text, id="0")) is not True for text in texts]


def with_dolma(wanted: list[str], texts: list[str], folder: Path) -> list[bool]:
    """Fill a Bloom filter with the wanted texts, and tag the texts' paragraphs by it."""
    for name, rows in (("wanted", wanted), ("texts", texts)):
        place = folder / name / "documents"
        place.mkdir(parents=True)
        with gzip.open(place / "0.json.gz", "wt", compresslevel=1) as file:
            file.writelines(json.dumps({"id": str(n), "text": text, "source": name}) + "\n" for n, text in enumerate(rows))
        command = [str(Path(sys.executable).parent / "dolma"), "dedupe", "--documents", str(place / "*.json.gz")]
        command += ["--dedupe.name", "decont", "--dedupe.paragraphs.attribute_name", "seen", "--dedupe.min_length", "40"]
        command += ["--dedupe.skip_empty", "--bloom_filter.file", str(folder / "bloom"), "--processes", "1"]
        command += ["--bloom_filter.estimated_doc_count", "1000000", "--bloom_filter.desired_false_positive_rate", "1e-9"]
        command += ["--bloom_filter.read_only"] if name == "texts" else ["--no-bloom_filter.read_only"]
        subprocess.run(command, check=True, stdout=sys.stderr)
    with gzip.open(folder / "texts/attributes/decont/0.json.gz", "rt") as file:
        told = {row["id"]: row["attributes"] for row in map(json.loads, file)}
    return [bool(told.get(str(n), {}).get("seen")) for n in range(len(texts))]


def main(tool: str, place: str) -> None:
    """Judge the texts of a folder."""
    folder = Path(place)
    wanted, texts = (json.loads((folder / f"{name}.json").read_text()) for name in ("wanted", "texts"))
    found = with_datatrove(wanted, texts) if tool == "datatrove" else with_dolma(wanted, texts, folder)
    (folder / "found.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
