"""Our detectors in presidio's real AnalyzerEngine, without a language model or network."""

import socket

import pyarrow as pa
import pytest
from presidio_analyzer import Pattern, PatternRecognizer

from starmill.transforms.clean.redact import Redact
from starmill.transforms.clean.redact.presidio import ENTITIES, Recognizer, analyzer

TEXT = "é mail jane.doe" + "@corp.io, host = '93.184." + "216.34', thanks @ann"


def test_an_engine_finds_what_redaction_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    told = analyzer(("emails", "ip_addresses", "keys", "mentions")).analyze(TEXT, language="en")
    [(_, _, finds)] = Redact(mentions=True).finds(pa.array([TEXT]))
    assert sorted((r.start, r.end, r.entity_type) for r in told) == sorted(
        (f.start, f.end, ENTITIES.get(f.kind, f.kind)) for f in finds
    )
    assert {r.entity_type for r in told} == {"EMAIL_ADDRESS", "IP_ADDRESS", "USERNAME"} and {r.score for r in told} == {1.0}


def test_beside_others_and_by_entity() -> None:
    engine = analyzer()
    engine.registry.add_recognizer(PatternRecognizer("BADGE", patterns=[Pattern("badge", r"badge \d+", 0.5)]))
    assert [r.entity_type for r in engine.analyze("badge 12", language="en")] == ["BADGE"]
    assert [r.entity_type for r in engine.analyze(TEXT, language="en", entities=["IP_ADDRESS"])] == ["IP_ADDRESS"]
    assert Recognizer("emails").analyze(TEXT, ["IP_ADDRESS"]) == []
    with pytest.raises(KeyError):
        Recognizer("nothing")
