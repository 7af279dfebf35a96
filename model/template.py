"""Chat templates: a conversation to text by the tokenizer's own Jinja, as transformers renders it, and which text is a response.

A template comes with a model and is not trusted: it runs in Jinja's sandbox, without the time of day, with short ranges and without
products of texts. A response is what a turn of the assistant adds to the text that asks for that turn, its end of text included.
"""

import functools
import json
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import sandbox
from jinja2.exceptions import SecurityError
from jinja2.ext import loopcontrols

from starmill.core.conversations import Conversation
from starmill.core.errors import InputError, one_line
from starmill.core.files import read_small

MAX_BYTES = 1 << 20  # of a template, and of tokenizer_config.json
MAX_RANGE = 10_000
NAMES = ("bos_token", "eos_token", "unk_token", "pad_token")


class _Sandbox(sandbox.ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"*", "**"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError(f"a template may not compute {type(left).__name__} {operator} {type(right).__name__}")
        return super().call_binop(context, operator, left, right)


class Template:
    """A compiled template and the special tokens that it may name.

    >>> Template("{% for m in messages %}{{ m.content + eos_token }}{% endfor %}", {"eos_token": "<end>"}).render([{"content": "hi"}])
    'hi<end>'
    """

    def __init__(self, text: str, tokens: dict[str, str]) -> None:
        """Compile. Raises InputError for what is no template."""
        self.text, self.tokens = text, tokens
        environment = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.globals = {"range": _short_range, "namespace": jinja2.utils.Namespace, "raise_exception": _refuse}
        environment.filters["tojson"] = functools.partial(json.dumps, ensure_ascii=False)
        try:
            self._made = environment.from_string(text)
        except (jinja2.TemplateError, RecursionError) as error:
            raise InputError(f"no chat template ({one_line(error)}); give Jinja") from None

    def render(self, messages: list[dict[str, str]], asks: bool = False) -> str:
        """Return the text of messages; `asks` ends it where the assistant begins. Raises InputError with what the template refuses."""
        try:
            return self._made.render(messages=messages, add_generation_prompt=asks, **self.tokens)
        except Exception as error:  # a template raises what Python raises
            raise InputError(f"the chat template refuses it ({one_line(error)})") from None

    def pieces(self, found: Conversation) -> list[tuple[str, bool]]:
        """Return the text of a conversation in pieces, and whether each is a response. Raises InputError as `render`, and for a template
        that writes earlier turns otherwise when more follow.
        """
        if found.is_plain:
            return [(found.turns[0].content, False), (found.turns[1].content + self.tokens.get("eos_token", ""), True)]
        messages = [{"role": turn.role, "content": turn.content} for turn in found.turns]
        made: list[tuple[str, bool]] = []
        at, whole = 0, self.render(messages)
        for number, turn in enumerate(found.turns):
            if turn.role != "assistant" or number < found.first:
                continue
            before = self.render(messages[:number], asks=True)
            through = self.render(messages[: number + 1])
            if not (at <= len(before) <= len(through) and whole.startswith(through) and through.startswith(before)):
                raise InputError("the chat template writes a turn otherwise when others follow")
            made += [(through[at : len(before)], False), (through[len(before) :], True)]
            at = len(through)
        return [*made, (whole[at:], False)]


def of_folder(folder: Path, text: str | None = None) -> Template | None:
    """Return the template of a model's folder, or `text` with the folder's special tokens; None where there is neither.

    Raises InputError naming the file that cannot be read.
    """
    about: Any = {}
    if (place := folder / "tokenizer_config.json").is_file():
        try:
            about = json.loads(read_small(place, MAX_BYTES))
        except (ValueError, RecursionError) as error:
            raise InputError(f"{place}: no JSON ({one_line(error)}); fetch it again") from None
    about = about if isinstance(about, dict) else {}
    tokens = {}
    for name in NAMES:
        value = about.get(name)
        value = value.get("content") if isinstance(value, dict) else value  # an AddedToken
        if isinstance(value, str):
            tokens[name] = value
    place = folder / "chat_template.jinja"
    if text is None:
        text = read_small(place, MAX_BYTES).decode("utf-8", "replace") if place.is_file() else about.get("chat_template")
    if not isinstance(text, str):
        return None
    try:
        return Template(text, tokens)
    except InputError as error:
        raise InputError(f"{folder}: {error}") from None


def _short_range(*bounds: int) -> range:
    made = range(*bounds)
    if len(made) > MAX_RANGE:
        raise SecurityError(f"a template may not count to more than {MAX_RANGE:,}")
    return made


def _refuse(message: str) -> None:
    raise jinja2.TemplateError(message)
