"""The API of Text Generation Inference, which editors and huggingface_hub speak: /, /generate, /generate_stream, /info.

`/generate` answers an object and `/` a list of it, or pieces where it is asked to stream: each client can read one of them only. The
text of the pieces put together is `generated_text`, which ends before a stop, as OpenAI's does.
"""

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from starmill.core import __version__
from starmill.model.likelihood import Score
from starmill.serving import prompts as prompting
from starmill.serving.bodies import MAX_CHOICES, MAX_STOPS, Generate, Parameters, Refused, read
from starmill.serving.service import Reply, Service, Stream, event
from starmill.serving.worker import Token, Wanted

FINISH = {"stop": "stop_sequence", "eos": "eos_token", "length": "length"}
DEFAULT_TOKENS = 100


async def generate(service: Service, body: bytes) -> Reply:
    """POST /generate."""
    return await _generate(service, read(body, Generate), False)


async def generate_stream(service: Service, body: bytes) -> Reply:
    """POST /generate_stream."""
    return await _generate(service, read(body, Generate), True)


async def root(service: Service, body: bytes) -> Reply:
    """POST /: as `stream` in the body says."""
    asked = read(body, Generate)
    found = await _generate(service, asked, bool(asked.stream))
    return found if isinstance(found, Stream) else [found]


async def info(service: Service) -> Reply:
    """GET /info."""
    return {
        "model_id": service.name,
        "model_sha": None,
        "model_dtype": service.dtype,
        "model_device_type": service.device,
        "model_pipeline_tag": "text-generation",
        "max_concurrent_requests": service.worker.most,
        "max_best_of": 1,
        "max_stop_sequences": MAX_STOPS,
        "max_input_tokens": service.positions - 1,
        "max_total_tokens": service.positions,
        "max_client_batch_size": MAX_CHOICES,
        "router": "starmill",
        "version": __version__,
    }


async def _generate(service: Service, asked: Generate, streams: bool) -> Reply:
    given = asked.parameters or Parameters()
    prompts = await service.encoded(lambda: [prompting.of_text(service.tokenizer, asked.inputs)])
    if given.truncate:
        prompts = [prompts[0][-given.truncate :]]
    if not prompts[0]:
        raise Refused("`inputs` has no tokens; give a text", "inputs")
    service.check_prompts(prompts, "inputs")
    service.count(prompts)
    wanted = _wanted(service, prompts[0], given)
    prefill: list[dict[str, Any]] = []
    if given.decoder_input_details and not streams:
        scores = [None, *await service.worker.score(prompts[0], 0)]
        words = [(one, service.tokenizer.decode([one])) for one in prompts[0]]
        prefill = [
            {"id": one, "text": word, "logprob": score and score.logprob}
            for (one, word), score in zip(words, scores, strict=True)
        ]
    answer = service.worker.ask([wanted])
    before = asked.inputs if given.return_full_text else ""
    details: dict[str, Any] = {"seed": wanted.seed if wanted.temperature else None}
    told = partial(_token, service)

    async def pieces() -> AsyncIterator[bytes]:
        text, index = "", 0
        async for news in service.news(answer):
            text += news.text
            for at, token in enumerate(news.tokens, 1):
                index, last = index + 1, news.end and at == len(news.tokens)
                one: dict[str, Any] = {"index": index, "token": told(token) | {"text": news.text}}
                if given.top_n_tokens:
                    one["top_tokens"] = _tops(service, token)
                ended = details | {
                    "finish_reason": FINISH.get(news.end),
                    "generated_tokens": index,
                    "input_length": len(prompts[0]),
                }
                yield event(one | {"generated_text": before + text if last else None, "details": ended if last else None}, "")

    if streams:
        return Stream(pieces(), answer.close)
    text, tokens, end = "", list[Token](), ""
    try:
        async for news in service.news(answer):
            text, end = text + news.text, news.end
            tokens += news.tokens
    finally:
        answer.close()
    reply: dict[str, Any] = {"generated_text": before + text}
    if given.details or given.decoder_input_details:
        details |= {"finish_reason": FINISH[end], "generated_tokens": len(tokens), "prefill": prefill}
        details["tokens"] = [told(token) for token in tokens]
        if given.top_n_tokens:
            details["top_tokens"] = [_tops(service, token) for token in tokens]
        reply["details"] = details
    return reply


def _wanted(service: Service, prompt: list[int], given: Parameters) -> Wanted:
    """Return the row of a request. A temperature alone samples, as there; without one, only who asks for a sample gets one."""
    samples = given.do_sample or given.top_p not in (None, 1.0) or given.top_k
    temperature = given.temperature if given.temperature is not None else 1.0 if samples else 0.0
    return Wanted(
        prompt,
        min(given.max_new_tokens or DEFAULT_TOKENS, service.limits.new_tokens),
        temperature,
        given.top_p or 1.0,
        max(given.top_k or 0, 0),
        tuple(given.stop or ()),
        service.stop_ids(),
        service.seed_of(given.seed),
        0,
        given.top_n_tokens or 0,
    )


def _token(service: Service, token: Token) -> dict[str, Any]:
    assert token.score is not None
    text = service.tokenizer.decode([token.id]) if token.id < service.tokenizer.vocab_size else ""
    return {"id": token.id, "text": text, "logprob": token.score.logprob, "special": token.id in service.specials}


def _tops(service: Service, token: Token) -> list[dict[str, Any]]:
    assert token.score is not None
    return [_token(service, Token(one, 0, Score(one, logprob, []))) for one, logprob in token.score.tops]
