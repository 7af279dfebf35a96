"""What people wrote on GitHub, without what machines added: mail's leftovers, the middles of long texts, bots, and logins.

The lists and numbers are StarCoder2's (paper, sections 2.2 and 2.3; bigcode-dataset, filtering_issues.py). Where the released code is
wrong, the paper holds: 100 lines of an issue's text and not 80; and a quotation is cut line by line, so that what stands before it is kept.
"""

import re

BOTS_IN = ("[bot]", "botmanager", "bors-", "jenkins", "k8s-", "-test-", "travis")
BOTS_END = tuple(
    "-automaton -automation -benchmark -build -deployer -cloud -bot -ci -linter -teamcity -test -testing -service-account".split()
)
BOTS = frozenset(
    "apache-hbase autorestci claassistant cmsbuild codecov-io codecov-commenter coveralls danger-public dnfclas msftclas pydocteur "
    "sparkqa karma-pr-reporter claassistantio probot-stale".split()
)
# What only a mail program leaves in a comment.
MAIL = ("reply to this email directly", "notifications@github.com", "view it on github")
MAIL_LINE = re.compile(
    r"(?i)reply to this email directly|notifications@github\.com|view it on github|(?<!-)-{3,} ?original message"
)
WROTE = re.compile(r"(?i)^(?:on .{1,200}|.{0,100}\d{1,2}:\d\d.{0,100}) wrote: *$")
SHORT = 3  # letters of a login that is looked for without an @
LOGIN = re.compile(r"@?[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\[bot\])?")


def is_bot(login: str) -> bool:
    """Say whether a login is a program's, case ignored. A name that only ends in `bot` (talbot) is a person's.

    >>> is_bot("dependabot[bot]"), is_bot("Foo-CI"), is_bot("talbot")
    (True, True, False)
    """
    low = login.lower()
    return low in BOTS or low.endswith(BOTS_END) or any(part in low for part in BOTS_IN)


def clean(text: str, max_lines: int, last_lines: int) -> str:
    r"""Return a text with LF line ends, without NULs, mail's leftovers and rules of underscores, and no longer than `max_lines`.

    >>> clean("Yes!\r\n\r\nOn Mon, Jan 5, Ann wrote:\r\n> Why?\r\nReply to this email directly or view it on GitHub", 100, 20)
    'Yes!'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    low = text.lower()
    if any(sign in low for sign in MAIL):
        text = "\n".join(
            line for line in text.split("\n") if not (line.startswith(">") or MAIL_LINE.search(line) or WROTE.match(line))
        )
    text = re.sub(r"_{20,}", "", text).strip()
    lines = text.split("\n")
    if len(lines) > max_lines:
        lines[max_lines - last_lines : len(lines) - last_lines] = ["[Truncated]"]
        text = "\n".join(lines)
    return text


def without_html_comments(text: str) -> str:
    """Return a text without what stands between `<!--` and `-->`; one that is not closed stays.

    >>> without_html_comments("a<!-- tell us -->b<!-- c")
    'ab<!-- c'
    """
    kept, at = [], 0
    while (start := text.find("<!--", at)) >= 0 and (end := text.find("-->", start + 4)) >= 0:
        kept.append(text[at:start])
        at = end + 3
    return "".join([*kept, text[at:]])


def masked(text: str, names: dict[str, str]) -> str:
    """Return a text in which the logins among `names` (lower-case) are replaced, as whole words in any case.

    One of a letter or two is a word of many other meanings: it is replaced behind an @ only.

    >>> masked("@Ann and ann-marie: Ann's patch", {"ann": "username_0"})
    "@username_0 and ann-marie: username_0's patch"
    """

    def replaced(match: re.Match[str]) -> str:
        word = match[0].lower()
        at = "@" if word[0] == "@" else ""
        name = names.get(word[1:] if at else word)
        return at + name if name and (at or len(word) >= SHORT) else match[0]

    return LOGIN.sub(replaced, text) if names else text
