"""The detectors as recognizers of presidio-analyzer, for those who have an AnalyzerEngine. Nothing here is used by a stage.

    from starmill.transforms.clean.redact import presidio
    presidio.analyzer().analyze("mail jane@corp.io", language="en")     # our detectors alone, without a language model or network
    registry.add_recognizer(presidio.Recognizer("ip_addresses"))        # one of them beside presidio's own

Needs presidio-analyzer: `pip install 'starmill[presidio]'`.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from starmill.transforms.clean.redact.redact import DETECTORS, Redact

# presidio's names of entities, where it has one for a kind.
ENTITIES = {"EMAIL": "EMAIL_ADDRESS"}


class Recognizer(EntityRecognizer):
    """One detector of `release.redact` by its option (`emails`, `ip_addresses`, `keys`, `mentions`). What it finds scores 1.

    >>> Recognizer("emails").analyze("mail jane@corp.io", ["EMAIL_ADDRESS"])
    [type: EMAIL_ADDRESS, start: 5, end: 17, score: 1.0]
    """

    def __init__(self, option: str, language: str = "en") -> None:
        """Wrap the detector. Raises KeyError for an option that is none."""
        self._option, kind = option, DETECTORS[option].kind
        super().__init__([ENTITIES.get(kind, kind)], name=f"starmill_{option}", supported_language=language)

    def load(self) -> None:
        """Load nothing: the patterns are there."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Return what the detector finds in a text, if its entity is among those wanted."""
        [entity] = self.supported_entities
        if entities and entity not in entities:
            return []
        chosen: dict[str, Any] = {option: option == self._option for option in DETECTORS}
        step = Redact(**chosen)
        return [
            RecognizerResult(entity, find.start, find.end, find.score)
            for _, _, finds in step.finds(pa.array([text], pa.large_string()))
            for find in finds
        ]


class NoLanguageModel(NlpEngine):
    """An engine without a model: our detectors ask for no tokens."""

    def load(self) -> None:
        """Load nothing."""

    def is_loaded(self) -> bool:
        """Say that nothing is missing."""
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """Return artifacts without tokens."""
        return NlpArtifacts([], [], [], [], self, language)

    def process_batch(self, texts: Iterable[str], language: str, *_: Any, **__: Any) -> Iterator[tuple[str, NlpArtifacts]]:
        """Yield each text with artifacts without tokens."""
        yield from ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word: str, language: str) -> bool:
        """Say no."""
        return False

    def is_punct(self, word: str, language: str) -> bool:
        """Say no."""
        return False

    def get_supported_entities(self) -> list[str]:
        """Return none: the recognizers have them."""
        return []

    def get_supported_languages(self) -> list[str]:
        """Return the language that the recognizers are registered for: they read any."""
        return ["en"]


def analyzer(options: Iterable[str] = ("emails", "ip_addresses", "keys")) -> AnalyzerEngine:
    """Return an engine with these detectors, and no others."""
    registry = RecognizerRegistry(recognizers=[Recognizer(option) for option in options], supported_languages=["en"])
    return AnalyzerEngine(registry=registry, nlp_engine=NoLanguageModel(), supported_languages=["en"])
