"""A request's prompts as token ids, and a conversation as the prompt of its answer.

In a text the sentinels of fill-in-the-middle are special tokens, since editors send them so; every other special token is text. In a
conversation the template's own special tokens count as such, and what the sides say is text whatever it holds.
"""

import json
import re
from pathlib import Path

from starmill.core.errors import InputError
from starmill.core.tokenizer import Tokenizer
from starmill.model.complete import prompt_ids
from starmill.model.template import Template
from starmill.serving.bodies import Completion, Message, Refused

FIM = ("<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<fim_pad>")
ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
ASSISTANT = (Path(__file__).parent / "assistant.txt").read_text("utf-8")
ASSISTANT_STOPS = ("\n-----", "\nHuman:")


def of_text(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the ids of a text to continue, or of the hole that its sentinels make. It begins a file, as `starmill complete` has it."""
    sentinels = [token for name in FIM for token in (name, name.replace("_", "-")) if tokenizer.has(name)]
    return prompt_ids(tokenizer, [text], True, sentinels)[0]


def of_completion(tokenizer: Tokenizer, body: Completion) -> list[list[int]]:
    """Return the prompts of a request: one text, several, token ids, or several lists of them. Raises Refused."""
    given = body.prompt
    if given is None:
        raise Refused("prompt: give a text, token ids, or a list of either", "prompt")
    if isinstance(given, list) and given and all(isinstance(one, int) for one in given):
        given = [given]  # type: ignore[list-item]
    many = given if isinstance(given, list) else [given]
    if not many:
        raise Refused("prompt: an empty list; give a text, token ids, or a list of either", "prompt")
    made = []
    for one in many:
        if isinstance(one, str):
            made.append(_filled(tokenizer, one, body.suffix) if body.suffix else of_text(tokenizer, one))
        elif isinstance(one, list) and not body.suffix:
            if any(number >= tokenizer.vocab_size for number in one):
                raise Refused(f"prompt: the model has the token ids 0 to {tokenizer.vocab_size - 1}", "prompt")
            made.append(one)
        else:
            raise Refused("prompt: give texts alone or token ids alone, and a suffix with a text only", "prompt")
    if not all(made):
        raise Refused("prompt: no tokens; give at least one", "prompt")
    return made


def _filled(tokenizer: Tokenizer, prefix: str, suffix: str) -> list[int]:
    if not all(map(tokenizer.has, FIM[:3])):
        raise Refused("suffix: this model has no tokens for a hole; leave it out", "suffix")
    return prompt_ids(tokenizer, [(prefix, suffix)], True)[0]


def turns(messages: list[Message]) -> list[dict[str, str]]:
    """Return what the sides say, as texts. Raises Refused."""
    made = []
    for at, message in enumerate(messages):
        if message.role not in ROLES:
            raise Refused(f"messages[{at}].role: {message.role!r:.60} is none of {', '.join(ROLES)}", "messages")
        parts = message.content or ""
        if not isinstance(parts, str):
            if any(part.type != "text" or part.text is None for part in parts):
                raise Refused(f"messages[{at}].content: only parts of type text are read", "messages")
            parts = "".join(part.text or "" for part in parts)
        made.append({"role": ROLES[message.role], "content": parts})
    return made


def of_chat(tokenizer: Tokenizer, template: Template | None, said: list[dict[str, str]]) -> list[int]:
    """Return the prompt of the next answer: by the model's template, or of a base model by the prompt of an assistant. Raises Refused."""
    if template is None:
        return prompt_ids(tokenizer, [_assistant(said)], True)[0]
    added = json.loads(tokenizer.data).get("added_tokens") or []
    names = [token["content"] for token in added if token["special"]]
    special = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))) or r"(?!)")
    # A token that a side says is another word while the template is at work, which no side says.
    mark = next(c for c in map(chr, range(0xE000, 0xF900)) if all(c not in one["content"] for one in said))
    marked = [one | {"content": special.sub(lambda m: f"{mark}{names.index(m[0])}{mark}", one["content"])} for one in said]
    try:
        text = template.render(marked, asks=True)
    except InputError as error:
        raise Refused(f"messages: {error}", "messages") from None

    def plain(piece: str) -> list[int]:
        found: list[int] = tokenizer.encode(re.sub(f"{mark}(\\d+){mark}", lambda m: names[int(m[1])], piece)).tolist()
        return found

    ids, at = [], 0
    for found in special.finditer(text):
        ids += [*plain(text[at : found.start()]), tokenizer.special(found[0])]
        at = found.end()
    return [*ids, *plain(text[at:])]


def _assistant(said: list[dict[str, str]]) -> str:
    begun = ASSISTANT
    for one in said:
        content = one["content"].strip()
        begun += f"{content}\n\n" if one["role"] == "system" else f"{NAMES[one['role']]}: {content}\n\n"
    return f"{begun}Assistant:"


NAMES = {"user": "Human", "assistant": "Assistant"}
