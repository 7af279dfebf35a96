"""Assignments of every syntax, URLs and headers: each value goes whole, and what only stands beside a word for secrets stays."""

import random
import re

import planted
import pytest

from starmill.transforms.clean.redact.keys import find
from starmill.transforms.clean.redact.keys_assigned import DIGIT, LONGEST, REACH, assignment, issued

RNG = random.Random(8)


def found(text: str) -> set[str]:
    return {text[start:end] for start, end in find(text)}


@pytest.mark.parametrize("syntax", planted.SYNTAXES)
def test_syntaxes(syntax: str) -> None:
    missed = []
    for kind in planted.VALUES:
        for _ in range(20):
            name = RNG.choice(planted.PASSWORDS if kind == "password" else planted.NAMES)
            value = planted.value(RNG, kind)
            text = (
                planted.SYNTAXES[syntax].replace("{{", "{").replace("}}", "}").replace("{n}", name).replace("{v}", value) + "\n"
            )
            if value not in found(text):
                missed.append(text)
    assert len(missed) <= 0.08 * 20 * len(planted.VALUES), missed[:5]


def test_both_values_of_a_file_of_credentials_go() -> None:
    key, secret = "AKIA" + "NJDKRBQYUVVHTFYP", "iiDCVwW54AuzQt4Yz56U" + "gZ6v4yG1eTFBTx4oK2Nk"
    text = f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\nregion = eu-west-1\n"
    assert found(text) == {key, secret}


def test_commands_and_netrc() -> None:
    secret = "iiDCVwW54AuzQt4Yz56U" + "gZ6v4yG1eTFBTx4oK2Nk"
    assert found(f"$ aws configure set aws_secret_access_key {secret}\n") == {secret}
    assert found(f"machine api.host.org login me password {secret}\n") == {secret}
    assert found(f"who logs in gives no password {secret}\n") == set(), "prose assigns nothing"


def test_urls() -> None:
    secret = "t7Kq-9xWv" + "2Lp"
    for text in (
        f"mongodb+srv://app:{secret}@c.mongodb.net/x",
        f"redis://:{secret}@cache:6379/0",
        f"'https://bot:{secret}@[::1]/r.git'",
    ):
        assert found(text) == {secret}, text
    for stays in (
        "user:pass",
        "root:root",
        "app:guest",
        "me:${PASS}",
        "a:{password}",
        "joe:%s",
        "u:1234",
        "u:xxxx",
        "git:secret1",
    ):
        assert found(f"ftp://{stays}@host.org/") == set(), stays
    assert found("cvs://:pserver:anon7kq@sources.org:/cvs") == set()


def test_headers() -> None:
    basic = "YXBwOnQ3S3EtOXhXdjJMcA=="  # app, and a password that looks drawn
    assert found(f"Authorization: Basic {basic}") == {basic}
    assert found("Authorization: Basic bm90aGluZw==") == set(), "no colon in it"
    token = "gX9qLw3KzT7vPb2N" + "aaQ4zzRt"
    assert found(f"curl -H 'authorization: bearer {token}'") == {token}
    assert found("Bearer 123e4567-e89b-12d3-a456-426614174000") == set()


def test_tokens_of_pages_ids_of_webhooks_and_terms_stay() -> None:
    drawn, number = "gX9qLw3KzT7vPb2N" + "aaQ4zzRt", "754bbbd16f2ac14e" + "77f108cc"
    assert found(f"Next page token: {drawn}\n") == found(f"{{'page token': '{drawn}'}}") == set()
    assert found(f"get_webhook('{number}')") == found(f"webhook_id = '{number}'") == set()
    assert found(f"webhook_secret = '{number}'") == {number}
    name = "kQz7Lw3KzT7vPb2NaaQ4zzRt"
    for stays in (f"secret = {name} + AlgNum;", f"token = {name} || other;", f"x.secret = {name} * 2"):
        assert found(stays) == set(), stays
    assert found(f"secret = {name}\n") == {name}


def test_issuers_give_what_their_shape_says() -> None:
    value = "3f0c9a7be1d24586" + "9b0e6d7f1a2c4b58"
    assert found(f"DATADOG = '{value}'") == found(f"datadog_app: {value}") == {value}
    assert found(f"dogma = '{value}'") == found(f"datadog_hash = '{value}'") == set()
    uuid = "5f0c9a7b-e1d2-4586-9b0e-6d7f1a2c4b58"
    assert found(f"HEROKU_API_KEY={uuid}") == {uuid} and found(f"OTHER_API_KEY={uuid}") == set()


@pytest.mark.parametrize("values", [assignment(), issued()], ids=["words", "issuers"])
def test_no_match_is_longer_than_its_reach(values) -> None:
    longest = "Message_bird" if values is issued() else "Passphrase"
    link = "\\\\\\'])" + "?: " + "T" * 30 + " " * 4 + "=" * 3 + " " * 30 + "f" * 31 + "(" + " " * 10
    text = longest + "_" * 40 + link + "bb\\\\\\'" + "a" * DIGIT + "1" * LONGEST + "'"
    match = values.pattern.search(text.encode())
    if match:
        assert match.end() - match.start() <= REACH + LONGEST
    anchor = re.compile(values.anchor)
    for name in ("token", "datadog_x", "twilio-y"):
        for sign in (" = ", ": ", ":=", "=>", " : T = ", ", ", '" value="', "</key>\n<string>", "("):
            for value in ("'abcdefg1'", "1bcdefgh", "'abc1efgh'", "abcdefg1x"):
                hit = values.pattern.search(f"{name}{sign}{value} ".encode())
                assert not hit or anchor.search(hit.group()), (name, sign, value)
