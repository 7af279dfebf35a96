"""What is planted: people, user names, passwords, keys and addresses, and what stands around them: names of settings, words, numbers.

Names are of many languages (data/names.txt), family names and words split: those that a model is measured by were never trained on.
Every choice is made by the generator that is given.
"""

import re
import string
import unicodedata
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

DATA = Path(__file__).parent / "data"
KINDS = ("NAME", "EMAIL", "KEY", "PASSWORD", "IP_ADDRESS", "USERNAME")
Split = Literal["train", "test"]
SIGNS = "!@$%&*#-_+=.?"
MARKS = [*'=:,;>([\'|<""/-\t ', " = ", ": ", " ", " => "]
HOSTS = "gmail.com outlook.com mail.ru web.de qq.com proton.me uni-koeln.de acme-corp.com wp.pl uol.com.br".split()
# Words of passwords and user names, and of what stands around; each fourth is the test's.
WORDS = (
    "alpha blue river stone cloud tiger summer winter dragon coffee monkey shadow silver pixel rocket mango falcon ninja pirate ghost "
    "sunny happy lucky crazy magic golden wolf bear eagle panda phoenix storm thunder ocean forest desert planet cosmic neon turbo hello "
    "welcome letmein qwerty sunshine princess football baseball master freedom secret love soccer hockey batman secure banana cookie cheese"
).split()
CODE = (
    "parser cache index value result request handler config data file node user list count offset buffer server client update delete "
    "build test main core model table column query filter module plugin render layout widget event signal queue worker task job shop fix "
    "path image media static public admin api service session token header option state error message version release branch commit patch"
).split()
# Names of settings; the last fourth of the words is the test's alone, and the rest everybody's.
KEYS = {
    "PASSKEY": "password password passwd pwd pass pw user_password root_password password_hash_seed passphrase passcode login_password",
    "USERKEY": "user username user_name login user_id login_name account_name owner_login uid account login_id nickname",
    "NAMEKEY": "author maintainer owner creator full_name contact_name reviewer written_by display_name developer editor lead_author",
    "HOST": "host server_ip ip address bind_address remote gateway node_ip dns_server peer listen_ip endpoint",
}
BEFORE = "db mysql smtp admin redis ftp test mail proxy app".split()


def drawn(slot: str, person: tuple[str, str], split: Split, draw: np.random.Generator) -> str:
    """Return the value of a slot of a format, of this person where it is somebody's."""
    given, family = person
    match slot:
        case "YEAR":
            return str(draw.integers(1998, 2026))
        case "DATE":
            year, month, day = draw.integers(2005, 2026), draw.integers(1, 13), draw.integers(1, 29)
            return (f"{year}-{month:02}-{day:02}", f"{day}/{month}/{year}", f"{day:02}.{month:02}.{year}")[_at(3, draw, 1)]
        case "N":
            return str(draw.integers(1, 10 ** int(draw.integers(1, 5))))
        case "WORD":
            return _one(words(CODE, split), draw)
        case "TITLE":
            return _one(words(CODE, split), draw).title()
        case "P":
            joined = "".join(_one(MARKS, draw) for _ in range(int(draw.integers(1, 4))))
            return f"{joined} " if draw.random() < 0.3 else joined
        case "NAME":
            return _name(given, family, draw)
        case "EMAIL":
            return f"{_handle(person, split, draw, '.')}@{_one(HOSTS, draw)}"
        case "USERNAME":
            return _handle(person, split, draw, "_-."[_at(3, draw)])
        case "PASSWORD":
            return _password(split, draw)
        case "IP_ADDRESS":
            return ".".join(str(draw.integers(low, 255)) for low in (11, 0, 0, 1))
        case "KEY":
            return _random(string.ascii_letters + string.digits, int(draw.integers(20, 44)), draw)
    return _setting(slot, split, draw)


def _at(count: int, draw: np.random.Generator, likelier: int = 0) -> int:
    """Return a number below count; zero is likelier by as many numbers as said."""
    return max(0, int(draw.integers(count + likelier)) - likelier)


def _one(some: list[str], draw: np.random.Generator) -> str:
    return some[int(draw.integers(len(some)))]


def _name(given: str, family: str, draw: np.random.Generator) -> str:
    middle = f"{chr(int(draw.integers(65, 91)))}. "
    forms = (f"{given} {family}", f"{given} {middle}{family}", f"{given[0]}. {family}", f"{given} {family.upper()}")
    return forms[_at(4, draw, 12)]


def _handle(person: tuple[str, str], split: Split, draw: np.random.Generator, joint: str) -> str:
    given, family = (re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", part).lower()) or "user" for part in person)
    word, other = (_one(words(WORDS, split), draw) for _ in range(2))
    number = int(draw.integers(1, 100))
    made = [
        f"{given}{joint}{family}",
        f"{given}{family}",
        f"{given[0]}{family}",
        f"{given[0]}{joint}{family}",
        f"{given}{family[0]}{number}",
        f"{given[:4]}{family[:4]}",
        f"{word}{number}",
        f"{given}{number}",
        f"{word}{joint}{given}",
        f"{word}{joint}{other}",
        f"{family}{joint}{word}",
        f"{word.title()}{given.title()}",
    ]
    return _one(made, draw)


def _password(split: Split, draw: np.random.Generator) -> str:
    word, other = (_one(words(WORDS, split), draw) for _ in range(2))
    number, sign = int(draw.integers(1, 2026)), SIGNS[int(draw.integers(len(SIGNS)))]
    made = [
        f"{word}{number}",
        f"{word.title()}{number}{sign}",
        f"{word}{sign}{number}",
        f"{word[:3]}{number}{word[-2:].upper()}",
        f"{word}-{other}-{number}",
        f"{word.title()}{other.title()}{number}",
        word.replace("a", "4").replace("e", "3").replace("o", "0") + str(number),
        _random(string.ascii_letters + string.digits, int(draw.integers(8, 16)), draw),
        _random(string.ascii_letters + string.digits + "!@$%&*", int(draw.integers(8, 14)), draw),
        _random(string.ascii_lowercase + string.digits, int(draw.integers(6, 12)), draw),
    ]
    return _one(made, draw)


def _random(alphabet: str, size: int, draw: np.random.Generator) -> str:
    return "".join(alphabet[int(at)] for at in draw.integers(0, len(alphabet), size))


def _setting(slot: str, split: Split, draw: np.random.Generator) -> str:
    """Return a setting's name, as each language writes names."""
    known = KEYS[slot].split()
    parts = _one(known if split == "test" else known[: -len(known) // 4], draw).split("_")
    if draw.random() < 0.25:
        parts = [_one(BEFORE, draw), *parts]
    lower = "_".join(parts)
    camel = parts[0] + "".join(part.title() for part in parts[1:])
    return (lower, lower.upper(), camel, "-".join(parts), camel[0].upper() + camel[1:], ".".join(parts))[_at(6, draw, 2)]


def words(some: list[str], split: Split) -> list[str]:
    """Return a split's words."""
    return [word for number, word in enumerate(some, 1) if (number % 4 == 0) == (split == "test")]


@cache
def people(split: Split) -> tuple[tuple[str, str], ...]:
    """Return the (given, family) names of a split: each fourth family name of a language is the test's."""
    found = []
    for line in lines("names.txt"):
        _, given, family = line.split("|")
        ours = [name for number, name in enumerate(family.split(), 1) if (number % 4 == 0) == (split == "test")]
        found += [(one, other) for one in given.split() for other in ours]
    return tuple(found)


@cache
def lines(name: str) -> tuple[str, ...]:
    """Return the lines of a file of data/ that are no comments."""
    return tuple(line for line in (DATA / name).read_text("utf-8").split("\n") if line and not line.startswith("# "))
