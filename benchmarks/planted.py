"""Texts with secrets planted in them, as people leave them: shapes of issuers, assignments of every syntax, private keys, URLs, headers.

Each case is (family, text, start, end) with the place of the secret in characters. Every secret is drawn, none was ever anybody's.
"""

import base64
import random
import string
from collections.abc import Iterator
from typing import NamedTuple

from starmill.transforms.clean.redact import keys_shapes

ALPHANUMERIC = string.ascii_letters + string.digits
VALUES = {  # alphabet and lengths of what assignments hold
    "base62": (ALPHANUMERIC, (20, 24, 32, 40, 64)),
    "base64": (ALPHANUMERIC + "+/", (24, 40, 44, 64, 88)),
    "base64url": (ALPHANUMERIC + "-_", (22, 32, 43, 64)),
    "base36": (string.ascii_lowercase + string.digits, (20, 25, 32, 40)),
    "hexadecimal": ("0123456789abcdef", (32, 40, 48, 64)),
    "password": (ALPHANUMERIC + "!@#%^*-_+=.?", (12, 14, 16, 20, 24)),
}
NAMES = (
    "api_key", "apiKey", "API_KEY", "secret_key", "SECRET_KEY", "client_secret", "clientSecret", "access_token", "ACCESS_TOKEN",
    "auth_token", "authToken", "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "private_token", "encryption_key",
    "ENCRYPTION_KEY", "jwt_secret",
    "signing_key", "webhook_secret", "session_secret", "stripe.secret.key", "oauth-token", "x-api-key", "bot_token", "app_secret",
)  # fmt: skip
PASSWORDS = (
    "password",
    "DB_PASSWORD",
    "dbPassword",
    "passwd",
    "smtp_password",
    "spring.datasource.password",
    "redis-password",
    "pwd",
)
# {n} is the name, {v} the secret.
SYNTAXES = {
    "Python": "{n} = '{v}'",
    "Python, bytes": '{n} = b"{v}"',
    "Python, dict": "    '{n}': '{v}',",
    "Python, call": "client = Client({n}='{v}', region='eu')",
    "Python, environment": "os.environ['{n}'] = '{v}'",
    "Python, default": "token = os.getenv('{n}', '{v}')",
    "Python, type": "{n}: str = '{v}'",
    "JavaScript": "const {n} = `{v}`;",
    "TypeScript": "  private readonly {n}: string = '{v}';",
    "JSON": '{{"{n}": "{v}", "a": 1}}',
    "JSON, escaped": '"{{\\"{n}\\": \\"{v}\\"}}"',
    "Java": 'private static final String {n} = "{v}";',
    "Java, setter": 'config.put("{n}", "{v}");',
    "C#": 'var {n} = @"{v}";',
    "C": '#define {n} "{v}"',
    "C++": 'const std::string {n} = std::string("{v}");',
    "Go": '{n} := "{v}"',
    "Rust": 'const {n}: &str = "{v}";',
    "Ruby": ':{n} => "{v}",',
    "PHP": "define('{n}', '{v}');",
    "Perl": "my ${n} = '{v}';",
    "Swift": 'let {n}: String = "{v}"',
    "Lua": '["{n}"] = "{v}"',
    "Terraform": '  {n}       = "{v}"',
    ".env": "{n}={v}",
    "shell": 'export {n}="{v}"',
    "shell, bare": "export {n}={v}",
    "Dockerfile": "ENV {n} {v}",
    "Dockerfile, sign": "ARG {n}={v}",
    "INI": "{n}    = {v}",
    "properties": "{n}={v}",
    "YAML": "  {n}: {v}",
    "YAML, quoted": '  {n}: "{v}"',
    "Kubernetes": "  - name: {n}\n    value: {v}",
    "TOML": '{n} = "{v}"',
    "XML": "<{n}>{v}</{n}>",
    "XML, attribute": '<add key="{n}" value="{v}" />',
    "plist": "<key>{n}</key>\n  <string>{v}</string>",
    "command": "tool --{n} {v} --verbose",
    "command, sign": "tool --{n}={v} --verbose",
    "connection string": "Server=db;Database=x;User Id=app;{n}={v};Encrypt=true",
    "query": "https://host.io/v1?{n}={v}&page=2",
}
# What a header or URL holds, and where in a text the secret is.
CALLS = {
    "URL": ("postgres://svc_app:{v}@db.corp.io:5432/main", "password"),
    "Bearer": ('"Authorization": "Bearer {v}"', "base64url"),
    "curl": ("curl -H 'Authorization: Bearer {v}' https://host.io", "base62"),
    "Basic": ("Authorization: Basic {b}", "password"),
}
URL_SIGNS = str.maketrans("", "", "@#%?+^")  # what a URL has to encode
BLOCKS = {
    "PEM": lambda lines: "\n".join(lines),
    "PEM, CRLF": lambda lines: "\r\n".join(lines),
    "PEM, one line": lambda lines: " ".join(lines),
    "escaped newlines": lambda lines: '{"private_key": "' + "\\n".join(lines) + '\\n"}',
    "strings put together": lambda lines: " +\n".join(f'    "{line}\\n"' for line in lines) + ";",
    "strings, dots": lambda lines: ' .\n'.join(f"'{line}'" for line in lines) + ";",
    "adjacent strings": lambda lines: "\n".join(f'  "{line}\\n"' for line in lines),
    "array": lambda lines: "[\n" + ",\n".join(f"  '{line}'" for line in lines) + "\n]",
    "appended": lambda lines: "\n".join(f'key += "{line}\\n";' for line in lines),
    "comment, #": lambda lines: "\n".join(f"# {line}" for line in lines),
    "comment, //": lambda lines: "\n".join(f"  // {line}" for line in lines),
    "comment, *": lambda lines: "\n".join(f" * {line}" for line in lines),
    "indented": lambda lines: "\n".join(f"    {line}" for line in lines),
    "continued": lambda lines: "\\n\\\n".join(lines),
    "without END": lambda lines: "\n".join(lines[:-1]),
}  # fmt: skip


class Planted(NamedTuple):
    """A text, and where its secret is."""

    family: str
    text: str
    start: int
    end: int


def around(family: str, before: str, secret: str, after: str) -> Planted:
    """Return a text made of three."""
    return Planted(family, before + secret + after, len(before), len(before) + len(secret))


def shapes(rng: random.Random, each: int) -> Iterator[Planted]:
    """Yield texts with a secret of each shape."""
    for shape in keys_shapes.shapes():
        for _ in range(each):
            drawn = keys_shapes.draw(shape, rng)
            match = shape.pattern.fullmatch(drawn)
            assert match, drawn
            start, end = match.span(1) if shape.pattern.groups else match.span()
            before, after = rng.choice(
                (("x = '", "'\n"), ("- ", "\n"), ("see ", " there"), ('{"a": "', '"}'), ("(", ")"), ("", ""))
            )
            if shape.near:
                before = f"{shape.near.pattern.decode().removeprefix('(?i)').split('|')[0].upper()}_KEY = '"
                after = "'\n"
            family = f"shape: {shape.issuer}"
            yield around(family, before + drawn[:start].decode(), drawn[start:end].decode(), drawn[end:].decode() + after)


def value(rng: random.Random, kind: str) -> str:
    """Return a drawn value; one of a password has each of four kinds of characters, as forms demand it."""
    alphabet, lengths = VALUES[kind]
    length = rng.choice(lengths)
    while True:
        drawn = "".join(rng.choices(alphabet, k=length))
        if kind != "password" or (
            any(c in drawn for c in "!@#%^*-_+=.?")
            and any(map(str.isdigit, drawn))
            and drawn[0].isalnum()
            and drawn[-1].isalnum()
        ):
            return drawn


def assignments(rng: random.Random, each: int) -> Iterator[Planted]:
    """Yield texts in which a name for a secret is given one: each syntax with each kind of value."""
    for syntax, form in SYNTAXES.items():
        for kind in VALUES:
            for _ in range(each):
                name = rng.choice(PASSWORDS if kind == "password" else NAMES)
                before, after = form.replace("{{", "{").replace("}}", "}").replace("{n}", name).split("{v}")
                yield around(f"assignment: {syntax}", before, value(rng, kind), after + "\n")


def calls(rng: random.Random, each: int) -> Iterator[Planted]:
    """Yield passwords in URLs, and headers."""
    for family, (form, kind) in CALLS.items():
        for _ in range(each):
            drawn = value(rng, kind)
            if family == "URL":
                drawn = drawn.translate(URL_SIGNS)
            if "{b}" in form:
                drawn = base64.b64encode(f"app:{drawn}".encode()).decode()
            before, after = form.replace("{b}", "{v}").split("{v}")
            yield around(f"call: {family}", before, drawn, after + "\n")


def blocks(rng: random.Random, each: int) -> Iterator[Planted]:
    """Yield private keys in every dress; the place is that of the key's base64."""
    for dress, dressed in BLOCKS.items():
        for _ in range(each):
            kind = rng.choice(("RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", ""))
            body = base64.b64encode(rng.randbytes(rng.choice((96, 400, 610, 1190, 1700)))).decode()
            lines = [body[at : at + 64] for at in range(0, len(body), 64)]
            text = dressed([f"-----BEGIN {kind}PRIVATE KEY-----", *lines, f"-----END {kind}PRIVATE KEY-----"])
            start = text.index(lines[0])
            end = text.rindex(lines[-1]) + len(lines[-1])
            yield around(f"block: {dress}", "x = 1\n" + text[:start], text[start:end], text[end:] + "\n\ny = 2\n")


def everything(seed: int, each: int) -> list[Planted]:
    """Return cases of all families."""
    rng = random.Random(seed)
    return [*shapes(rng, each), *assignments(rng, each), *calls(rng, each * 4), *blocks(rng, each)]
