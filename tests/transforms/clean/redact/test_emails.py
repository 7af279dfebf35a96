"""E-mail addresses, what only looks like one, and what is written around one. No address stands in this file as such: `{at}` is the @."""

import mimetypes
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pygments.lexers import get_all_lexers
from tedious_texts import is_linear

from starmill.transforms.clean.redact import emails
from starmill.transforms.clean.redact.emails import GENERAL, find, is_extension

AT = "@"


def found(text: str) -> list[str]:
    text = text.replace("{at}", AT)
    return [text[a:b].replace(AT, "{at}") for a, b in find(text)]


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("mail jane.doe{at}uni-real.edu now", ["jane.doe{at}uni-real.edu"]),
        ("<a.b+c{at}x.co.uk>, d_e{at}mail.real.org.", ["a.b+c{at}x.co.uk", "d_e{at}mail.real.org"]),
        ("'x{at}y.io'", ["x{at}y.io"]),
        # domains that are words of programs too
        (
            '    "maria.lopez{at}empresa.com.py",\n    "ion.popescu{at}firma.md",',
            ["maria.lopez{at}empresa.com.py", "ion.popescu{at}firma.md"],
        ),
        ("# Author: abdi{at}tech.so and eva{at}firma.rs", ["abdi{at}tech.so", "eva{at}firma.rs"]),
        ("mailto:jane{at}corp.zip (jane{at}corp.name)", ["jane{at}corp.zip", "jane{at}corp.name"]),
        ("MAIL=ion{at}firma.md\nReported by sisyphus1{at}firma.com.au.", ["ion{at}firma.md", "sisyphus1{at}firma.com.au"]),
        # other alphabets
        ('"info{at}b\u00fccherladen.de"', ["info{at}b\u00fccherladen.de"]),
        ("a{at}xn--bcherladen-9db.de", ["a{at}xn--bcherladen-9db.de"]),
        (
            "\u043f\u043e\u0447\u0442\u0430{at}\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444",
            ["\u043f\u043e\u0447\u0442\u0430{at}\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444"],
        ),
        ("\u8054\u7cfb\u6211jane{at}qq.com\u90ae\u7bb1", ["jane{at}qq.com"]),
        ("\u7528\u6237{at}\u4f8b\u5b50.\u516c\u53f8", ["\u7528\u6237{at}\u4f8b\u5b50.\u516c\u53f8"]),
        # what is written around one, and how its signs are written
        (r"'\njane{at}corp.io\n'", ["jane{at}corp.io"]),
        (r"\u003cjane{at}corp.com\u003e \x3cjoe{at}corp.com\x3e", ["jane{at}corp.com", "joe{at}corp.com"]),
        ("%3Cjane{at}corp.com%3E ?mail=joe%40corp.com&x", ["jane{at}corp.com", "joe%40corp.com"]),
        ("=item Jane E<lt>a{at}b.orgE<gt>", ["a{at}b.org"]),
        (r"\fBjane{at}debian\&.org\fR bug\-sed{at}gnu.org", [r"jane{at}debian\&.org", r"bug\-sed{at}gnu.org"]),
        (r'"jane\{at}corp.com"; jane{at}{at}corp.org', [r"jane\{at}corp.com", "jane{at}{at}corp.org"]),
        ("{jane, bob.r}{at}cs.real.edu", ["{jane, bob.r}{at}cs.real.edu"]),
        ("jane{at}corp.com:hunter2\njoe{at}corp.de:p4ss;word", ["jane{at}corp.com", "joe{at}corp.de"]),
        ("exclude: [jane{at}corp.io/x]`", ["jane{at}corp.io"]),
        ("_jane{at}corp.com_ jane{at}corp.com.Then", ["jane{at}corp.com", "jane{at}corp.com"]),
        ("Jane <jane{at}laptop.local>", ["jane{at}laptop.local"]),
        ("123456789{at}qq.com 71234.321{at}compuserve.com", ["123456789{at}qq.com", "71234.321{at}compuserve.com"]),
        ("mails:\n  - jane{at}corp.io\n", ["jane{at}corp.io"]),
        (r"'\001jane{at}corp.org'", ["jane{at}corp.org"]),
        ("see https://corp.org, jane:joe{at}corp.com", ["joe{at}corp.com"]),
        ("Reported-by: Git <git{at}jasonk.me>", ["git{at}jasonk.me"]),
    ],
)
def test_what_goes(text: str, addresses: list[str]) -> None:
    assert found(text) == addresses


@pytest.mark.parametrize(
    "text",
    [
        "git clone git{at}host.com:owner/repo.git; scp x jane{at}host.com:~/x",
        "'git{at}github.com/x'",
        "icon{at}2x.png icon{at}2x.ico",
        "{at}decorator.name\ndef f(): ...",
        "npm i {at}scope/name{at}1.2.3 left-pad{at}1.2.3.zip",
        "me{at}example.com you{at}sub.example.org",
        "a {at} b.com",
        "https://user{at}host.com/ https://user:pass{at}host.com:80/",
        "kafka://one.org:9092,user:pass{at}corp.com/topic",
        r"ProtoP\001Z{at}google.golang.org/genproto \x1fZ{at}google.com",
        "no address",
        AT * 5000,
        f"{AT}.{AT}",
        # code
        "this{at}Screen.navigate(this{at}Screen.target)",
        "super{at}Screen.close()",
        "return P{at}H.T{at}np.linalg.inv(S)",
        "return x{at}model.weight + model.bias",
        "S = H{at}P{at}H.T + R",
        "y = x{at}self.id",
        "f(a{at}b.name, c{at}d.so)",
        "w = x{at}df.at[0]",
        # names of other things
        "systemctl start foo{at}bar.service dev{at}x.target user{at}.service",
        "pkg:maven/io.netty/netty{at}4.1.115.Final?type=jar",
        "aes128-gcm{at}openssh.com,umac-128{at}openssh.com rijndael-cbc{at}lysator.liu.se",
        "Message-ID: <20030528162613.GB8524{at}ns.real.net>",
        "<87y3gtcwa2.fsf{at}hope.real.org>",
        "Message-Id: <a1b2{at}mail.real.org>",
        "zip -r foo . -i{at}include.lst",
        "{project}{at}x.gserviceaccount.com",
        "a{at}b",
        "a{at}b.c1",
        "x{at}y.com(z)",
        "a{at}" + "b." * 12 + "com",
        "a" * 65 + "{at}corp.com",
        "a{at}" + "b" * 64 + ".com",
    ],
)
def test_what_stays(text: str) -> None:
    assert found(text) == []


def test_the_top_level_domains() -> None:
    rows = (Path(emails.__file__).parent / "tlds.txt").read_text(encoding="utf-8").splitlines()
    names = [row for row in rows if not row.startswith("#")]
    known = {name.split(" ")[0] for name in names}
    assert names == sorted(names) and len(known) == len(names) > 1400 and known > GENERAL
    extensions = {n.rsplit(".", 1)[-1] for _, _, ns, _ in get_all_lexers() for n in ns if n.startswith("*.")}
    extensions |= {e.removeprefix(".") for e in mimetypes.MimeTypes(()).types_map[1]}
    assert {name.split(" ")[0] for name in names if name.endswith(" x")} >= (extensions & known) - GENERAL
    assert is_extension("PY") and not is_extension("de") and not is_extension("nothing")


ODD = [
    "jane",
    AT,
    "corp.com",
    ".",
    "\\",
    "%40",
    "-",
    "_",
    "<",
    ">",
    '"',
    ":",
    "//",
    "{",
    "}",
    ",",
    " ",
    "\n",
    "é",
    "漢",
    "E",
    "git",
    "1",
    "=",
]


@settings(max_examples=1000, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(ODD), max_size=16).map("".join))
def test_finds_are_apart_in_order_and_hold_their_sign(text: str) -> None:
    read = 0
    for start, end in find(text):
        assert read <= start < end <= len(text) and (AT in text[start:end] or "%40" in text[start:end])
        assert any(re.search(anchor, text.encode()) for anchor in emails.ANCHORS)
        read = end


@pytest.mark.parametrize("local", ["jane", "jane.doe", "j_d+x", "Jane-Doe", "j2"])
@pytest.mark.parametrize("domain", ["corp.com", "mail.uni-x.de", "corp.co.uk", "firma.com.py", "corp.io"])
@pytest.mark.parametrize(
    "around",
    ["<%s>", "'%s'", '"%s"', "# by %s\n", " * Author: %s", "mailto:%s", "mail: %s\n", "(%s)", '["%s", "x"]', "\t%s,\n"],
)
def test_any_address_in_any_dress(local: str, domain: str, around: str) -> None:
    assert found("x = 1\n" + around % f"{local}{{at}}{domain}") == [f"{local}{{at}}{domain}"]


@pytest.mark.parametrize("unit", ["a@b.py,", "a@a.aa", "a@", "a%40b.de ", "{a,b}@c.de ", "a\\&.b@c\\&.de "])
def test_time_is_linear(unit: str) -> None:
    assert is_linear(lambda size: list(find(unit * (size // len(unit)))))
