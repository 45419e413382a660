"""Asks a service that speaks the OpenAI API for an answer, piece by piece, within limits of time, tokens and bytes."""

from __future__ import annotations

import ipaddress
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import Struct

from plimsoll.decoding import UNREADABLE
from plimsoll.errors import RequestError
from plimsoll.waits import waiting_for

if TYPE_CHECKING:
    import ssl

    import httpx2

CONNECT_LIMIT = 10.0
"""Seconds for a connection."""
MOST_BYTES = 16 << 20
"""Bytes of one answer with its events."""
MOST_OF_ERROR = 64 << 10
_SHOWN = 300
_DONE = b"[DONE]"

Finish = Literal["stop", "length", "time"]


class Message(Struct, frozen=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatRequest(Struct, frozen=True, kw_only=True):
    """What is asked for: at most `tokens` within `seconds`, with no chance in it unless `temperature` is set.

    The answer ends before any text of `stop`.
    """

    model: str
    messages: Sequence[Message]
    tokens: int
    seconds: float
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()


class Ended(Struct, frozen=True, kw_only=True):
    """How an answer ended, and the tokens that the service has counted."""

    finish: Finish = "stop"
    prompt_tokens: int | None = None
    tokens: int | None = None


class ChatService(Struct, frozen=True, kw_only=True):
    """A service: the address that the API's paths are below, and its key.

    `key_hint` says what to do when the key is refused, or one is missing. `host` is a name that the service goes by
    where it minds names, and `encryption` checks its certificate where the machine's authorities cannot.
    """

    url: str
    key: str = ""
    key_hint: str = "give it a key with `key: {env: NAME}`"
    host: str = ""
    encryption: ssl.SSLContext | None = None

    def without_key(self, text: str) -> str:
        """Words of the service, without the key if it repeats it."""
        return text.replace(self.key, "…") if self.key else text


class ChatStream:
    """The pieces of one answer; `ended` is set after the last one. Closing it ends the request, and the answer."""

    def __init__(self, service: ChatService, request: ChatRequest, clock: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._request = request
        self._clock = clock
        self.ended: Ended | None = None

    def __iter__(self) -> Iterator[str]:
        """The pieces as they come. Raises RequestError, in one sentence, for whatever keeps the answer from its end."""
        import httpx2

        deadline = self._clock() + self._request.seconds
        some = False
        try:
            with _client(self._service, self._request.seconds) as client, self._opened(client) as answer:
                self._require_accepted(answer)
                for piece in self._pieces(answer, deadline):
                    some = True
                    yield piece
        except httpx2.TimeoutException as error:
            if not some:
                raise self._too_slow() from error
            self.ended = Ended(finish="time")
        except httpx2.HTTPError as error:
            reason = self._service.without_key(str(error) or type(error).__name__)
            raise self._error(f"the language model does not answer: {reason[:_SHOWN]}") from error
        if not some and self.ended is not None and self.ended.finish == "time":
            raise self._too_slow()

    def _opened(self, client: httpx2.Client) -> Any:  # Any: the library's context manager has a private type
        body = {
            "model": self._request.model,
            "messages": msgspec.to_builtins(list(self._request.messages)),
            "max_tokens": self._request.tokens,
            "temperature": self._request.temperature,
            "seed": self._request.seed,
            "stream": True,
            **({"stop": list(self._request.stop)} if self._request.stop else {}),
            "stream_options": {"include_usage": True},
        }
        headers = {"Accept": "text/event-stream", "Content-Type": "application/json"}
        if self._service.key:
            headers["Authorization"] = f"Bearer {self._service.key}"
        if self._service.host:
            headers["Host"] = self._service.host
        url = f"{self._service.url.rstrip('/')}/chat/completions"
        return client.stream("POST", url, content=msgspec.json.encode(body), headers=headers)

    def _pieces(self, answer: httpx2.Response, deadline: float) -> Iterator[str]:
        if "json" in answer.headers.get("Content-Type", ""):
            yield from self._piece(b"".join(self._read(answer, deadline)))
            return
        complete = False
        for event in _events(self._read(answer, deadline)):
            if event == _DONE:
                complete = True
                break
            yield from self._piece(event)
        if self.ended is None and not complete:
            raise self._error("the language model's answer was cut off", "ask again")
        self.ended = self.ended or Ended()

    def _read(self, answer: httpx2.Response, deadline: float) -> Iterator[bytes]:
        received = 0
        source = answer.iter_bytes()
        while True:
            with waiting_for("the language model"):
                block = next(source, None)
            if block is None:
                return
            received += len(block)
            if received > MOST_BYTES:
                raise self._error(f"the language model sent more than {MOST_BYTES >> 20} MiB for one answer")
            yield block
            if self._clock() > deadline:
                self.ended = Ended(finish="time")
                return

    def _piece(self, event: bytes) -> Iterator[str]:
        """The text of one event, of which a service may send some without text."""
        try:
            said = msgspec.json.decode(event, type=_Event)
        except (*UNREADABLE, msgspec.ValidationError) as error:
            raise self._error("the language model sent what is no answer of the OpenAI API", "check its url") from error
        if said.error is not None:
            raise self._error(f"the language model fails: {self._reason(said.error)}")
        usage = said.usage or _Usage()
        ended = self.ended or Ended()
        for choice in said.choices[:1]:
            text = (choice.delta or choice.message or _Delta()).content
            if text:
                yield text
            if choice.finish_reason is not None:
                finish: Finish = "length" if choice.finish_reason == "length" else "stop"
                self.ended = ended = msgspec.structs.replace(ended, finish=finish)
        if usage.completion_tokens is not None:
            counted = msgspec.structs.replace(ended, prompt_tokens=usage.prompt_tokens, tokens=usage.completion_tokens)
            self.ended = counted if self.ended is not None else None

    def _require_accepted(self, answer: httpx2.Response) -> None:
        if answer.status_code == 200:
            return
        content = b""
        for block in answer.iter_bytes():
            content += block
            if len(content) > MOST_OF_ERROR:
                break
        reason = self._reason_of(content)
        raise self._refusal(answer.status_code, reason, answer.headers.get("Location", ""))

    def _refusal(self, status: int, reason: str, location: str) -> RequestError:
        if 300 <= status < 400:
            return self._error(f"the address leads elsewhere, to {location[:_SHOWN]}", "write that address in the file")
        if status in {401, 403}:
            refused = "refuses the key" if self._service.key else "wants a key"
            return self._error(f"the language model {refused}: {reason} (status {status})", self._service.key_hint)
        if status == 404:
            hint = f"check `url` and the model's name there, '{self._request.model}'"
            return self._error(f"the address or the model is not there: {reason} (status 404)", hint)
        if status == 429:
            return self._error(f"the language model has no room for now: {reason} (status 429)", "ask again later")
        return self._error(f"the language model refuses the question: {reason} (status {status})")

    def _reason_of(self, content: bytes) -> str:
        try:
            return self._reason(msgspec.json.decode(content))
        except UNREADABLE:
            return "no reason given"

    def _reason(self, said: object) -> str:
        """The reason in an error of the API, or of what comes near to one."""
        if isinstance(said, dict):
            return self._reason(next((said[key] for key in ("error", "message", "detail") if said.get(key)), None))
        text = " ".join(said.split()) if isinstance(said, str) else "no reason given"
        return self._service.without_key(text)[:_SHOWN]

    def _too_slow(self) -> RequestError:
        hint = "give it more time, fewer passages, or a faster machine"
        return self._error(f"the language model did not begin to answer within {self._request.seconds:.3g} s", hint)

    def _error(self, text: str, hint: str = "") -> RequestError:
        return RequestError(text, where=self._service.url, hint=hint)


class _Delta(Struct, frozen=True):
    content: str | None = None


class _Choice(Struct, frozen=True):
    delta: _Delta | None = None
    message: _Delta | None = None
    finish_reason: str | None = None


class _Usage(Struct, frozen=True):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Event(Struct, frozen=True):
    choices: tuple[_Choice, ...] = ()
    usage: _Usage | None = None
    error: Any = None  # Any: services put text or an object there


msgspec.json.Decoder(_Event)


def _events(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The data of server-sent events; comments and other fields are left out."""
    held, data = b"", []
    for block in blocks:
        *lines, held = (held + block).split(b"\n")
        for line in (each.removesuffix(b"\r") for each in lines):
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data = []
    if held.startswith(b"data:"):
        data.append(held[5:].strip())
    if data:
        yield b"\n".join(data)


def _client(service: ChatService, seconds: float) -> httpx2.Client:
    """A client of one request; a service on this machine is never asked through a proxy."""
    import httpx2

    host = urllib.parse.urlsplit(service.url).hostname or ""
    return httpx2.Client(
        timeout=httpx2.Timeout(seconds, connect=min(seconds, CONNECT_LIMIT)),
        trust_env=not _is_here(host),
        verify=service.encryption or True,
        headers={"User-Agent": "plimsoll"},
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
