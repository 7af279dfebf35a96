"""Secrets and addresses that another tool finds, run by the Python of the tool's own environment.

    secrets_by.py TOOL CASES.json SAMPLE.json OUT.json [GITLEAKS]

CASES and SAMPLE are lists of texts. OUT holds, for each case, the texts that were found in it, and of the sample the number of finds and
the CPU seconds that they took, with those of child processes.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

# bigcode-dataset, pii/utils/keys_detection.py: the plugins and filters of The Stack's keys.
BIGCODE_PLUGINS = (
    "ArtifactoryDetector AWSKeyDetector AzureStorageKeyDetector CloudantDetector DiscordBotTokenDetector GitHubTokenDetector "
    "IbmCloudIamDetector IbmCosHmacDetector JwtTokenDetector MailchimpDetector NpmDetector SendGridDetector SlackDetector "
    "SoftlayerDetector StripeDetector TwilioKeyDetector"
).split()
BIGCODE_FILTERS = ("is_potential_uuid", "is_likely_id_string", "is_templated_secret", "is_sequential_string")
Find = Callable[[str], list[str]]


def detect_secrets(bigcode: bool) -> Find:
    """Return what detect-secrets finds in a text, as a file of its own, with all its plugins or with BigCode's."""
    from detect_secrets import SecretsCollection
    from detect_secrets.settings import default_settings, transient_settings

    ours = {
        "plugins_used": [{"name": name} for name in BIGCODE_PLUGINS]
        + [{"name": "Base64HighEntropyString", "limit": 4.5}, {"name": "HexHighEntropyString", "limit": 3.0}],
        "filters_used": [{"path": f"detect_secrets.filters.heuristic.{name}"} for name in BIGCODE_FILTERS],
    }
    chosen = ours if bigcode else None
    path = Path(tempfile.mkdtemp(), "text.txt")

    def find(text: str) -> list[str]:
        path.write_text(text)
        secrets = SecretsCollection()
        with default_settings() if chosen is None else transient_settings(chosen):
            secrets.scan_file(str(path))
        return [secret.secret_value or "" for _, secret in secrets]

    return find


def presidio() -> Find:
    """Return what presidio's recognizers of addresses find in a text, without a model of language."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
    from presidio_analyzer.predefined_recognizers import EmailRecognizer, IpRecognizer

    class NoModel(NlpEngine):
        def load(self) -> None: ...
        def is_loaded(self) -> bool:
            return True

        def process_text(self, text: str, language: str) -> NlpArtifacts:
            return NlpArtifacts([], [], [], [], self, language)

        def process_batch(self, texts, language, **_):  # noqa: ANN001, ANN003, ANN202
            return ((text, self.process_text(text, language)) for text in texts)

        def is_stopword(self, word: str, language: str) -> bool:
            return False

        def is_punct(self, word: str, language: str) -> bool:
            return False

        def get_supported_entities(self) -> list[str]:
            return []

        def get_supported_languages(self) -> list[str]:
            return ["en"]

    registry = RecognizerRegistry(recognizers=[EmailRecognizer(), IpRecognizer()], supported_languages=["en"])
    engine = AnalyzerEngine(registry=registry, nlp_engine=NoModel(), supported_languages=["en"])
    return lambda text: [text[r.start : r.end] for r in engine.analyze(text, "en")]


def datatrove() -> Find:
    """Return what datatrove's formatter replaces in a text: e-mail and public IP addresses."""
    from datatrove.pipeline.formatters import PIIFormatter

    formatter = PIIFormatter(email_replacement="\0", ip_replacement="\0")
    return lambda text: re.findall("\0", formatter.format(text))


def dolma() -> Find:
    """Return what dolma's tagger by regular expressions finds in a text: e-mail and IP addresses, telephone numbers."""
    from dolma.core.data_types import Document
    from dolma.taggers.pii import FastPiiRegex

    tagger = FastPiiRegex()
    return lambda text: [text[s.start : s.end] for s in tagger.predict(Document("", text, "")).spans if s.type != "doc"]


def gitleaks(program: str, texts: list[str]) -> list[list[str]]:
    """Return what gitleaks finds in each text, as a file of its own in one folder."""
    with tempfile.TemporaryDirectory() as folder:
        for number, text in enumerate(texts):
            Path(folder, f"{number}.txt").write_text(text)
        report = Path(folder, "report.json")
        command = [
            program,
            "dir",
            folder,
            "--report-format",
            "json",
            "--report-path",
            str(report),
            "--exit-code",
            "0",
            "--no-banner",
        ]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "GOMAXPROCS": "1"})
        found: list[list[str]] = [[] for _ in texts]
        for find in json.loads(report.read_text()):
            found[int(Path(find["File"]).stem)] += [find["Secret"]]
    return found


def main() -> None:
    """Run a tool over cases and a sample."""
    tool, cases, sample, out = sys.argv[1:5]
    cases, sample = json.loads(Path(cases).read_text()), json.loads(Path(sample).read_text())
    if tool == "gitleaks":
        each = gitleaks(sys.argv[5], cases)
        took = []
        for texts in ([""], sample):  # what it takes to start is not counted
            start = sum(os.times()[:4])
            finds = sum(map(len, gitleaks(sys.argv[5], texts)))
            took.append(sum(os.times()[:4]) - start)
        seconds = took[1] - took[0]
    else:
        ways = {"detect-secrets": lambda: detect_secrets(False), "bigcode": lambda: detect_secrets(True)}
        find = {**ways, "presidio": presidio, "datatrove": datatrove, "dolma": dolma}[tool]()
        each = [find(text) for text in cases]
        began = time.process_time()
        finds = sum(len(find(text)) for text in sample)
        seconds = time.process_time() - began
    Path(out).write_text(json.dumps({"cases": each, "finds": finds, "seconds": seconds}))


if __name__ == "__main__":
    main()
