"""What clients send: the fields of each request, their types and bounds, and what is refused because it would change the answer.

A field that nobody knows is left out, as OpenAI and Text Generation Inference leave it out; one that is known and not done here is
refused by name, unless its value is the one that changes nothing. Clients send null for what they do not set.
"""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Struct

MAX_STOPS = 32  # strings a request
MAX_STOP = 512  # characters of one
MAX_TOPS = 20  # likeliest tokens at a place
MAX_CHOICES = 128  # a request, over all its prompts

Whole = Annotated[int, Meta(ge=0, le=1 << 30)]
Temperature = Annotated[float, Meta(ge=0, le=100)]
TopP = Annotated[float, Meta(gt=0, le=1)]
TopK = Annotated[int, Meta(ge=-1, le=1 << 30)]
Choices = Annotated[int, Meta(ge=1, le=MAX_CHOICES)]
Tops = Annotated[int, Meta(ge=0, le=MAX_TOPS)]
Stop = Annotated[str, Meta(min_length=1, max_length=MAX_STOP)]
Stops = Stop | Annotated[list[Stop], Meta(max_length=MAX_STOPS)]
Seed = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
Ids = Annotated[list[Whole], Meta(max_length=MAX_STOPS)]

# Known fields that are not done here, and the values that change nothing.
NOT_DONE: dict[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "repetition_penalty": (1,),
    "length_penalty": (1,),
    "logit_bias": ({},),
    "min_p": (0,),
    "typical_p": (1,),
    "min_tokens": (0,),
    "use_beam_search": (False,),
    "include_stop_str_in_output": (False,),
    "prompt_logprobs": (),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "response_format": ({"type": "text"},),
    "grammar": (),
    "watermark": (False,),
    "adapter_id": (),
    "audio": (),
}


class Refused(Exception):
    """A request that is not answered: an HTTP status, what is wrong, and the field that is."""

    def __init__(self, said: str, field: str | None = None, status: int = 400, kind: str = "invalid_request_error") -> None:
        """`kind` is OpenAI's type of the error."""
        super().__init__(said)
        self.field, self.status, self.kind = field, status, kind


class StreamOptions(Struct):
    """Of OpenAI."""

    include_usage: bool | None = None


class Sampling(Struct):
    """What OpenAI's two requests share."""

    model: str | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    n: Choices | None = None
    stop: Stops | None = None
    stop_token_ids: Ids | None = None
    ignore_eos: bool | None = None
    seed: Seed | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Whole | None = None


class Completion(Sampling):
    """POST /v1/completions."""

    prompt: str | list[str | Whole | list[Whole]] | None = None
    suffix: str | None = None
    echo: bool | None = None
    logprobs: Tops | None = None


class Part(Struct):
    """A piece of a message."""

    type: str
    text: str | None = None


class Message(Struct):
    """What one side says."""

    role: str
    content: str | list[Part] | None = None


class Chat(Sampling):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Message], Meta(min_length=1, max_length=256)] = msgspec.field(default_factory=list)
    max_completion_tokens: Whole | None = None
    logprobs: bool | None = None
    top_logprobs: Tops | None = None


class Fill(Chat):
    """POST /v1/fim/completions."""

    prompt: str | None = None
    suffix: str | None = None


class Parameters(Struct):
    """Of Text Generation Inference."""

    max_new_tokens: Annotated[int, Meta(ge=1, le=1 << 30)] | None = None
    do_sample: bool | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    seed: Seed | None = None
    stop: Annotated[list[Stop], Meta(max_length=MAX_STOPS)] | None = None
    return_full_text: bool | None = None
    details: bool | None = None
    decoder_input_details: bool | None = None
    top_n_tokens: Tops | None = None
    truncate: Annotated[int, Meta(ge=1, le=1 << 30)] | None = None


class Generate(Struct):
    """POST /, /generate and /generate_stream."""

    inputs: str
    parameters: Parameters | None = None
    stream: bool | None = None


B = TypeVar("B", bound=Struct)


def fields_of(body: bytes) -> dict[str, Any]:
    """Return the fields of a body. Raises Refused for one that is no JSON object."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Refused(f"the body is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise Refused("the body is no JSON object")
    return found


def read(body: bytes, kind: type[B]) -> B:
    """Return the request of a body. Raises Refused, which names the field."""
    found = fields_of(body)
    inner = found.get("parameters")
    for fields in (found, inner if isinstance(inner, dict) else {}):
        _refuse_not_done(fields)
    try:
        return msgspec.convert(found, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        said, _, at = str(error).partition(" - at `$.")
        field = at.rstrip("`") or None
        raise Refused(f"{field or 'the body'}: {said}", field) from None


def _refuse_not_done(fields: Mapping[str, Any]) -> None:
    for name, neutral in NOT_DONE.items():
        value = fields.get(name)
        if value is not None and not any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in neutral):
            raise Refused(f"{name}: not done here; leave it out", name)
