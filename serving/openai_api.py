"""OpenAI's completions and chat completions: replies whole and in pieces.

The prompt is a text, several, token ids, or several lists of them; choices are numbered prompt * n + sample. A suffix makes the prompt
a hole. `echo` with `logprobs` gives the log-probabilities of the prompt's own tokens, the first of which has none.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starmill.core.tokenizer import Tokenizer
from starmill.model.likelihood import Score
from starmill.serving import prompts as prompting
from starmill.serving.bodies import Chat, Completion, Fill, Refused, read
from starmill.serving.service import Reply, Service, Stream, event
from starmill.serving.text import Writer
from starmill.serving.worker import Answer, Token

FINISH = {"": None, "stop": "stop", "eos": "stop", "length": "length"}
DONE = b"data: [DONE]\n\n"
DEFAULT_TOKENS = 16  # of a completion, as OpenAI has it


@dataclass
class _Choice:
    """What has come of a choice: the text so far, tokens whose text is not given yet, and how many tokens."""

    given: int = 0  # characters
    begun: bool = False
    waiting: list[Token] = field(default_factory=list)
    count: int = 0


@dataclass(frozen=True)
class _Piece:
    """A piece of a choice that can be sent: text that stays, and the tokens that begin in it."""

    choice: int
    text: str
    tokens: list[Token]
    count: int  # tokens since the piece before
    end: str


async def models(service: Service) -> Reply:
    """GET /v1/models."""
    one = {"id": service.name, "object": "model", "created": service.created, "owned_by": "starmill"}
    more = {"max_model_len": service.positions, "attribution": service.release is not None}  # ours
    return {"object": "list", "data": [one | more]}


async def completions(service: Service, body: bytes) -> Reply:
    """POST /v1/completions."""
    asked = read(body, Completion)
    service.check_model(asked.model)
    if asked.echo and asked.suffix:
        raise Refused("echo: not with a suffix; leave one out", "echo")
    most = DEFAULT_TOKENS if asked.max_tokens is None else asked.max_tokens
    if not most and not asked.echo:
        raise Refused("max_tokens: 0 leaves nothing to answer without echo", "max_tokens")
    prompts = await service.encoded(partial(prompting.of_completion, service.tokenizer, asked))
    n = asked.n or 1
    service.check_prompts(prompts, "prompt", n)
    tokens = service.count(prompts)
    echoes = [_Echo("", [])] * len(prompts)
    if asked.echo:
        echoes = [_echo(service.tokenizer, prompt, _begins_file(service.tokenizer, asked.prompt, prompt)) for prompt in prompts]
        if asked.logprobs is not None:
            for echo, prompt in zip(echoes, prompts, strict=True):
                echo.score(prompt, await service.worker.score(prompt, asked.logprobs))
    answer = service.worker.ask(service.rows(prompts, asked, most, asked.logprobs) if most else [])
    head = {"id": service.next_id("cmpl"), "object": "text_completion", "created": service.created, "model": service.name}

    def choice(index: int, text: str, found: Sequence[Token], end: str | None) -> dict[str, Any]:
        told = None if asked.logprobs is None else _legacy(service.tokenizer, found)
        return {"index": index, "text": text, "logprobs": told, "finish_reason": end}

    def behind(index: int, found: Sequence[Token]) -> list[Token]:
        before = len(echoes[index // n].text)
        return [token._replace(offset=token.offset + before) for token in found]

    async def pieces() -> AsyncIterator[bytes]:
        written = 0
        for index in range(len(prompts) * n if asked.echo else 0):
            echo = echoes[index // n]
            yield event(head | {"choices": [choice(index, echo.text, echo.tokens, None if most else "length")]})
        async for piece in _pieces(service, answer):
            written += piece.count
            found = behind(piece.choice, piece.tokens)
            yield event(head | {"choices": [choice(piece.choice, piece.text, found, FINISH[piece.end])]})
        if asked.stream_options is not None and asked.stream_options.include_usage:
            yield event(head | {"choices": [], "usage": _usage(tokens, written)})
        yield DONE

    if asked.stream:
        return Stream(pieces(), answer.close)
    try:
        texts, found, ends, written = await _whole(service, answer, len(prompts) * n)
    finally:
        answer.close()
    made = [
        choice(i, echoes[i // n].text + text, [*echoes[i // n].tokens, *behind(i, found[i])], ends[i] or "length")
        for i, text in enumerate(texts)
    ]
    return head | {"choices": made, "usage": _usage(tokens, written)}


async def chat(service: Service, body: bytes) -> Reply:
    """POST /v1/chat/completions."""
    asked = read(body, Chat)
    service.check_model(asked.model)
    said = prompting.turns(asked.messages)
    if not said:
        raise Refused("messages: none given", "messages")
    prompts = [await service.encoded(partial(prompting.of_chat, service.tokenizer, service.template, said))]
    service.check_prompts(prompts, "messages", asked.n or 1)
    return await _messages(service, asked, prompts, service.template is None)


async def fill(service: Service, body: bytes) -> Reply:
    """POST /v1/fim/completions, as Mistral has it and Continue asks: a prompt and a suffix, answered like a chat."""
    asked = read(body, Fill)
    service.check_model(asked.model)
    if asked.prompt is None:
        raise Refused("prompt: none given", "prompt")
    holed = Completion(prompt=asked.prompt, suffix=asked.suffix)
    prompts = await service.encoded(partial(prompting.of_completion, service.tokenizer, holed))
    service.check_prompts(prompts, "prompt", asked.n or 1)
    return await _messages(service, asked, prompts, False)


async def _messages(service: Service, asked: Chat, prompts: Sequence[list[int]], assists: bool) -> Reply:
    """Return the answers to a prompt as messages; `assists` where they come behind the page of examples."""
    n, tokens = asked.n or 1, service.count(prompts)
    most = asked.max_completion_tokens or asked.max_tokens or service.positions
    tops = (asked.top_logprobs or 0) if asked.logprobs else None
    answer = service.worker.ask(service.rows(prompts, asked, most, tops, prompting.ASSISTANT_STOPS if assists else ()))
    head = {"id": service.next_id("chatcmpl"), "created": service.created, "model": service.name}

    def logprobs(found: Sequence[Token]) -> dict[str, Any] | None:
        return None if tops is None else {"content": [_told(service.tokenizer, token, tops) for token in found]}

    async def pieces() -> AsyncIterator[bytes]:
        chunk, written = head | {"object": "chat.completion.chunk"}, 0

        def sent(index: int, delta: dict[str, Any], found: Sequence[Token], end: str | None) -> bytes:
            told = {"index": index, "delta": delta, "logprobs": logprobs(found), "finish_reason": end}
            return event(chunk | {"choices": [told]})

        for index in range(n):
            yield sent(index, {"role": "assistant", "content": ""}, [], None)
        async for piece in _pieces(service, answer, strip=assists):
            written += piece.count
            if piece.text:
                yield sent(piece.choice, {"content": piece.text}, piece.tokens, None)
            if piece.end:
                yield sent(piece.choice, {}, [], FINISH[piece.end])
        if asked.stream_options is not None and asked.stream_options.include_usage:
            yield event(chunk | {"choices": [], "usage": _usage(tokens, written)})
        yield DONE

    if asked.stream:
        return Stream(pieces(), answer.close)
    try:
        texts, found, ends, written = await _whole(service, answer, n, strip=assists)
    finally:
        answer.close()
    made = [
        {
            "index": i,
            "message": {"role": "assistant", "content": text},
            "logprobs": logprobs(found[i]),
            "finish_reason": ends[i],
        }
        for i, text in enumerate(texts)
    ]
    return head | {"object": "chat.completion", "choices": made, "usage": _usage(tokens, written)}


async def _pieces(service: Service, answer: Answer, strip: bool = False) -> AsyncIterator[_Piece]:
    """Yield pieces that can be sent; `strip` the white space before the first word."""
    states = [_Choice() for _ in range(answer.open)]
    async for news in service.news(answer):
        state = states[news.row]
        state.waiting += news.tokens
        text = news.text.lstrip() if strip and not state.begun else news.text
        state.given, state.begun = state.given + len(news.text), state.begun or bool(text)
        if text or news.end:
            ready = [token for token in state.waiting if token.offset < state.given]
            yield _Piece(news.row, text, ready, news.count - state.count, news.end)
            state.waiting, state.count = state.waiting[len(ready) :], news.count


async def _whole(
    service: Service, answer: Answer, choices: int, strip: bool = False
) -> tuple[list[str], list[list[Token]], list[str | None], int]:
    """Return of each choice the text, the tokens and why it ended, and the number of tokens of all."""
    texts, tokens, ends, written = [""] * choices, [list[Token]() for _ in range(choices)], [FINISH[""]] * choices, 0
    async for piece in _pieces(service, answer, strip):
        texts[piece.choice] += piece.text
        tokens[piece.choice] += piece.tokens
        ends[piece.choice] = FINISH[piece.end]
        written += piece.count
    return texts, tokens, ends, written


@dataclass
class _Echo:
    """A prompt as it is given back."""

    text: str
    tokens: list[Token]

    def score(self, prompt: Sequence[int], scores: Sequence[Score]) -> None:
        """Give the tokens their scores; before the first token of a prompt stands nothing."""
        each = [None, *scores][len(prompt) - len(self.tokens) :]
        self.tokens = [token._replace(score=score) for token, score in zip(self.tokens, each, strict=True)]


def _echo(tokenizer: Tokenizer, prompt: Sequence[int], begins_file: bool) -> _Echo:
    writer, tokens = Writer(tokenizer), []
    for number in prompt[begins_file:]:
        tokens.append(Token(number, writer.written, None))
        writer.push([number])
    writer.push([], last=True)
    return _Echo(writer.take(last=True), tokens)


def _begins_file(tokenizer: Tokenizer, given: Any, prompt: Sequence[int]) -> bool:
    """Say whether a prompt's first token is the one that was put before a text."""
    ids = isinstance(given, list) and not isinstance(given[0], str)
    return not ids and tokenizer.has("<file_sep>") and prompt[0] == tokenizer.special("<file_sep>")


def _word(tokenizer: Tokenizer, number: int) -> str:
    """Return the text of a token; of one that is a part of a character `bytes:` and the bytes, as OpenAI has it: no two look alike."""
    data = tokenizer.decode_bytes([number]) if number < tokenizer.vocab_size else b""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in data)


def _legacy(tokenizer: Tokenizer, tokens: Sequence[Token]) -> dict[str, Any]:
    """Return the log-probabilities of a completion's tokens."""
    tops = [
        None if t.score is None else {_word(tokenizer, n): p for n, p in (*t.score.tops, (t.id, t.score.logprob))}
        for t in tokens
    ]
    return {
        "tokens": [_word(tokenizer, token.id) for token in tokens],
        "token_logprobs": [None if token.score is None else token.score.logprob for token in tokens],
        "top_logprobs": tops,
        "text_offset": [token.offset for token in tokens],
    }


def _told(tokenizer: Tokenizer, token: Token, tops: int) -> dict[str, Any]:
    """Return the log-probability of a chat's token."""
    assert token.score is not None

    def one(number: int, logprob: float) -> dict[str, Any]:
        data = tokenizer.decode_bytes([number]) if number < tokenizer.vocab_size else b""
        return {"token": data.decode("utf-8", "replace"), "logprob": logprob, "bytes": [*data]}

    return one(token.id, token.score.logprob) | {"top_logprobs": [one(*top) for top in token.score.tops[:tops]]}


def _usage(prompt: int, written: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": written, "total_tokens": prompt + written}
