"""Answers by a server with OpenAI's completions API, or its chat: several at a time, each tried again where the server is busy."""

import json
import os
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from http.client import HTTPException
from typing import Any

from starmill.core.errors import MachineError, UsageError, printable
from starmill.evaluation.run.generate import Decoding, Reply, Request
from starmill.evaluation.task import Prompt

ATTEMPTS = 8  # of a request; between them 1, 2, 4 ... seconds, or what the server says
LONGEST = 60.0  # seconds between two attempts
TIMEOUT = 600.0  # seconds for an answer
MAX_BYTES = 64 << 20  # of an answer
STOPS = 4  # as many as the API takes; the rest is cut here
BUSY = (408, 409, 425, 429, 500, 502, 503, 504)
ALL_ALIKE = (401, 403, 404, 405)  # what no other prompt would change


class Endpoint:
    """A model behind `URL/completions`. The key is that of the environment's OPENAI_API_KEY, if any."""

    def __init__(
        self, url: str, model: str, at_once: int = 8, pause: Callable[[float], None] = time.sleep, chat: bool = False
    ) -> None:
        """`model` is the name that the server knows; `at_once` requests wait at a time; `chat`: prompts are sent as messages."""
        self.chat = chat
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"--endpoint {url!r:.200}: not a URL of http or https; give one such as http://127.0.0.1:8000/v1")
        self.url, self.model, self.at_once, self.pause = url.rstrip("/"), model, at_once, pause
        self.identity = {"model": model, "by": "endpoint"}

    def answers(self, requests: Sequence[Request], decoding: Decoding) -> Iterator[tuple[int, str, str]]:
        """Yield answers as they come; a prompt that the server refuses has none. Raises MachineError where it does not answer."""
        for index, reply in self.replies(requests, decoding):
            yield index, reply.text, reply.refused

    def replies(self, requests: Iterable[Request], decoding: Decoding) -> Iterator[tuple[int, Reply]]:
        """Yield answers with why they end and what they took; a request is drawn when it is sent, after what came before was taken.

        What is under way when a user stops is not waited for: its threads end with the process.
        """
        came: queue.SimpleQueue[tuple[int, Reply | BaseException]] = queue.SimpleQueue()

        def ask(index: int, request: Request) -> None:
            try:
                came.put((index, self._one(request, decoding)))
            except BaseException as error:  # raised where it is waited for
                came.put((index, error))

        ahead, under_way = enumerate(requests), 0
        while True:
            while under_way < self.at_once and (one := next(ahead, None)) is not None:
                threading.Thread(target=ask, args=one, daemon=True).start()
                under_way += 1
            if not under_way:
                return
            index, found = came.get()
            under_way -= 1
            if isinstance(found, BaseException):
                raise found
            yield index, found

    def likelihoods(self, requests: Sequence[Request]) -> Iterator[tuple[int, str, str]]:
        """Yield what the server says of the tokens of texts that it gives back (`echo`, as vLLM does); one that does not has no answer."""
        for index, request in enumerate(requests):
            found, refused = [], ""
            for text in request.choices:
                body = {"model": self.model, "prompt": text, "max_tokens": 0, "echo": True, "logprobs": 1, "temperature": 0}
                said, refused = self._asked(body, _log_likelihood)
                if refused:
                    break
                found.append(said)
            yield index, "" if refused else json.dumps(found), refused

    def _one(self, request: Request, decoding: Decoding) -> Reply:
        body = {
            "model": self.model,
            **(
                {"messages": [{"role": "user", "content": request.prompt}]}
                if self.chat
                else {"prompt": written(request.prompt)}
            ),
            "max_tokens": decoding.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": request.seed(decoding),
            **({"stop": list(decoding.stops[:STOPS])} if decoding.stops or not self.chat else {}),
        }
        found, refused = self._asked(body, _message if self.chat else _text)
        return Reply("", refused) if refused else found

    def _asked(self, body: dict[str, Any], read: Callable[[Any], Any]) -> tuple[Any, str]:
        """Return what `read` finds in the answer, or "" and why there is none."""
        for attempt in range(ATTEMPTS):
            after = 0.0
            try:
                return self._read(body, read), ""
            except urllib.error.HTTPError as error:
                said = printable(ValueError(error.read(500).decode("utf-8", "replace")))
                if error.code in ALL_ALIKE:
                    raise UsageError(
                        f"{self.url}: {error.code} {said:.200}; give another --endpoint, model or OPENAI_API_KEY"
                    ) from None
                if error.code not in BUSY:
                    return "", f"{error.code} {said:.200}"
                told, after = f"{error.code} {said:.200}", _seconds(error.headers.get("Retry-After"))
            except (OSError, HTTPException, TimeoutError) as error:
                told = printable(error)
            except _NoAnswer as error:
                if attempt + 1 == ATTEMPTS:
                    raise MachineError(str(error)) from None
            if attempt + 1 < ATTEMPTS:
                self.pause(min(LONGEST, max(after, 2.0**attempt)))
        raise MachineError(
            f"{self.url}: no answer after {ATTEMPTS} attempts ({told:.200}); start it, then run the same command again"
        )

    def _read(self, body: dict[str, Any], read: Callable[[Any], Any]) -> Any:
        place = "chat/completions" if "messages" in body else "completions"
        key = os.environ.get("OPENAI_API_KEY", "")
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        asked = urllib.request.Request(f"{self.url}/{place}", json.dumps(body).encode(), headers, method="POST")
        with urllib.request.urlopen(asked, timeout=TIMEOUT) as reply:
            data = reply.read(MAX_BYTES)
        said = f"{self.url}: an answer without {read.__doc__}: {data[:100]!r}; is it OpenAI's API, with what is asked?"
        try:
            answer = json.loads(data)
        except ValueError:
            raise _NoAnswer(said) from None
        try:
            return read(answer)
        except (LookupError, TypeError):  # whole, and of another API: asked again it is the same
            raise MachineError(said) from None


class _NoAnswer(Exception):
    """What was answered is no JSON: a proxy's page, or an answer that was cut."""


def _text(answer: Any) -> Reply:
    """choices[0].text"""
    return _reply(answer, answer["choices"][0]["text"])


def _message(answer: Any) -> Reply:
    """choices[0].message.content"""
    return _reply(answer, answer["choices"][0]["message"]["content"])


def _reply(answer: Any, text: Any) -> Reply:
    if not isinstance(text, str):
        raise TypeError
    ended, used = answer["choices"][0].get("finish_reason"), answer.get("usage")
    counts = [used.get(name) if isinstance(used, dict) else None for name in ("prompt_tokens", "completion_tokens")]
    asked, told = (count if type(count) is int and count >= 0 else None for count in counts)
    return Reply(text, "", ended if isinstance(ended, str) else "", asked, told)


def _log_likelihood(answer: Any) -> float:
    """choices[0].logprobs.token_logprobs"""
    found = answer["choices"][0]["logprobs"]["token_logprobs"]
    return float(sum(one for one in found if one is not None))


def _seconds(said: str | None) -> float:
    return float(said) if said is not None and said.isdigit() else 0.0


def written(prompt: Prompt) -> str:
    """Return a prompt as text; of a hole, with StarCoder's sentinels, prefix before suffix."""
    return prompt if isinstance(prompt, str) else f"<fim_prefix>{prompt[0]}<fim_suffix>{prompt[1]}<fim_middle>"
